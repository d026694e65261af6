"""Outlined segments of one slice as a small label map on the volume's grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Appearance, Geometry, NrrdFile
from SegToolkitGui.scene.SequenceFrames import browserOf, dataNodeOfFrame

BINARY = "Binary labelmap"
SURFACE = "Closed surface"


@dataclass(frozen=True)
class MaskFile:
    """What was written.

    Attributes:
        path: the uint8 NRRD; 0 is background.
        offset: index (i, j, k) in the volume of the file's first voxel.
        axis: slice axis, 0, 1 or 2.
        slices: the outlined slice, from 0.
        structures: label -> {"name", "colour", "terminology"}; segments of one name share a label.
        voxels: segment ID -> outlined voxels on the slice, 0 for a segment that is not on it.
        overlaps: names of segments that lost voxels to a later one; empty if none overlap.
    """

    path: Path
    offset: tuple[int, int, int]
    axis: int
    slices: tuple[int, ...]
    structures: dict[int, dict]
    voxels: dict[str, int]
    overlaps: tuple[str, ...] = field(default=())


def exportMask(
    segmentationNode, segmentIds, volumeNode, axis: int, index: int, path: Path, frame: int | None = None
) -> MaskFile:
    """Write the chosen segments of one slice of the volume's grid.

    The grid of the segmentation and the transforms of both nodes may be any; outlines are brought to the
    volume's grid by the nearest voxel, as Slicer does. The segmentation is not changed.

    Args:
        segmentIds: in the order in which labels 1, 2, ... are given.
        axis, index: which slice, along i, j or k of the volume.
        path: of the file to write.
        frame: item of the sequence, if the volume is the proxy node of one.

    Raises:
        UserError: "nothing-outlined", "segment-gone", "outside", "too-many".
    """
    source = dataNodeOfFrame(volumeNode, frame)
    size = Geometry.dimensions(source)
    if not 0 <= index < size[axis]:
        text = _("{name} has no slice {index}.").format(name=volumeNode.GetName(), index=index)
        raise UserError("outside", text, _("Add the slice again."))
    masks = _masks(segmentationNode, segmentIds, volumeNode, source, axis, index, frame)
    labels = np.zeros(next(iter(masks.values())).shape, dtype=np.uint8)
    structures, voxels, overlaps = _combined(segmentationNode.GetSegmentation(), masks, labels)
    if not labels.any():
        names = [segmentationNode.GetSegmentation().GetSegment(one).GetName() for one in segmentIds]
        text = _("Nothing is outlined of {segments} on slice {index} of {name}.")
        raise UserError(
            "nothing-outlined",
            text.format(segments=", ".join(names), index=index, name=volumeNode.GetName()),
            _("Draw the structure on that slice, or choose a slice on which it is outlined."),
        )
    used = [np.flatnonzero(labels.any(axis=tuple({0, 1, 2} - {one}))) for one in range(3)]
    box = [(int(where[0]), int(where[-1]) + 1) for where in used]
    start = [box[2][0], box[1][0], box[0][0]]
    start[axis] += index
    matrix = Geometry.ijkToLocal(source)
    matrix[:, 3] = matrix @ [*start, 1]
    NrrdFile.write(Path(path), labels[tuple(slice(*ends) for ends in box)], matrix)
    return MaskFile(Path(path), tuple(start), axis, (index,), structures, voxels, tuple(overlaps))


def outlinedVoxels(
    segmentationNode, segmentIds, volumeNode, axis: int, index: int, frame: int | None = None
) -> dict[str, int]:
    """Outlined voxels of each segment on one slice of the volume's grid; arguments as in :func:`exportMask`.

    Raises:
        UserError: "segment-gone".
    """
    source = dataNodeOfFrame(volumeNode, frame)
    if not segmentIds or not 0 <= index < Geometry.dimensions(source)[axis]:
        return dict.fromkeys(segmentIds, 0)
    masks = _masks(segmentationNode, segmentIds, volumeNode, source, axis, index, frame)
    return {segmentId: int(mask.sum()) for segmentId, mask in masks.items()}


def _combined(segmentation, masks: dict[str, np.ndarray], labels: np.ndarray):
    """Fill ``labels``; returns structures, voxels and overlaps as MaskFile has them."""
    values: dict[str, int] = {}
    first: dict[str, str] = {}
    for segmentId, mask in masks.items():
        name = segmentation.GetSegment(segmentId).GetName()
        if mask.any():
            first.setdefault(name, segmentId)
            values.setdefault(name, len(values) + 1)
    if len(values) > 255:
        raise UserError("too-many", _("More than 255 structures are chosen."), _("Choose fewer."))
    covered: dict[str, bool] = {}
    for segmentId, mask in masks.items():
        if not mask.any():
            continue
        value = values[segmentation.GetSegment(segmentId).GetName()]
        for name, other in values.items():
            covered[name] = covered.get(name, False) or (
                other != value and bool(np.any(labels[mask] == other))
            )
        labels[mask] = value
    present = set(np.unique(labels).tolist())
    structures = {
        value: {"name": name, **Appearance.appearanceOf(segmentation.GetSegment(first[name]))}
        for name, value in values.items()
        if value in present
    }
    voxels = {segmentId: int(mask.sum()) for segmentId, mask in masks.items()}
    return structures, voxels, [name for name, lost in covered.items() if lost]


def _masks(segmentationNode, segmentIds, volumeNode, source, axis, index, frame) -> dict[str, np.ndarray]:
    """One bool array, one voxel thick along ``axis``, [k, j, i], for each segment."""
    holder = segmentationNode
    if frame is not None and browserOf(segmentationNode) is not None:
        holder = dataNodeOfFrame(segmentationNode, frame)
    segmentation = holder.GetSegmentation()
    extent = [value for last in Geometry.dimensions(source) for value in (0, last - 1)]
    extent[2 * axis] = extent[2 * axis + 1] = index
    target = Geometry.emptyImage(Geometry.ijkToLocal(source), extent)
    target.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    transform = Geometry.transformBetween(segmentationNode, volumeNode)
    # Segments of a shared labelmap are resampled together.
    layers: dict[object, np.ndarray] = {}
    masks = {}
    for segmentId in segmentIds:
        segment = segmentation.GetSegment(segmentId)
        if segment is None:
            text = _("A chosen segment was deleted from {name}.").format(name=segmentationNode.GetName())
            raise UserError("segment-gone", text, _("Remove that example."))
        image = segment.GetRepresentation(BINARY)
        value = segment.GetLabelValue()
        if image is None:
            image, value = _labelmapOf(segmentation, segmentId, target, transform), 1
            masks[segmentId] = _resampled(image, target, None) == value
            continue
        if image not in layers:
            layers[image] = _resampled(image, target, transform)
        masks[segmentId] = layers[image] == value
    if not masks:
        raise UserError("no-segment", _("No segment is chosen."), _("Choose the outlined segments."))
    return masks


def _resampled(image, target, transform) -> np.ndarray:
    """Voxels [k, j, i] of a label image on the target's grid, by the nearest voxel."""
    size = target.GetDimensions()[::-1]
    if image is None or image.IsEmpty():
        return np.zeros(size, dtype=np.uint8)
    output = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    if not resample(image, target, output, False, False, transform, 0):
        raise UserError("resample", _("The outlines could not be brought to the volume's grid."))
    return vtk_to_numpy(output.GetPointData().GetScalars()).reshape(size)


