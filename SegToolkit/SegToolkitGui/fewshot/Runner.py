"""The one run at a time of the module, and its preview."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.fewshot.Run import FewShotRun
from SegToolkitGui.fewshot.RunSettings import RunSettings
from SegToolkitGui.fewshot.Session import FewShotSession
from SegToolkitGui.fewshot.Supports import structuresOf
from SegToolkitGui.run.RunnerBase import RunnerBase
from SegToolkitGui.run.States import State

PREVIEW_ATTRIBUTE = "SegToolkit.Preview"


class Runner(RunnerBase):
    """Starts segmentations and previews, one at a time; ``segmented`` is never a preview."""

    sessionClass = FewShotSession

    def start(self, settings: RunSettings) -> FewShotRun:
        """Begin a run; returns at once.

        Raises:
            UserError: another run is under way, the model is unknown or its terms are not accepted, or
                the settings cannot be run.
        """
        self._check(settings)
        for nodeId in settings.nodeIds():
            self.keep(slicer.mrmlScene.GetNodeByID(nodeId))
        if settings.preview:
            preview = self._previewNode(settings).GetID()
            return self._begin(FewShotRun(self.session, settings, previewNodeId=preview))
        run = FewShotRun(self.session, settings, self.undoStack)
        self._remember(run)
        return self._begin(run)

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
        super()._onFinished(run)
