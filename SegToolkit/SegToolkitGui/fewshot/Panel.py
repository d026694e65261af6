"""The panel: its parts, and the one place that says what is enabled and why not."""

from __future__ import annotations

import logging

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.ModelPart import ModelPart
from SegToolkitGui.fewshot.QueryPart import QueryPart
from SegToolkitGui.fewshot.RunPart import RunPart
from SegToolkitGui.fewshot.SupportPart import SupportPart
from SegToolkitGui.fewshot.Supports import SupportList
from SegToolkitGui.scene import ViewSlice
from SegToolkitGui.SetupPart import SetupPart

# Several changes of the scene in a row lead to one refresh.
REFRESH_MS = 40


class Panel:
    """Joins widgets, parameters of the scene and the runner.

    Args:
        ui: the named widgets of SegToolkitFewShot.ui.
        logic: SegToolkitFewShotLogic.
    """

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.logic = logic
        self.runner = logic.runner
        self.session = logic.session
        self.parameters = None
        self.supports: SupportList | None = None
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
        self.model = ModelPart(self)
        self.support = SupportPart(self)
        self.query = QueryPart(self)
        self.running = RunPart(self)
        self.parts = [self.setup, self.model, self.support, self.query, self.running]

    # Life

    def attach(self) -> None:
        """Take the choices of the present scene."""
        self._node = self.logic.parameterNodeOfScene()
        self.parameters = self.logic.getParameterNode()
        self.supports = SupportList(self._node)
        self._tag = self._node.AddObserver("ModifiedEvent", self._onModified)
        scene = slicer.mrmlScene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent)
        self._sceneTags = [scene.AddObserver(event, self._onModified) for event in events]
        self.support.attach()
        self.refresh()

    def detach(self) -> None:
        """Let go of the scene's choices."""
        self._timer.stop()
        self.support.detach()
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        for tag in self._sceneTags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._sceneTags = []
        self._node = self.parameters = self.supports = None

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
        """The panel ends for good."""
        self.exit()
        self.detach()
        for part in self.parts:
            part.tearDown()

    # Refreshing

    def changed(self) -> None:
        """Something changed: refresh soon."""
        if self.parameters is not None and not self.refreshing:
            self._timer.start()

    def refresh(self) -> None:
        """Bring every widget in line with the scene's choices and the run's state."""
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

    def viewName(self) -> str:
        """The slice view that counts: the chosen one, or the first if that one is not in the layout."""
        names = ViewSlice.viewNames()
        if self.parameters.viewName in names:
            return self.parameters.viewName
        return names[0] if names else ""

    def sliceNode(self):
        """MRML slice node of that view, or None."""
        widget = ViewSlice.sliceWidget(self.viewName())
        return widget.mrmlSliceNode() if widget is not None else None

    def tell(self, error: UserError) -> None:
        """Show an error in the panel and the log."""
        logging.warning("SegToolkit: %s", error)
        self.running.showError(error)

    def guarded(self, function, tell=None):
        """The function as a slot: a person's mistakes are told by ``tell``, or else below Apply."""

        def slot(*_arguments):
            if self.parameters is None:  # the scene is being closed or imported
                return
            try:
                function()
            except UserError as error:
                (tell or self.tell)(error)
            self.changed()

        return slot

    def modelName(self) -> str:
        """The model of the scene, or this machine's."""
        names = [one["name"] for one in self.session.usableModels()]
        return self.parameters.model if self.parameters.model in names else self.session.defaultModel()

    def reason(self) -> str:
        """Why Apply cannot be pressed, in a sentence; "" if it can."""
        if self.setup.problem():
            return self.setup.problem()
        if not self.session.models:
            return (
                _("Models are being looked up...")
                if self.session.workerState != "off"
                else _("No model could be looked up: see the log.")
            )
        if not self.modelName():
            return _("There is no few-shot model: add one under Model.")
        return self.query.settings().problem()
