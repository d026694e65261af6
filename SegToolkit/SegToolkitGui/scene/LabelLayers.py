"""New layers of labels for a segmentation, made beside the old ones and exchanged at the end.

Segments may share one label image (a layer); each has a label value in it. Old images are never written to:
what is shown stays whole until the exchange, other segments keep their voxels, and undo only has to put the
old images back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry

BINARY = "Binary labelmap"
SURFACE = "Closed surface"


@dataclass
class NewContent:
    """What a segment gets: a label image and its value in it."""

    image: object
    value: int


def newImage(matrix: np.ndarray, extent, scalarType=vtk.VTK_UNSIGNED_CHAR):
    """A label image with memory that is not yet filled: index-to-mm [4, 4], extent of six."""
    image = Geometry.emptyImage(matrix, extent)
    image.AllocateScalars(scalarType, 1)
    return image


def voxels(image) -> np.ndarray:
    """Live view [k, j, i] of a label image."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def withoutLabels(image, values: set[int], output) -> Iterator[None]:
    """Copy a layer to ``output`` (same grid and type) without some labels, slice by slice."""
    source, target = voxels(image), voxels(output)
    for k in range(len(source)):
        plane = source[k].copy()
        plane[np.isin(plane, list(values))] = 0
        target[k] = plane
        yield


def isEmpty(image) -> bool:
    """Whether there are no voxels at all."""
    return image is None or image.IsEmpty()


def union(one, other) -> list[int]:
    """Smallest extent that holds both."""
    return [min(a, b) if n % 2 == 0 else max(a, b) for n, (a, b) in enumerate(zip(one, other, strict=True))]


def onSameLattice(one, other) -> bool:
    """Whether two images have the same index-to-mm matrix, whatever their extents."""
    size = [max(a, b) + 1 for a, b in zip(one.GetExtent()[1::2], other.GetExtent()[1::2], strict=True)]
    return Geometry.sameGrid(Geometry.imageMatrix(one), Geometry.imageMatrix(other), size)


def plane(image, k: int, extent) -> np.ndarray:
    """Slice k (an index, not an offset) of an image, cut or padded with 0 to an extent, [j, i]."""
    i0, i1, j0, j1 = extent[:4]
    output = np.zeros((j1 - j0 + 1, i1 - i0 + 1), dtype=voxels(image).dtype)
    a0, a1, b0, b1, c0, c1 = image.GetExtent()
    left, right, top, bottom = max(i0, a0), min(i1, a1), max(j0, b0), min(j1, b1)
    if c0 <= k <= c1 and left <= right and top <= bottom:
        output[top - j0 : bottom - j0 + 1, left - i0 : right - i0 + 1] = voxels(image)[
            k - c0, top - b0 : bottom - b0 + 1, left - a0 : right - a0 + 1
        ]
    return output


def combined(old, pairs, new, covered, output, mark: int | None = None) -> Iterator[None]:
    """Fill ``output`` from an old layer and new labels on the same lattice, slice by slice.

    Args:
        old: layer of the segments, or None.
        pairs: (label in ``old``, label in ``new`` or None, label to write) of each segment.
        new: image of the new labels, or None.
        covered: extent within which the new labels replace the old; None: they are added.
        output: image to fill; its extent holds the others.
        mark: if given, the new labels replace the old wherever ``new`` has at least this value.
    """
    extent = output.GetExtent()
    i0, _i1, j0, _j1, k0, k1 = extent
    target = voxels(output)
    for k in range(k0, k1 + 1):
        result = target[k - k0]
        result[:] = 0
        before = plane(old, k, extent) if old is not None else None
        after = plane(new, k, extent) if new is not None else None
        inside = covered is not None and covered[4] <= k <= covered[5]
        for oldLabel, newLabel, label in pairs:
            keep = (before == oldLabel) if before is not None else np.zeros(result.shape, dtype=bool)
            if inside:
                keep[
                    max(0, covered[2] - j0) : max(0, covered[3] - j0 + 1),
                    max(0, covered[0] - i0) : max(0, covered[1] - i0 + 1),
                ] = False
            if mark is not None:
                keep &= after < mark
            if after is not None and newLabel is not None:
                keep |= after == newLabel
            result[keep] = label
        yield


