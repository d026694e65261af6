"""Grids of volumes: index to millimetres, anatomical planes, transforms between nodes.

Everything here is RAS, as in the scene. The *local* grid of a volume leaves out its parent transform.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError

# Cosine between two axes of a grid above which it counts as sheared (as in the library).
SHEAR_TOLERANCE = 1e-3
# Two grids are one if no corner lies further away than this (mm).
SAME_PLACE_MM = 1e-3
_PLANES = {0: "sagittal", 1: "coronal", 2: "axial"}
_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))


def toArray(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A vtkMatrix4x4 as float64 [4, 4]."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def toVtk(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """A [4, 4] array as vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(array[row, column]))
    return matrix


def ijkToLocal(volumeNode) -> np.ndarray:
    """Index (i, j, k) to RAS mm [4, 4], without the parent transform."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return toArray(matrix)


def dimensions(volumeNode) -> tuple[int, int, int]:
    """Number of voxels along i, j, k; zeros if there is no image."""
    image = volumeNode.GetImageData()
    return tuple(image.GetDimensions()) if image is not None else (0, 0, 0)


def isSheared(matrix: np.ndarray) -> bool:
    """Whether the axes of a grid [4, 4] are not at right angles (a tilted gantry), or one has no length."""
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.all(lengths > 0) or not np.all(np.isfinite(matrix)):
        return True
    unit = matrix[:3, :3] / lengths
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() > SHEAR_TOLERANCE)


def sameGrid(one: np.ndarray, other: np.ndarray, size) -> bool:
    """Whether two index-to-mm matrices put every corner of a grid of ``size`` (i, j, k) at the same place."""
    corners = np.array([[i, j, k, 1] for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])]).T
    return bool(np.abs((one - other) @ corners).max() < SAME_PLACE_MM)


def axisLetters(volumeNode) -> str:
    """Three letters, what i, j, k grow towards ("LPS" if RAS signs are -, -, +); nearest if oblique."""
    matrix = ijkToLocal(volumeNode)[:3, :3]
    unit = matrix / np.linalg.norm(matrix, axis=0)
    # Best pairing of axes over all six, because column by column two oblique axes can claim one letter.
    order = max(
        permutations(range(3)), key=lambda rows: sum(abs(unit[row, axis]) for axis, row in enumerate(rows))
    )
    return "".join(_LETTERS[row][int(unit[row, axis] > 0)] for axis, row in enumerate(order))


def planeOf(volumeNode, axis: int) -> str:
    """The plane, "axial", "coronal" or "sagittal", of slices counted along an axis (0, 1, 2 for i, j, k).

    Of the local grid: it is what the library sees.
    """
    letter = axisLetters(volumeNode)[axis]
    return next(_PLANES[row] for row, letters in enumerate(_LETTERS) if letter in letters)


def transformBetween(fromNode, toNode):
    """What takes local RAS mm of one node to local RAS mm of another (None: the world).

    Returns:
        None if there is nothing to do, a vtkTransform if it is linear, else a vtkGeneralTransform.
    """
    source = fromNode.GetParentTransformNode() if fromNode is not None else None
    target = toNode.GetParentTransformNode() if toNode is not None else None
    if source is target:
        return None
    general = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(source, target, general)
    linear = vtk.vtkTransform()
    if not slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(general, linear):
        return general
    if np.allclose(toArray(linear.GetMatrix()), np.eye(4), atol=1e-9):
        return None
    return linear


def hasNonLinearTransform(node) -> bool:
    """Whether the node lies under a transform that bends."""
    parent = node.GetParentTransformNode()
    return parent is not None and not parent.IsTransformToWorldLinear()


def ijkToWorld(volumeNode) -> np.ndarray:
    """Index to world RAS mm [4, 4]; only for volumes under no or linear transforms.

    Raises:
        UserError: "nonlinear".
    """
    transform = transformBetween(volumeNode, None)
    if transform is None:
        return ijkToLocal(volumeNode)
    if not isinstance(transform, vtk.vtkTransform):
        raise UserError(
            "nonlinear",
            _("{name} lies under a transform that bends it.").format(name=volumeNode.GetName()),
            _("Harden the transform, or take the volume out of it."),
        )
    return toArray(transform.GetMatrix()) @ ijkToLocal(volumeNode)


def emptyImage(matrix: np.ndarray, extent):
    """A vtkOrientedImageData without voxels: index-to-mm [4, 4], extent (i0, i1, j0, j1, k0, k1)."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent([int(value) for value in extent])
    image.SetImageToWorldMatrix(toVtk(matrix))
    return image


def imageMatrix(image) -> np.ndarray:
    """Index-to-mm [4, 4] of a vtkOrientedImageData."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return toArray(matrix)
