"""Labels, segmentations and questions that the tests of results and of undo share."""

import numpy as np
import slicer
from scene_nodes import (
    GRIDS,
    SHAPE,
    blob,
    segmentPoints,
)

from SegToolkitGui.scene import Appearance
from SegToolkitGui.scene.ResultImport import OutputChoice, ResultImport

SURFACE = "Closed surface"
MATRIX = GRIDS["oblique"]


def labelsOf(*masks):
    labels = np.zeros(SHAPE, np.uint8)
    for number, mask in enumerate(masks, 1):
        labels[mask] = number
    return labels


def moved(by, axis=2):
    return np.roll(blob(), by, axis=axis)


def imported(result, volume, mode="new", node=None, appearance=None, covered=None, name="Result"):
    work = ResultImport(result, volume, OutputChoice(mode, node, name), appearance, covered)
    work.finish()
    return work


def voxels(node, segmentId, volume):
    """[k, j, i] bool on the volume's grid, by Slicer's own function."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volume).astype(bool)


def content(node):
    """Everything about the segments that a person can see."""
    segmentation = node.GetSegmentation()
    return {
        one: (
            segmentation.GetSegment(one).GetName(),
            segmentation.GetSegment(one).GetColor(),
            Appearance.terminologyOf(segmentation.GetSegment(one)),
            segmentPoints(node, one).round(4).tolist(),
        )
        for one in segmentation.GetSegmentIDs()
    }


EXISTING = {"liver": blob(), "spleen": moved(2), "other": moved(5)}


def existing(made, shared, volume, matrix=MATRIX):
    masks = dict(EXISTING)
    if shared:
        masks = {"liver": blob(), "spleen": moved(2) & ~blob(), "other": moved(5) & ~moved(2) & ~blob()}
    return masks, made.segmentation(masks, matrix, shared=shared, volume=volume)


NEW = moved(2, axis=1)
