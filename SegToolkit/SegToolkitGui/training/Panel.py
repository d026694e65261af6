"""The panel: its parts, and the one place that says what is enabled and why not."""

from __future__ import annotations

from SegToolkitGui.PanelBase import PanelBase
from SegToolkitGui.SetupPart import SetupPart
from SegToolkitGui.training.CollectPart import CollectPart
from SegToolkitGui.training.DataPart import DataPart
from SegToolkitGui.training.EstimatePart import EstimatePart
from SegToolkitGui.training.PlanPart import PlanPart
from SegToolkitGui.training.RunPart import RunPart
from SegToolkitGui.training.RunsPart import RunsPart


class Panel(PanelBase):
    """The training panel.

    Args:
        ui: the named widgets of SegToolkitTraining.ui.
        logic: SegToolkitTrainingLogic.
    """

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic)
        self.runner = logic.session.jobs  # packages are not exchanged while a training uses them
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

    def attachParts(self) -> None:
        """Show the scene's fold."""
        self.plan.takeFold()

    def sceneCloses(self) -> None:
        """What is being collected goes."""
        self.collect.sceneClosing()

    def tearDown(self) -> None:
        """The panel ends for good; runs go on."""
        self.session.slow.changed.disconnect(self.changed)
        super().tearDown()

    def changed(self) -> None:
        """Something changed: refresh soon. Events that never pause must not put it off for ever."""
        if not self._timer.active:
            super().changed()

    # Helpers for the parts

    def canAsk(self) -> bool:
        """Whether the workers may be asked: somebody looks, and everything they need is installed."""
        return self.shown and self.setup.ready and self.parameters is not None

    def reason(self) -> str:
        """Why Start cannot be pressed, in a sentence; "" if it can."""
        return self.running.reason()
