"""The one run at a time of the module, and the way back."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.autosegment.AutoSegmentSettings import AutoSegmentSettings
from SegToolkitGui.autosegment.Compare import CompareRun, CompareSettings
from SegToolkitGui.autosegment.Run import AutoSegmentRun
from SegToolkitGui.autosegment.Session import AutoSegmentSession
from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.Runner import Runner

_shared: AutoSegmentRunner | None = None


class AutoSegmentRunner(Runner):
    """Starts segmentations and comparisons, one at a time.

    Signals: stateChanged(run), progressed(phase, step, total), logged(line), finished(run).

    Attributes:
        run: the run under way, or the last one.
        segmented: the last segmentation of this scene; compared: the last comparison; or None.
    """

    def __init__(self, session: AutoSegmentSession) -> None:
        super().__init__(session)
        self.compared: CompareRun | None = None

    @staticmethod
    def shared() -> AutoSegmentRunner:
        """The runner of this application; made at the first call."""
        global _shared
        if _shared is None:
            _shared = AutoSegmentRunner(AutoSegmentSession.shared())
        return _shared

    @staticmethod
    def endShared() -> None:
        """End run, worker and observers, before modules are reloaded."""
        global _shared
        if _shared is not None:
            runner, _shared = _shared, None
            runner.shutDown()
        AutoSegmentSession.endShared()

    def start(self, settings: AutoSegmentSettings) -> AutoSegmentRun:
        """Begin a segmentation; returns at once.

        Raises:
            UserError: another run is under way, or the settings cannot be run.
        """
        self._checked(settings)
        run = AutoSegmentRun(self.session, settings, self.undoStack)
        self._remember(run)
        return self._begin(run)

    def compare(self, settings: CompareSettings) -> CompareRun:
        """Begin a comparison; returns at once.

        Raises:
            UserError: another run is under way, or the settings cannot be run.
        """
        self._checked(settings)
        self.compared = CompareRun(self.session, settings)
        return self._begin(self.compared)

    def _onSceneClose(self, caller, event) -> None:
        super()._onSceneClose(caller, event)
        self.compared = None

    def _checked(self, settings) -> None:
        if self.busy:
            raise UserError("busy", _("A run is under way."), _("Wait for its end, or cancel it."))
        problem = settings.problem()
        if problem:
            raise UserError("cannot-run", problem)

    def _begin(self, run):
        run.stateChanged.connect(lambda state: self.stateChanged.emit(run))
        run.progressed.connect(self.progressed.emit)
        run.logged.connect(self.logged.emit)
        run.finished.connect(self.finished.emit)
        self.run = run
        run.start()
        return run
