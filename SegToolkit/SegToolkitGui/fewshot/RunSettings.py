"""What one run is asked to do, and why it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.fewshot.Supports import SupportExample, structuresOf
from SegToolkitGui.scene import Geometry
from SegToolkitGui.scene.ResultImport import refusal

MODES = ("new", "add", "replace", "merge")
NAME_LENGTH = 200  # as the worker takes it


@dataclass
class RunSettings:
    """Settings of a run.

    Attributes:
        supports: outlined slices.
        queryIds: MRML IDs of the volumes to segment, in their order.
        model: name of the model, or path of its folder.
        device: "auto", "cpu", "cuda:0", ...
        slices: first and last slice (inclusive, from 0) that hold the structures; None looks everywhere.
        structures: names to look for; None takes all that are outlined.
        mode: "new" segmentation for each volume; or into ``segmentationId``: "add" segments, "replace" the
            segments of the same names, "merge" with them.
        segmentationId: MRML ID of the segmentation to write into; "" makes a new one.
        keepLargest: keep only the largest connected component of each structure.
        asPublished: nothing rejected or followed from slice to slice (the method as published).
        confidence: also make a confidence volume.
        previewSlice: compute this slice alone, into the preview, which is neither saved nor undone.
        acceptLicence: accept the terms of the model.
        outputName: name of a new segmentation; "" makes one from the volume's name.
    """

    supports: list[SupportExample]
    queryIds: list[str]
    model: str
    device: str = "auto"
    slices: tuple[int, int] | None = None
    structures: list[str] | None = None
    mode: str = "new"
    segmentationId: str = ""
    keepLargest: bool = False
    asPublished: bool = False
    confidence: bool = False
    previewSlice: int | None = None
    acceptLicence: bool = False
    outputName: str = ""

    @property
    def preview(self) -> bool:
        """Whether it is one slice to look at, and no result."""
        return self.previewSlice is not None

    @property
    def queries(self) -> list:
        """The query nodes that are still there."""
        nodes = (slicer.mrmlScene.GetNodeByID(one) for one in self.queryIds)
        return [node for node in nodes if node is not None]

    @property
    def segmentation(self):
        """The segmentation to write into, or None."""
        return slicer.mrmlScene.GetNodeByID(self.segmentationId) if self.segmentationId else None

    def plane(self) -> str:
        """The plane in which the examples are outlined."""
        return self.supports[0].plane()

    def axisOf(self, volumeNode) -> int:
        """Axis (0, 1, 2 for i, j, k) across which the slices of a query lie.

        The examples' own axis where the query is an outlined volume; otherwise the one nearest to
        their plane.
        """
        for example in self.supports:
            if example.volumeId == volumeNode.GetID():
                return example.axis
        plane = self.plane()
        return next(axis for axis in range(3) if Geometry.planeOf(volumeNode, axis) == plane)

    def nodeIds(self) -> set[str]:
        """Nodes without which the run makes no sense."""
        ids = set(self.queryIds)
        for example in self.supports:
            ids |= {example.volumeId, example.segmentationId}
        if self.segmentationId:
            ids.add(self.segmentationId)
        return ids

    def problem(self) -> str:
        """Why this cannot be run, in a sentence for the person; "" if it can."""
        return self._supportProblem() or self._queryProblem() or self._outputProblem()

    def _supportProblem(self) -> str:
        if not self.supports:
            return _("Outline a structure on one slice and add that slice as an example.")
        for number, example in enumerate(self.supports, start=1):
            problem = example.problem()
            if problem:
                return _("Example {number}: {problem}").format(number=number, problem=problem)
        planes = {example.plane() for example in self.supports}
        if len(planes) > 1:
            return _("The examples lie in different planes ({planes}); keep those of one plane.").format(
                planes=", ".join(sorted(planes))
            )
        axes: dict[str, int] = {}
        for example in self.supports:
            if axes.setdefault(example.volumeId, example.axis) != example.axis:
                return _("The examples of {name} lie across different axes; keep those of one axis.").format(
                    name=example.volume.GetName()
                )
        known = structuresOf(self.supports)
        for name in known:
            if not 0 < len(name) <= NAME_LENGTH:
                return _(
                    "An outlined segment has no name, or one of more than {count} letters: rename it."
                ).format(count=NAME_LENGTH)
        if self.structures is not None:
            if not self.structures:
                return _("Choose at least one structure to look for.")
            for name in self.structures:
                if name not in known:
                    return _("{name} is outlined on no example.").format(name=name)
        return ""

    def _queryProblem(self) -> str:
        if not self.queryIds:
            return _("Choose the volume in which to look.")
        if len(self.queries) < len(self.queryIds):
            return _("A volume to segment is no longer in the scene.")
        for node in self.queries:
            if node.GetImageData() is None or 0 in node.GetImageData().GetDimensions():
                return _("{name} holds no image.").format(name=node.GetName())
            if node.GetImageData().GetNumberOfScalarComponents() > 1:
                return _("{name} is a colour volume; choose one with a single value for each voxel.").format(
                    name=node.GetName()
                )
        if self.slices is not None:
            if len(self.queryIds) > 1:
                return _("A slice range can be given for one volume only.")
            depth = self.queries[0].GetImageData().GetDimensions()[self.axisOf(self.queries[0])]
            first, last = self.slices
            if not 0 <= first <= last < depth:
                return _("Slices {first} to {last} do not lie in the volume (0 to {end}).").format(
                    first=first, last=last, end=depth - 1
                )
        return ""

    def _outputProblem(self) -> str:
        if self.mode not in MODES:
            return _("There is no output mode {mode!r}; there are {modes}.").format(
                mode=self.mode, modes=", ".join(MODES)
            )
        if self.segmentationId and self.segmentation is None:
            return _("The output segmentation is no longer in the scene.")
        if self.segmentationId and len(self.queryIds) > 1:
            return _("Several volumes need a new segmentation each: choose to create new ones.")
        refused = refusal(self.segmentation) if self.segmentationId else None
        return str(refused) if refused is not None else ""
