"""Volumes in various orientations for tests."""

import numpy as np
import slicer

AXIAL = np.diag([-1.0, -1.0, 2.0, 1.0])
CORONAL = np.array([[-1.0, 0, 0, 0], [0, 0, -2.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1.0]])
SAGITTAL = np.array([[0, 0, 2.0, 0], [-1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1.0]])


def rotated(ijkToRAS: np.ndarray, degrees: float) -> np.ndarray:
    """The same directions turned about the x axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])
    return turn @ ijkToRAS


def addVolume(ijkToRAS: np.ndarray = AXIAL, name: str = "CT", shape: tuple = (7, 8, 9)):
    """A volume (k, j, i) with different values in each voxel, centred at the RAS origin."""
    matrix = np.array(ijkToRAS, dtype=float)
    matrix[:3, 3] = -(matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2))
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    return slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name=name)


def addSegmentation(volume, name: str = "organs"):
    """A segmentation with one segment "liver" in the middle slice of the volume."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("liver", "Liver")
    mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, dtype=np.uint8)
    mask[len(mask) // 2, 2:5, 2:6] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "liver", volume)
    return node
