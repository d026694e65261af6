"""The worker's label file into the scene as segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Appearance, Geometry, LabelLayers, Placement
from SegToolkitGui.scene.LabelLayers import BINARY, NewContent
from SegToolkitGui.scene.NrrdFile import NrrdReader
from SegToolkitGui.scene.SequenceFrames import browserOf
from SegToolkitGui.scene.Steps import Steps

MODES = ("new", "add", "replace", "merge")
# How often the work starts over when the person edits the same segments meanwhile.
ATTEMPTS = 3


@dataclass
class OutputChoice:
    """Where a result goes.

    Attributes:
        mode: "new" segmentation; "add" new segments; "replace" what segments of the same names hold;
            "merge" with what they hold. Names that are not there yet are added.
        segmentationNode: the segmentation; None for "new".
        name: of a new segmentation.
        visible: whether a new segmentation is shown.
    """

    mode: str
    segmentationNode: object = None
    name: str = ""
    visible: bool = True


@dataclass
class _Plan:
    """New label images, made but not yet in the scene.

    ``present``: name -> ID of segments that are there; ``fresh``: name -> content of segments to add;
    ``changed`` and ``neighbours``: ID -> content of segments with new voxels, and of those that only move to
    a copy of their layer; ``watch``: tells whether somebody edited the originals meanwhile.
    """

    present: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, NewContent] = field(default_factory=dict)
    changed: dict[str, NewContent] = field(default_factory=dict)
    neighbours: dict[str, NewContent] = field(default_factory=dict)
    watch: LabelLayers.Watch | None = None


def refusal(segmentationNode) -> UserError | None:
    """Why no result can be put into a segmentation; None if it can."""
    segmentation = segmentationNode.GetSegmentation()
    if not segmentation.GetNumberOfSegments() or segmentation.GetSourceRepresentationName() == BINARY:
        return None
    text = _("The segments of {name} are not kept as a binary labelmap.")
    hint = _("Make Binary labelmap their source in the module Segmentations.")
    return UserError("no-labelmap", text.format(name=segmentationNode.GetName()), hint)


def withoutEmpty(result: dict, choice: OutputChoice) -> dict:
    """A result with the structures that become segments: those that were found, and those that stand in the
    segmentation already and are to be replaced, which would keep an older result otherwise."""
    present = set()
    if choice.segmentationNode is not None and choice.mode == "replace":
        present = set(LabelLayers.idsByName(choice.segmentationNode.GetSegmentation()))
    kept = [one for one in result["structures"] if one["voxels"] or one["name"] in present]
    return {**result, "structures": kept}


class ResultImport(Steps):
    """Brings a result into the scene: geometry, transform, colours, terminology, place, surfaces if shown.

    Nothing in the scene changes before the last pieces; other segments keep every voxel, also those that
    share a label image with a changed one, and segments may overlap.

    Args:
        result: outputs of the worker's ``segment``.
        queryVolume: the volume that was segmented.
        choice: where it goes.
        appearance: structure name -> {"colour", "terminology"}, for new segments.
        covered: (axis, first, last) if the run covered only these slices; "replace" leaves the others alone.

    Attributes:
        segmentationNode: the node, when done; None where a new one would have been left without a segment.
        segmentIds: structure name -> segment ID, when done.

    Raises (from ``step``):
        UserError: "volume-deleted", "volume-moved", "output-deleted", "no-output", "changed", "bad-file".
    """

    def __init__(
        self,
        result: dict,
        queryVolume,
        choice: OutputChoice,
        appearance: dict[str, dict] | None = None,
        covered: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        if choice.mode not in MODES:
            raise ValueError(f"mode is {choice.mode!r}, must be one of {MODES}")
        if choice.mode != "new" and choice.segmentationNode is None:
            raise UserError("no-output", _("No segmentation is chosen for the result."), _("Choose one."))
        self.segmentationNode = None
        self.segmentIds: dict[str, str] = {}
        self._result = result
        self._volume = queryVolume
        self._volumeName = queryVolume.GetName() if queryVolume is not None else ""
        self._choice = choice
        self._appearance = appearance or {}
        self._covered = covered
        self._labels = {one["name"]: int(one["label"]) for one in result["structures"]}

    # The pieces

    def _work(self) -> Iterator[None]:
        self._alive()
        if self._choice.mode == "new" and not self._labels:
            return
        image = yield from self._read()
        node = None if self._choice.mode == "new" else self._choice.segmentationNode
        for attempt in range(ATTEMPTS):
            plan = yield from self._planned(node, image)
            self._alive()
            if plan.watch is None or not plan.watch.changed():
                break
            if attempt == ATTEMPTS - 1:
                text = _("{name} is being edited: the result could not be put into it.")
                raise UserError("changed", text.format(name=node.GetName()), _("Start again."))
        surfacesGone = self._commit(node, plan)
        yield
        if surfacesGone:
            # They were shown before. This cannot be split: a second or more for large segments.
            self.segmentationNode.CreateClosedSurfaceRepresentation()

    def _alive(self) -> None:
        if self._volume is None or self._volume.GetScene() is None:
            text = _("{name} was deleted before its result arrived.").format(name=self._volumeName)
            raise UserError("volume-deleted", text, _("Load it again and start again."))
        node = self._choice.segmentationNode
        if self._choice.mode != "new" and node.GetScene() is None:
            raise UserError(
                "output-deleted",
                _("The segmentation for the result was deleted before it arrived."),
                _("Choose another one and start again."),
            )

    def _read(self) -> Iterator[None]:
        """The label image on the volume's local grid; None if nothing was found."""
        if not self._result.get("labels"):
            return None
        reader = NrrdReader(Path(self._result["labels"]))
        offset = [int(value) for value in self._result["offset"]]
        matrix = Geometry.ijkToLocal(self._volume)
        cropped = matrix.copy()
        cropped[:, 3] = matrix @ [*offset, 1]
        inside = all(
            first >= 0 and first + count <= size
            for first, count, size in zip(offset, reader.size, Geometry.dimensions(self._volume), strict=True)
        )
        if not inside or not Geometry.sameGrid(reader.ijkToRas, cropped, reader.size):
            if browserOf(self._volume) is None:
                text = _("The grid of {name} was changed while it was segmented.").format(
                    name=self._volumeName
                )
                raise UserError("volume-moved", text, _("Start again."))
            # The sequence moved on to a frame on another grid: the file knows where the result lies.
            matrix = reader.ijkToRas.copy()
            matrix[:, 3] = matrix @ [*(-np.array(offset)), 1]
        extent = [
            value for first, n in zip(offset, reader.size, strict=True) for value in (first, first + n - 1)
        ]
        if reader.dtype != np.uint8:
            raise UserError("bad-file", _("{path} holds no labels.").format(path=reader.path))
        image = LabelLayers.newImage(matrix, extent)
        array = LabelLayers.voxels(image)
        for done in reader.readInto(array):
            self.fraction = 0.5 * done / max(1, array.nbytes)
            yield
        return image

    def _planned(self, node, image) -> Iterator[None]:
        """All new label images; nothing in the scene is touched."""
        if node is None:
            return _Plan(fresh={name: NewContent(image, label) for name, label in self._labels.items()})
        segmentation = node.GetSegmentation()
        refused = refusal(node)
        if refused is not None:
            raise refused
        transform = Geometry.transformBetween(self._volume, node)
        moved = yield from self._inNode(node, image, transform)
        plan = _Plan()
        if self._choice.mode != "add":
            names = LabelLayers.idsByName(segmentation)
            plan.present = {name: names[name] for name in self._labels if name in names}
        plan.fresh = {
            name: NewContent(moved, n) for name, n in self._labels.items() if name not in plan.present
        }
        if not plan.present or (self._choice.mode == "merge" and image is None):
            return plan
        layers = LabelLayers.byLayer(segmentation, plan.present)
        sharers = {
            layer: LabelLayers.neighbours(segmentation, layer, plan.present.values()) for layer in layers
        }
        plan.watch = LabelLayers.Watch(segmentation, {*plan.present.values(), *chain(*sharers.values())})
        for layer, names in layers.items():
            plan.changed.update(
                (yield from self._changed(segmentation, layer, names, image, moved, transform))
            )
            if sharers[layer] and not LabelLayers.isEmpty(layer):
                staying = yield from self._cleared(segmentation, layer, names.values(), sharers[layer])
                plan.neighbours.update(staying)
        return plan

    def _inNode(self, node, image, transform) -> Iterator[None]:
        """The label image in the local mm of the segmentation."""
        if image is None or transform is None:
            return image
        if isinstance(transform, vtk.vtkTransform):
            matrix = Geometry.toArray(transform.GetMatrix()) @ Geometry.imageMatrix(image)
            if not Geometry.isSheared(matrix):
                # The same voxels lying elsewhere: exact.
                output = slicer.vtkOrientedImageData()
                output.ShallowCopy(image)
                output.SetImageToWorldMatrix(Geometry.toVtk(matrix))
                return output
        return (yield from LabelLayers.resampled(image, self._reference(node, image), transform))

    def _reference(self, node, image):
        """The grid of a segmentation; that of the image if it has none."""
        converter = slicer.vtkSegmentationConverter
        text = node.GetSegmentation().GetConversionParameter(
            converter.GetReferenceImageGeometryParameterName()
        )
        reference = slicer.vtkOrientedImageData()
        if text and converter.DeserializeImageGeometry(text, reference, True, vtk.VTK_UNSIGNED_CHAR, 1):
            return reference
        return image

    def _changed(self, segmentation, layer, names: dict[str, str], image, moved, transform) -> Iterator[None]:
        """New contents of the segments of one layer."""
        replace = self._choice.mode == "replace"
        if LabelLayers.isEmpty(layer) or (replace and self._covered is None):
            return {one: NewContent(moved, self._labels[name]) for name, one in names.items()}
        covered, new, labels = None, moved, dict(self._labels)
        if replace:
            covered = self._coveredExtent()
            same = transform is None and self._latticeIsVolumes(layer)
            if not same:
                # Cover and labels travel together: 1 is covered, labels start at 2.
                marked = yield from self._marked(image, covered)
                new, covered = (yield from LabelLayers.resampled(marked, layer, transform)), None
                labels = {name: label + 1 for name, label in labels.items()}
        elif not LabelLayers.onSameLattice(layer, moved):
            new = yield from LabelLayers.resampled(image, layer, transform)
        extent = layer.GetExtent()
        if new is not None:
            extent = LabelLayers.union(extent, new.GetExtent())
        matrix = Geometry.imageMatrix(layer)
        old = {name: segmentation.GetSegment(one).GetLabelValue() for name, one in names.items()}
        if replace:
            # One layer holds them all: neither the old nor the new labels overlap.
            output = LabelLayers.newImage(matrix, extent)
            pairs = [(old[name], labels[name], n + 1) for n, name in enumerate(names)]
            mark = None if covered is not None else 1
            yield from LabelLayers.combined(layer, pairs, new, covered, output, mark)
            return {names[name]: NewContent(output, n + 1) for n, name in enumerate(names)}
        contents = {}
        for name, segmentId in names.items():
            output = LabelLayers.newImage(matrix, extent)
            yield from LabelLayers.combined(layer, [(old[name], labels[name], 1)], new, None, output)
            contents[segmentId] = NewContent(output, 1)
        return contents

    def _latticeIsVolumes(self, layer) -> bool:
        size = Geometry.dimensions(self._volume)
        return Geometry.sameGrid(Geometry.imageMatrix(layer), Geometry.ijkToLocal(self._volume), size)

    def _coveredExtent(self) -> list[int]:
        axis, first, last = self._covered
        extent = [value for count in Geometry.dimensions(self._volume) for value in (0, count - 1)]
        extent[2 * axis : 2 * axis + 2] = [first, last]
        return extent

    def _marked(self, image, covered) -> Iterator[None]:
        """The covered box on the volume's grid: 1 where nothing was found, label + 1 elsewhere."""
        output = LabelLayers.newImage(Geometry.ijkToLocal(self._volume), covered)
        target = LabelLayers.voxels(output)
        for k in range(covered[4], covered[5] + 1):
            target[k - covered[4]] = 1 if image is None else LabelLayers.plane(image, k, covered) + 1
            yield
        return output

    def _cleared(self, segmentation, layer, leaving, staying) -> Iterator[None]:
        """A copy of a layer for those that stay in it, without the labels of those that leave."""
        output = LabelLayers.newImage(Geometry.imageMatrix(layer), layer.GetExtent(), layer.GetScalarType())
        values = {segmentation.GetSegment(one).GetLabelValue() for one in leaving}
        yield from LabelLayers.withoutLabels(layer, values, output)
        return {one: NewContent(output, segmentation.GetSegment(one).GetLabelValue()) for one in staying}

    # All changes of the scene, in one go

    def _commit(self, node, plan: _Plan) -> bool:
        """Returns whether surfaces that were there must be made anew."""
        node = node or self._newNode()
        segmentation = node.GetSegmentation()
        self._setReference(node)
        contents = {**plan.neighbours, **plan.changed}
        surfacesGone = LabelLayers.exchange(segmentation, contents, plan.neighbours)
        for name in self._labels:
            fresh = plan.fresh.get(name)
            self.segmentIds[name] = (
                plan.present[name] if fresh is None else self._newSegment(segmentation, name, fresh)
            )
        self.segmentationNode = node
        return surfacesGone

    def _newNode(self):
        scene = self._volume.GetScene()
        name = self._choice.name or _("{name} segmentation").format(name=self._volumeName)
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
        node.CreateDefaultDisplayNodes()
        if not self._choice.visible and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(False)
        Placement.placeBeside(node, self._volume)
        return node

    def _setReference(self, node) -> None:
        role = node.GetReferenceImageGeometryReferenceRole()
        if node.GetNodeReference(role) is None:
            node.SetReferenceImageGeometryParameterFromVolumeNode(self._volume)
            node.SetNodeReferenceID(role, self._volume.GetID())
        node.CreateDefaultDisplayNodes()

    def _newSegment(self, segmentation, name: str, content: NewContent) -> str:
        segment = slicer.vtkSegment()
        taken = {segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())}
        title = next(
            t for n in range(1, len(taken) + 2) if (t := name if n == 1 else f"{name} {n}") not in taken
        )
        segment.SetName(title)
        segment.SetLabelValue(content.value)
        segment.AddRepresentation(BINARY, content.image or LabelLayers.emptyLayer())
        Appearance.apply(segment, self._appearance.get(name))
        segmentId = segmentation.GenerateUniqueSegmentID(title)
        segmentation.AddSegment(segment, segmentId)
        return segmentId
