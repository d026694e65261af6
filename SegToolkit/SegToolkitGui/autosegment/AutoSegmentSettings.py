"""What one run is asked to do, and why it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass, field

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import DicomDatabase
from SegToolkitGui.scene.ResultImport import refusal
from SegToolkitGui.scene.SequenceFrames import frameCount
from SegToolkitGui.scene.VolumeExport import isPicture

MODES = ("full", "quick")
OUTPUT_MODES = ("new", "add", "replace", "merge")


@dataclass
class AutoSegmentSettings:
    """Settings of a run.

    Attributes:
        volumeIds: MRML IDs of the volumes to segment, in their order.
        series: UIDs of series of the DICOM database, loaded and segmented after the volumes.
        model: name of the model, or path of its folder; "" takes this machine's.
        organs: names or label values of the structures that are wanted; None for all.
        mode: "full", or "quick" for a coarser result sooner.
        device: "auto", "cpu", "cuda:0", ...
        small: take less memory, and more time.
        outputMode: "new" segmentation for each volume; or into ``segmentationId``: "add" segments, "replace"
            the segments of the same names, "merge" with them.
        segmentationId: MRML ID of the segmentation to write into; "" makes a new one for each volume.
        volumesTable: also make a table with volume and mean intensity of each organ.
        maps: names of the model's maps that are made as volumes besides.
        allFrames: segment each frame of the volume's sequence, into a sequence of its own.
        acceptLicence: accept the terms of the model.
    """

    volumeIds: list[str] = field(default_factory=list)
    series: list[str] = field(default_factory=list)
    model: str = ""
    organs: list[str | int] | None = None
    mode: str = "full"
    device: str = "auto"
    small: bool = False
    outputMode: str = "new"
    segmentationId: str = ""
    volumesTable: bool = True
    maps: list[str] = field(default_factory=list)
    allFrames: bool = False
    acceptLicence: bool = False

    @property
    def count(self) -> int:
        """How many volumes are to be segmented."""
        return len(self.volumeIds) + len(self.series)

    @property
    def segmentation(self):
        """The segmentation to write into, or None."""
        return slicer.mrmlScene.GetNodeByID(self.segmentationId) if self.segmentationId else None

    def nodeIds(self) -> set[str]:
        """Nodes that are needed from beginning to end; volumes are needed in their turn only."""
        return {self.segmentationId} if self.segmentationId else set()

    def problem(self) -> str:
        """Why this cannot be run, in a sentence for the person; "" if it can."""
        return self._inputProblem() or self._framesProblem() or self._organProblem() or self._outputProblem()

    def _inputProblem(self) -> str:
        if not self.count:
            return _("Choose a volume, or tick series of the DICOM database.")
        if self.series:
            problem = DicomDatabase.problem()
            if problem:
                return problem
        for nodeId in self.volumeIds:
            node = slicer.mrmlScene.GetNodeByID(nodeId)
            if node is None:
                return _("A volume to segment is no longer in the scene.")
            if node.GetImageData() is None or 0 in node.GetImageData().GetDimensions():
                return _("{name} holds no image.").format(name=node.GetName())
            if node.GetImageData().GetNumberOfScalarComponents() > 1 and not isPicture(node):
                text = _(
                    "{name} is a colour volume; choose a picture, or one with a single value for each voxel."
                )
                return text.format(name=node.GetName())
        return ""

    def _framesProblem(self) -> str:
        if not self.allFrames:
            return ""
        if len(self.volumeIds) != 1 or self.series:
            return _("All frames are segmented of one volume at a time: choose it alone.")
        volume = slicer.mrmlScene.GetNodeByID(self.volumeIds[0])
        if frameCount(volume) < 2:
            return _("{name} has no further frames: it belongs to no sequence.").format(name=volume.GetName())
        if self.segmentationId or self.outputMode != "new":
            return _("All frames make a sequence of segmentations: choose no segmentation to write into.")
        return ""

    def _organProblem(self) -> str:
        if self.organs is not None and not self.organs:
            return _("Tick at least one organ.")
        if self.mode not in MODES:
            return _("There is no mode {mode!r}; there are {modes}.").format(
                mode=self.mode, modes=", ".join(MODES)
            )
        return ""

    def _outputProblem(self) -> str:
        if self.outputMode not in OUTPUT_MODES:
            return _("There is no output mode {mode!r}; there are {modes}.").format(
                mode=self.outputMode, modes=", ".join(OUTPUT_MODES)
            )
        if self.outputMode != "new" and not self.segmentationId:
            return _("The output mode {mode!r} needs a segmentation to write into.").format(
                mode=self.outputMode
            )
        if self.segmentationId and self.segmentation is None:
            return _("The output segmentation is no longer in the scene.")
        if self.segmentationId and self.count > 1:
            return _("Several volumes need a new segmentation each: choose to create new ones.")
        refused = refusal(self.segmentation) if self.segmentationId else None
        return str(refused) if refused is not None else ""

    def labelsIn(self, model: dict) -> list[int] | None:
        """Values of the wanted organs in a model's labels; None for all.

        Raises:
            UserError: the model has no such organ.
        """
        if self.organs is None:
            return None
        byName = {label["name"]: label["value"] for label in model["labels"]}
        values = set(byName.values())
        found = [one if one in values else byName.get(one) for one in self.organs]
        for organ, value in zip(self.organs, found, strict=True):
            if value is None:
                raise UserError(
                    "unknown-organ",
                    _("{title} does not find {organ!r}.").format(title=model["title"], organ=organ),
                    _("It finds: {names}.").format(names=", ".join(byName)),
                )
        return sorted(set(found))
