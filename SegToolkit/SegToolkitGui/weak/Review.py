"""Which slices of a mask a person has accepted, and how many voxels each of its slices has."""

from __future__ import annotations

from collections.abc import Iterable
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


def checkSlices(slices: Iterable[int], volumeNode: Any) -> list[int]:
    """The slices, checked.

    Raises:
        UserError: "bad-slice".
    """
    count, found = sliceCount(volumeNode), list(slices)
    for one in found:
        if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < count:
            raise UserError(
                "bad-slice",
                _("There is no slice {number!r}; slices are numbered from 0 to {last}.").format(
                    number=one, last=count - 1
                ),
            )
    return found


def stamp(segmentationNode: Any) -> tuple:
    """Changes whenever voxels of the segmentation change."""
    segmentation = segmentationNode.GetSegmentation()
    images = [segmentation.GetSegment(one).GetRepresentation(BINARY) for one in segmentation.GetSegmentIDs()]
    return (segmentationNode.GetID(), *(image.GetMTime() if image is not None else 0 for image in images))


def voxels(segmentationNode: Any, volumeNode: Any) -> list[int]:
    """How many voxels of any segment each slice of the volume has; of segments on the volume's own voxels."""
    axis = sliceAxis(volumeNode)
    counts = np.zeros(sliceCount(volumeNode), dtype=int)
    size = Geometry.dimensions(volumeNode)
    reference = Geometry.emptyImage(
        Geometry.ijkToLocal(volumeNode), [value for count in size for value in (0, count - 1)]
    )
    segmentation = segmentationNode.GetSegmentation()
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        image = segment.GetRepresentation(BINARY)
        if LabelLayers.isEmpty(image) or not LabelLayers.onSameLattice(image, reference):
            continue
        mask = LabelLayers.voxels(image) == segment.GetLabelValue()
        others = tuple(one for one in range(3) if one != 2 - axis)
        found = mask.sum(axis=others)
        first = image.GetExtent()[2 * axis]
        for number, count in enumerate(found):
            if 0 <= first + number < len(counts):
                counts[first + number] += int(count)
    return counts.tolist()