def _labelmapOf(segmentation, segmentId: str, target, transform):
    """Label image of a segment that has none (a surface, say), around the target, in the volume's local mm.

    The conversion happens in a copy, so nothing is left behind in the segmentation.
    """
    copy = slicer.vtkSegmentation()
    copy.SetSourceRepresentationName(segmentation.GetSourceRepresentationName())
    surface = segmentation.GetSegment(segmentId).GetRepresentation(SURFACE)
    if surface is not None:
        moved = vtk.vtkPolyData()
        if transform is None:
            moved.ShallowCopy(surface)
        else:
            mover = vtk.vtkTransformPolyDataFilter()
            mover.SetInputData(surface)
            mover.SetTransform(transform)
            mover.Update()
            moved.ShallowCopy(mover.GetOutput())
        if moved.GetNumberOfPoints() == 0:
            return None
        segment = slicer.vtkSegment()
        segment.SetName(segmentId)
        segment.AddRepresentation(SURFACE, moved)
        copy.SetSourceRepresentationName(SURFACE)
        copy.AddSegment(segment, segmentId)
    else:
        copy.CopySegmentFromSegmentation(segmentation, segmentId)
    converter = slicer.vtkSegmentationConverter
    geometry = converter.SerializeImageGeometry(target)
    copy.SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), geometry)
    # Only the slice that is wanted: a whole CT takes seconds.
    copy.SetConversionParameter("Crop to reference image geometry", "1")
    copy.CreateRepresentation(BINARY)
    return copy.GetSegment(segmentId).GetRepresentation(BINARY)
