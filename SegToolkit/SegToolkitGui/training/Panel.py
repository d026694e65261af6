"""The panel: its parts, and the one place that says what is enabled and why not."""

from __future__ import annotations

import logging

import qt
import slicer

from SegToolkitGui.Errors import UserError
from SegToolkitGui.SetupPart import SetupPart
from SegToolkitGui.training.CollectPart import CollectPart
from SegToolkitGui.training.DataPart import DataPart
from SegToolkitGui.training.EstimatePart import EstimatePart
from SegToolkitGui.training.PlanPart import PlanPart
from SegToolkitGui.training.RunPart import RunPart
from SegToolkitGui.training.RunsPart import RunsPart

# Several changes in a row lead to one refresh.
REFRESH_MS = 40


class Panel:
    """Joins widgets, parameters of the scene and the session.

    Args:
        ui: the named widgets of SegToolkitTraining.ui.
        logic: SegToolkitTrainingLogic.
    """

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.logic = logic
        self.session = logic.session
        self.runner = logic.session.jobs  # packages are not exchanged while a training uses them
        self.parameters = None
        self.shown = False
        self.refreshing = False
        self._tag = None
        self._node = None
        self._sceneTags: list[int] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.connect("timeout()", self.refresh)
        self.setup = SetupPart(self)
        self.data = DataPart(self)
        self.collect = CollectPart(self)
        self.plan = PlanPart(self)
        self.estimate = EstimatePart(self)
        self.running = RunPart(self)
        self.runs = RunsPart(self)
        # The plan first: the data's folds depend on the method.
        self.parts = [
            self.setup,
            self.plan,
            self.data,
            self.collect,
            self.estimate,
            self.running,
            self.runs,
        ]
        self.session.slow.changed.connect(self.changed)

    # Life

    def attach(self) -> None:
        """Take the choices of the present scene."""
        self._node = self.logic.parameterNodeOfScene()
        self.parameters = self.logic.getParameterNode()
        self._tag = self._node.AddObserver("ModifiedEvent", self._onModified)
        scene = slicer.mrmlScene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent)
        self._sceneTags = [scene.AddObserver(event, self._onModified) for event in events]
        self.plan.takeFold()
        self.refresh()

    def detach(self) -> None:
        """Let go of the scene's choices; runs go on."""
        self._timer.stop()
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        for tag in self._sceneTags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._sceneTags = []
        self._node = self.parameters = None

    def enter(self) -> None:
        """The panel comes to the front."""
        self.shown = True
        for part in self.parts:
            part.enter()
        self.refresh()

    def exit(self) -> None:
        """The panel goes to the back."""
        self.shown = False
        for part in self.parts:
            part.exit()

    def tearDown(self) -> None:
        """The panel ends for good; runs do not."""
        self.exit()
        self.detach()
        self.session.slow.changed.disconnect(self.changed)
        for part in self.parts:
            part.tearDown()

    # Refreshing

    def changed(self) -> None:
        """Something changed: refresh soon."""
        if self.parameters is not None and not self.refreshing and not self._timer.active:
            self._timer.start()

    def refresh(self) -> None:
        """Bring every widget in line with the scene's choices and what is known."""
        if self.parameters is None or self.refreshing:
            return
        self._timer.stop()
        self.refreshing = True
        try:
            for part in self.parts:
                part.refresh()
        finally:
            self.refreshing = False

    def _onModified(self, _caller, _event) -> None:
        self.changed()

    # Helpers for the parts

    def canAsk(self) -> bool:
        """Whether the workers may be asked: somebody looks, and everything they need is installed."""
        status = self.setup.status
        return self.shown and status is not None and status.ready and self.parameters is not None

    def tell(self, error: UserError) -> None:
        """Show an error in the panel and the log."""
        logging.warning("SegToolkit: %s", error)
        self.running.showError(error)

    def guarded(self, function):
        """The function as a slot: a person's mistakes are told in the panel."""

        def slot(*_arguments):
            if self.parameters is None:  # the scene is being closed or imported
                return
            try:
                function()
            except UserError as error:
                self.tell(error)
            self.changed()

        return slot

    def reason(self) -> str:
        """Why Start cannot be pressed, in a sentence; "" if it can."""
        return self.running.reason()
