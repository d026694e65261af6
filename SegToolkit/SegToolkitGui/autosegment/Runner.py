"""The one run at a time of the module: segmentations and comparisons."""

from __future__ import annotations

from SegToolkitGui.autosegment.AutoSegmentSettings import AutoSegmentSettings
from SegToolkitGui.autosegment.Compare import CompareRun, CompareSettings
from SegToolkitGui.autosegment.FramesRun import FramesRun
from SegToolkitGui.autosegment.Run import AutoSegmentRun
from SegToolkitGui.autosegment.Session import AutoSegmentSession
from SegToolkitGui.run.RunnerBase import RunnerBase


class AutoSegmentRunner(RunnerBase):
    """Starts segmentations and comparisons, one at a time.

    Attributes:
        compared: the last comparison of this scene, or None.
    """

    sessionClass = AutoSegmentSession

    def __init__(self, session: AutoSegmentSession) -> None:
        super().__init__(session)
        self.compared: CompareRun | None = None

    def start(self, settings: AutoSegmentSettings) -> AutoSegmentRun:
        """Begin a segmentation; returns at once.

        Raises:
            UserError: another run is under way, or the settings cannot be run.
        """
        self._check(settings)
        kind = FramesRun if settings.allFrames else AutoSegmentRun
        run = kind(self.session, settings, self.undoStack)
        self._remember(run)
        return self._begin(run)

    def compare(self, settings: CompareSettings) -> CompareRun:
        """Begin a comparison; returns at once.

        Raises:
            UserError: another run is under way, or the settings cannot be run.
        """
        self._check(settings)
        self.compared = CompareRun(self.session, settings)
        return self._begin(self.compared)

    def _onSceneClose(self, caller, event) -> None:
        super()._onSceneClose(caller, event)
        self.compared = None
