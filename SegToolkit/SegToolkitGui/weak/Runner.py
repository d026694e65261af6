"""The one run at a time of the module: maps, masks, and cases for a data set."""

from __future__ import annotations

from SegToolkitGui.run.RunnerBase import RunnerBase
from SegToolkitGui.weak.CollectRun import CollectRun, CollectSettings
from SegToolkitGui.weak.MapsRun import MapsRun
from SegToolkitGui.weak.MapsSettings import MapsSettings
from SegToolkitGui.weak.RefineRun import RefineRun, RefineSettings
from SegToolkitGui.weak.Session import WeakSession
from SegToolkitGui.weak.SliceTags import TagHistory


class WeakRunner(RunnerBase):
    """Starts runs, one at a time.

    Attributes:
        tags: undo and redo of tags in this scene.
    """

    sessionClass = WeakSession

    def __init__(self, session: WeakSession) -> None:
        super().__init__(session)
        self.tags = TagHistory()

    def start(self, settings: MapsSettings) -> MapsRun:
        """Begin to make maps; returns at once.

        Raises:
            UserError: another run is under way, or the settings cannot be run.
        """
        self._check(settings)
        run = MapsRun(self.session, settings, self.undoStack)
        self._remember(run)
        return self._begin(run)

    def refine(self, settings: RefineSettings) -> RefineRun:
        """Begin to make a mask; returns at once. Raises UserError as ``start``."""
        self._check(settings)
        run = RefineRun(self.session, settings, self.undoStack)
        self._remember(run)
        return self._begin(run)

    def collect(self, settings: CollectSettings) -> CollectRun:
        """Begin to write cases; returns at once. Raises UserError as ``start``."""
        self._check(settings)
        return self._begin(CollectRun(self.session, settings))

    def _onSceneClose(self, caller, event) -> None:
        super()._onSceneClose(caller, event)
        self.tags.clear()