def resampled(image, reference, transform) -> Iterator[None]:
    """A label image on another lattice, by the nearest voxel, slice by slice; returns the new image.

    Args:
        image: labels; its extent is all that is brought over.
        reference: gives the lattice, not the extent.
        transform: from the image's mm to the reference's, or None.
    """
    matrix = Geometry.imageMatrix(reference)
    extent = _extentOn(image, matrix, transform)
    output = newImage(matrix, extent, image.GetScalarType())
    target = voxels(output)
    call = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    for k in range(extent[4], extent[5] + 1):
        piece = slicer.vtkOrientedImageData()
        if not call(image, newImage(matrix, [*extent[:4], k, k]), piece, False, False, transform, 0):
            raise UserError("resample", _("The result could not be brought to the grid of the segmentation."))
        target[k - extent[4]] = voxels(piece)[0]
        yield
    return output


def _extentOn(image, matrix: np.ndarray, transform) -> list[int]:
    """Extent on another lattice that holds all of an image, also if the transform bends it."""
    ends = np.array(image.GetExtent(), dtype=float).reshape(3, 2) + np.array([-0.5, 0.5])
    grid = np.stack(np.meshgrid(*(np.linspace(*end, 9) for end in ends)), axis=-1).reshape(-1, 3)
    points = (Geometry.imageMatrix(image) @ np.column_stack([grid, np.ones(len(grid))]).T)[:3].T
    if transform is not None:
        points = np.array([transform.TransformPoint(point) for point in points])
    ijk = np.linalg.solve(matrix, np.column_stack([points, np.ones(len(points))]).T)[:3]
    # Between the points looked at, a bent face may stand out a little further.
    low, high = np.floor(ijk.min(axis=1)) - 2, np.ceil(ijk.max(axis=1)) + 2
    return [int(value) for pair in zip(low, high, strict=True) for value in pair]


class Watch:
    """Tells whether somebody changed or deleted segments while new layers were made from them."""

    def __init__(self, segmentation, segmentIds) -> None:
        self._segmentation = segmentation
        self._seen = {segmentId: self._state(segmentId) for segmentId in segmentIds}

    def changed(self) -> bool:
        """Whether a segment is not as it was."""
        return any(self._state(one) != state for one, state in self._seen.items())

    def _state(self, segmentId: str) -> tuple:
        segment = self._segmentation.GetSegment(segmentId)
        image = segment.GetRepresentation(BINARY) if segment is not None else None
        return segment is not None, image, image.GetMTime() if image is not None else 0


def idsByName(segmentation) -> dict[str, str]:
    """Segment IDs by name; the first of several segments of one name."""
    ids: dict[str, str] = {}
    for segmentId in segmentation.GetSegmentIDs():
        ids.setdefault(segmentation.GetSegment(segmentId).GetName(), segmentId)
    return ids


def byLayer(segmentation, segmentIds: dict[str, str]) -> dict[object, dict[str, str]]:
    """Names and IDs of segments grouped by the label image in which they lie."""
    layers: dict[object, dict[str, str]] = {}
    for name, segmentId in segmentIds.items():
        layers.setdefault(segmentation.GetSegment(segmentId).GetRepresentation(BINARY), {})[name] = segmentId
    return layers


def emptyLayer():
    """A label image without voxels, as a segment has it before anything is drawn."""
    return newImage(np.eye(4), (0, -1, 0, -1, 0, -1))


def neighbours(segmentation, layer, chosen) -> list[str]:
    """Segments that share a layer and are not among the chosen ones."""
    return [
        one
        for one in segmentation.GetSegmentIDs()
        if one not in chosen and segmentation.GetSegment(one).GetRepresentation(BINARY) is layer
    ]


def exchange(segmentation, contents: dict[str, NewContent], keepSurfaces=()) -> bool:
    """Give segments other label images.

    Args:
        contents: segment ID -> what it gets.
        keepSurfaces: segments whose voxels stay as they are though the image is another one.

    Returns:
        Whether the segmentation had surfaces; those of changed segments are gone then.
    """
    hadSurfaces = segmentation.ContainsRepresentation(SURFACE)
    changed = set(contents) - set(keepSurfaces)
    surfaces = {
        one: segmentation.GetSegment(one).GetRepresentation(SURFACE)
        for one in segmentation.GetSegmentIDs()
        if one not in changed
    }
    images = []
    for segmentId, content in contents.items():
        segment = segmentation.GetSegment(segmentId)
        segment.SetLabelValue(content.value)
        image = content.image or emptyLayer()
        segment.AddRepresentation(BINARY, image)
        if image not in images:
            images.append(image)
    for image in images:
        # Tells views and the segmentation, which drops all surfaces then.
        image.Modified()
    if images and hadSurfaces:
        for segmentId, surface in surfaces.items():
            if surface is not None:
                segmentation.GetSegment(segmentId).AddRepresentation(SURFACE, surface)
    return hadSurfaces
