"""The outline of what lies above a threshold in one slice of a map, at once: no process, no file."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.scene import Geometry, LabelLayers, Placement
from SegToolkitGui.scene.LabelLayers import BINARY, NewContent

COLOUR = (0.18, 0.80, 0.44)
LINE = 2  # pixels
SEGMENT = "preview"
ATTRIBUTE = "SegToolkit.Preview"


def planeAbove(mapNode: Any, axis: int, index: int, threshold: float) -> np.ndarray:
    """Voxels of one slice of a map above (not at) a threshold, uint8 [k, j, i] with one slice."""
    voxels = slicer.util.arrayFromVolume(mapNode)
    place = [slice(None)] * 3
    place[2 - axis] = slice(index, index + 1)
    return (voxels[tuple(place)] > threshold).astype(np.uint8)


class SlicePreview:
    """A segmentation of one slice, shown as an outline; it is not saved, and no list of nodes shows it."""

    def __init__(self) -> None:
        self._nodeId = ""

    @property
    def node(self) -> Any:
        """The segmentation, or None."""
        return slicer.mrmlScene.GetNodeByID(self._nodeId) if self._nodeId else None

    def show(self, mapNode: Any, axis: int, index: int, threshold: float) -> int:
        """Outline what is above the threshold in one slice, in place of what was outlined before.

        Args:
            mapNode: a map from 0 to 1.
            axis: 0, 1 or 2: the slice lies across the voxel axis i, j or k.
            index: number of the slice.
            threshold: from 0 to 1.

        Returns:
            How many voxels there are.
        """
        size = Geometry.dimensions(mapNode)
        if not 0 <= index < size[axis]:
            self.hide()
            return 0
        mask = planeAbove(mapNode, axis, index, threshold)
        node = self.node or self._make()
        extent = [value for count in size for value in (0, count - 1)]
        extent[2 * axis : 2 * axis + 2] = [index, index]
        image = LabelLayers.newImage(Geometry.ijkToLocal(mapNode), extent)
        LabelLayers.voxels(image)[:] = mask
        if node.GetTransformNodeID() != mapNode.GetTransformNodeID():
            node.SetAndObserveTransformNodeID(mapNode.GetTransformNodeID())
        LabelLayers.exchange(node.GetSegmentation(), {SEGMENT: NewContent(image, 1)})
        return int(mask.sum())

    def hide(self) -> None:
        """Outline nothing."""
        node = self.node
        self._nodeId = ""
        if node is not None:
            Placement.removeWithDisplay(slicer.mrmlScene, node)

    def _make(self) -> Any:
        scene = slicer.mrmlScene
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", _("Threshold preview"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetAttribute(ATTRIBUTE, "1")
        node.CreateDefaultDisplayNodes()
        segment = slicer.vtkSegment()
        segment.SetName(_("above the threshold"))
        segment.SetColor(*COLOUR)
        segment.SetLabelValue(1)
        segment.AddRepresentation(BINARY, LabelLayers.emptyLayer())
        node.GetSegmentation().AddSegment(segment, SEGMENT)
        display = node.GetDisplayNode()
        display.SetVisibility3D(False)
        display.SetVisibility2DFill(False)
        display.SetVisibility2DOutline(True)
        display.SetSliceIntersectionThickness(LINE)
        display.SetSaveWithScene(False)
        self._nodeId = node.GetID()
        return node
