"""The one run at a time of the application, its preview, and the way back."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.Run import FewShotRun
from SegToolkitGui.fewshot.RunSettings import RunSettings
from SegToolkitGui.fewshot.Session import FewShotSession
from SegToolkitGui.fewshot.States import State
from SegToolkitGui.fewshot.Supports import structuresOf
from SegToolkitGui.scene.Undo import UndoStack
from SegToolkitGui.Signal import Signal

PREVIEW_ATTRIBUTE = "SegToolkit.Preview"
_shared: Runner | None = None


class Runner:
    """Starts runs, one at a time, and remembers how to take the last results back.

    Signals: stateChanged(run), progressed(phase, step, total), logged(line), finished(run).

    Attributes:
        run: the run under way, or the last one.
        segmented: the last run of this scene that was no preview, or None.
    """

    def __init__(self, session: FewShotSession) -> None:
        self.session = session
        self.run: FewShotRun | None = None
        self.segmented: FewShotRun | None = None
        self._earlier: FewShotRun | None = None  # brought results, unlike ``segmented``
        self.undoStack = UndoStack()
        self.stateChanged = Signal()
        self.progressed = Signal()
        self.logged = Signal()
        self.finished = Signal()
        scene = slicer.mrmlScene
        self._scene = scene
        self._tag = scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._onSceneClose)
        self._quitConnected = slicer.app.connect("aboutToQuit()", self.shutDown)

    @staticmethod
    def shared() -> Runner:
        """The runner of this application; made at the first call."""
        global _shared
        if _shared is None:
            _shared = Runner(FewShotSession.shared())
        return _shared

    @staticmethod
    def endShared() -> None:
        """End run, worker and observers, before modules are reloaded."""
        global _shared
        if _shared is not None:
            runner, _shared = _shared, None
            runner.shutDown()
        FewShotSession.endShared()

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

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self.run is not None and self.run.state.busy

    @property
    def withResults(self) -> FewShotRun | None:
        """The last run of this scene that brought results; a run that failed does not hide them."""
        runs = (self.segmented, self._earlier)
        return next((run for run in runs if run is not None and run.results), None)

    def start(self, settings: RunSettings) -> FewShotRun:
        """Begin a run; returns at once.

        Raises:
            UserError: another run is under way, the model is unknown or its terms are not accepted, or
                the settings cannot be run.
        """
        if self.busy:
            raise UserError("busy", _("A run is under way."), _("Wait for its end, or cancel it."))
        problem = settings.problem()
        if problem:
            raise UserError("cannot-run", problem)
        for nodeId in settings.nodeIds():
            self.keep(slicer.mrmlScene.GetNodeByID(nodeId))
        preview = ""
        if settings.preview:
            preview = self._previewNode(settings).GetID()
        run = FewShotRun(self.session, settings, self.undoStack, preview)
        run.stateChanged.connect(lambda state: self.stateChanged.emit(run))
        run.progressed.connect(self.progressed.emit)
        run.logged.connect(self.logged.emit)
        run.finished.connect(self._onFinished)
        self.run = run
        if not settings.preview:
            self._remember(run)
        run.start()
        return run

    def _remember(self, run: FewShotRun) -> None:
        self._earlier, self.segmented = self.withResults, run

    def cancel(self) -> None:
        """Stop the run, if there is one."""
        if self.busy:
            self.run.cancel()

    def previewNode(self):
        """The segmentation that shows previews, or None."""
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            if node.GetAttribute(PREVIEW_ATTRIBUTE):
                return node
        return None

    def removePreview(self) -> None:
        """Take the preview out of the scene."""
        node = self.previewNode()
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)

    def keep(self, node) -> None:
        """Make an ordinary segmentation of the preview, because the person uses it."""
        if node is not None and node.GetAttribute(PREVIEW_ATTRIBUTE):
            node.RemoveAttribute(PREVIEW_ATTRIBUTE)
            node.SetSaveWithScene(True)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(_("Kept preview")))

    def undo(self) -> str:
        """Take the last result back.

        Returns:
            What was done, in a sentence.

        Raises:
            UserError: there is nothing to take back, it was changed since, or a run is under way.
        """
        if self.busy:
            raise UserError("busy", _("A run is under way."), _("Wait for its end, or cancel it."))
        can, reason = self.undoStack.canUndo()
        if not can:
            raise UserError("cannot-undo", reason)
        return self.undoStack.undo()

    def _previewNode(self, settings: RunSettings):
        """The preview's segmentation, holding none but the structures asked for."""
        node = self.previewNode()
        if node is None:
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
            node.SetAttribute(PREVIEW_ATTRIBUTE, "1")
            node.SetSaveWithScene(False)
        node.SetName(_("Few-shot preview"))
        wanted = settings.structures if settings.structures is not None else structuresOf(settings.supports)
        segmentation = node.GetSegmentation()
        for segmentId in list(segmentation.GetSegmentIDs()):
            if segmentation.GetSegment(segmentId).GetName() not in wanted:
                segmentation.RemoveSegment(segmentId)
        return node

    def _onFinished(self, run: FewShotRun) -> None:
        if run.state == State.DONE and not run.settings.preview:
            self.removePreview()
        self.finished.emit(run)

    def _onSceneClose(self, _caller, _event) -> None:
        self.undoStack.clear()  # its steps hold nodes
        self.session.forgetVolumes()
        self.segmented = self._earlier = None  # another scene gives their nodes' IDs to others
