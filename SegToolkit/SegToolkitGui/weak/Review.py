"""Which slices of a mask a person has accepted, and how many voxels each of its slices has."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry, LabelLayers
from SegToolkitGui.scene.LabelLayers import BINARY
from SegToolkitGui.weak.Images import sliceAxis, sliceCount

# Of the segmentation, so that it is saved with it: numbers of slices.
ACCEPTED = "SegToolkit.AcceptedSlices"


def accepted(segmentationNode: Any) -> list[int]:
    """The slices that were accepted, in their order."""
    text = (segmentationNode.GetAttribute(ACCEPTED) or "") if segmentationNode is not None else ""
    return sorted({int(one) for one in text.split(",") if one.strip().isdigit()})


def setAccepted(segmentationNode: Any, slices: Iterable[int]) -> None:
    """Keep these as accepted."""
    text = ",".join(str(one) for one in sorted(set(slices)))
    segmentationNode.SetAttribute(ACCEPTED, text or None)


def checkSlices(slices: Iterable[int], segmentationNode: Any) -> list[int]:
    """The slices, checked against the volume that the segmentation was made on, where that is known.

    Raises:
        UserError: "bad-slice".
    """
    volume = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    found = list(slices)
    count = sliceCount(volume) if volume is not None else max([*found, 0]) + 1
    for one in found:
        if not 0 <= one < count:
            raise UserError(
                "bad-slice",
                _("There is no slice {number}; slices are numbered from 0 to {last}.").format(
                    number=one, last=count - 1
                ),
            )
    return found


def stamp(segmentationNode: Any) -> tuple:
    """Changes whenever voxels of the segmentation change."""
    images = (image for _segment, image in _images(segmentationNode))
    return (segmentationNode.GetID(), *(image.GetMTime() if image is not None else 0 for image in images))


def fits(segmentationNode: Any, volumeNode: Any) -> bool:
    """Whether all segments lie on the volume's own voxels, and so can be counted; empty ones do."""
    reference = _lattice(volumeNode)
    return all(
        LabelLayers.isEmpty(image) or LabelLayers.onSameLattice(image, reference)
        for _segment, image in _images(segmentationNode)
    )


def voxels(segmentationNode: Any, volumeNode: Any) -> list[int]:
    """How many voxels of any segment each slice of the volume has; of segments on the volume's own voxels."""
    counts = np.zeros(sliceCount(volumeNode), dtype=int)
    others = tuple(one for one in range(3) if one != 2 - sliceAxis(volumeNode))
    for mask, origin in _masks(segmentationNode, volumeNode):
        first = origin[2 - sliceAxis(volumeNode)]
        for number, count in enumerate(mask.sum(axis=others)):
            if 0 <= first + number < len(counts):
                counts[first + number] += int(count)
    return counts.tolist()


def contents(segmentationNode: Any, volumeNode: Any, slices: Iterable[int]) -> dict[int, int]:
    """Checksum of what all segments together hold in each of these slices."""
    axis, found = 2 - sliceAxis(volumeNode), dict.fromkeys(slices, 0)
    for mask, origin in _masks(segmentationNode, volumeNode):
        planes = np.moveaxis(mask, axis, 0)
        # Of places, not of arrays: label images of the same content may be cropped otherwise.
        corner = [one for number, one in enumerate(origin) if number != axis]
        for number in found:
            if 0 <= number - origin[axis] < len(planes):
                places = np.argwhere(planes[number - origin[axis]]) + corner
                found[number] = zlib.crc32(places.astype(np.int64).tobytes(), found[number])
    return found


def _masks(segmentationNode: Any, volumeNode: Any) -> Iterator[tuple[np.ndarray, tuple[int, int, int]]]:
    """Voxels [k, j, i] of each segment on the volume's own voxels, and where they begin (k, j, i)."""
    reference = _lattice(volumeNode)
    for segment, image in _images(segmentationNode):
        if LabelLayers.isEmpty(image) or not LabelLayers.onSameLattice(image, reference):
            continue
        yield LabelLayers.voxels(image) == segment.GetLabelValue(), image.GetExtent()[4::-2]


def _images(segmentationNode: Any) -> Iterator[tuple[Any, Any]]:
    """Each segment with its label image, None where it has none."""
    segmentation = segmentationNode.GetSegmentation()
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        yield segment, segment.GetRepresentation(BINARY)


def _lattice(volumeNode: Any) -> Any:
    """An image without content on the volume's voxels, in the node's own coordinates."""
    size = Geometry.dimensions(volumeNode)
    extent = [value for count in size for value in (0, count - 1)]
    return Geometry.emptyImage(Geometry.ijkToLocal(volumeNode), extent)
