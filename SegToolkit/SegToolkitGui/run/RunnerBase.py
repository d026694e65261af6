"""The one run at a time of a module, and the way back."""

from __future__ import annotations

from typing import ClassVar

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.ModelSession import ModelSession
from SegToolkitGui.run.SceneRun import SceneRun
from SegToolkitGui.run.SegmentRun import SegmentRun
from SegToolkitGui.scene.Undo import UndoStack
from SegToolkitGui.Signal import Signal


class RunnerBase:
    """Begins runs, one at a time, and remembers how to take the last results back.

    It belongs to the application, not to a panel. A module's runner adds what it starts.

    Signals: stateChanged(run), progressed(phase, step, total), logged(line), finished(run).

    Attributes:
        sessionClass: class of the session whose worker computes.
        run: the run under way, or the last one.
        segmented: the last run of this scene that segmented, or None.
    """

    sessionClass: ClassVar[type[ModelSession]]
    _open: ClassVar[dict[type, RunnerBase]] = {}

    def __init__(self, session: ModelSession) -> None:
        self.session = session
        self.run: SceneRun | None = None
        self.segmented: SegmentRun | None = None
        self._earlier: SegmentRun | None = None  # brought results, unlike ``segmented``
        self.undoStack = UndoStack()
        self.stateChanged = Signal()
        self.progressed = Signal()
        self.logged = Signal()
        self.finished = Signal()
        scene = slicer.mrmlScene
        self._scene = scene
        self._tag = scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._onSceneClose)
        self._quitConnected = slicer.app.connect("aboutToQuit()", self.shutDown)

    # The one of the application

    @classmethod
    def shared(cls):
        """The runner of this class in this application; made at the first call."""
        if cls not in RunnerBase._open:
            RunnerBase._open[cls] = cls(cls.sessionClass.shared())
        return RunnerBase._open[cls]

    @classmethod
    def endShared(cls) -> None:
        """End run, worker and observers, before modules are reloaded."""
        runner = RunnerBase._open.pop(cls, None)
        if runner is not None:
            runner.shutDown()
        cls.sessionClass.endShared()

    def shutDown(self) -> None:
        """End the run and let go of the scene and its nodes; safe to call twice."""
        self.cancel()
        self.undoStack.clear()
        if self._scene is not None:
            self._scene.RemoveObserver(self._tag)
            self._scene = None
        if self._quitConnected:
            slicer.app.disconnect("aboutToQuit()", self.shutDown)
            self._quitConnected = False

    # Runs

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self.run is not None and self.run.state.busy

    @property
    def withResults(self) -> SegmentRun | None:
        """The last run of this scene that brought results; a run that failed does not hide them."""
        runs = (self.segmented, self._earlier)
        return next((run for run in runs if run is not None and run.results), None)

    def cancel(self) -> None:
        """Stop the run, if there is one."""
        if self.busy:
            self.run.cancel()

    def undo(self) -> str:
        """Take the last result back.

        Returns:
            What was done, in a sentence.

        Raises:
            UserError: there is nothing to take back, it was changed since, or a run is under way.
        """
        self._requireFree()
        can, reason = self.undoStack.canUndo()
        if not can:
            raise UserError("cannot-undo", reason)
        return self.undoStack.undo()

    def _check(self, settings) -> None:
        """Refuse what cannot be run now.

        Raises:
            UserError: another run is under way, or the settings cannot be run.
        """
        self._requireFree()
        problem = settings.problem()
        if problem:
            raise UserError("cannot-run", problem)

    def _requireFree(self) -> None:
        if self.busy:
            raise UserError("busy", _("A run is under way."), _("Wait for its end, or cancel it."))

    def _remember(self, run: SegmentRun) -> None:
        """This is the run whose results count from now on, once it has some."""
        self._earlier, self.segmented = self.withResults, run

    def _begin(self, run):
        """Start a run, and pass on what it tells."""
        run.stateChanged.connect(lambda state: self.stateChanged.emit(run))
        run.progressed.connect(self.progressed.emit)
        run.logged.connect(self.logged.emit)
        run.finished.connect(self._onFinished)
        self.run = run
        run.start()
        return run

    def _onFinished(self, run: SceneRun) -> None:
        self.finished.emit(run)

    def _onSceneClose(self, _caller, _event) -> None:
        self.undoStack.clear()  # its steps hold nodes
        self.session.forgetVolumes()
        self.segmented = self._earlier = None  # another scene gives their nodes' IDs to others
