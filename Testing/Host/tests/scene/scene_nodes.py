"""Volumes, segmentations, transforms and worker outputs for the tests of the scene package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

BINARY = "Binary labelmap"
SHAPE = (9, 11, 13)  # k, j, i
ENTRY = (
    "Segmentation category and type - DICOM master list~SCT^123037004^Anatomical Structure"
    "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
)


def rotation(axis, degrees):
    """A rotation [3, 3]."""
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(degrees, *axis)
    return np.array([[transform.GetMatrix().GetElement(r, c) for c in range(3)] for r in range(3)])


def affine(direction, spacing=(1.1, 0.9, 3.0), origin=(-31.0, 17.5, 120.0)):
    """Index to RAS [4, 4]."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(direction) @ np.diag(spacing)
    matrix[:3, 3] = origin
    return matrix


# Names of grids -> index to RAS.
GRIDS = {
    "identity": np.eye(4),
    "as loaded": affine(np.diag([-1.0, -1.0, 1.0])),
    "flipped": affine(np.diag([1.0, -1.0, -1.0])),
    "permuted": affine([[0, 0, -1.0], [1.0, 0, 0], [0, -1.0, 0]]),
    "oblique": affine(rotation((1, 2, 3), 28) @ np.diag([-1.0, -1.0, 1.0])),
    "permuted oblique": affine(rotation((3, -1, 1), 17) @ np.array([[0, 1.0, 0], [0, 0, 1.0], [-1.0, 0, 0]])),
}


def vtkMatrix(array):
    """A vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(array[row, column]))
    return matrix


def blob(shape=SHAPE, seed=0):
    """A bool array [k, j, i]: a block, lopsided so that flips show, not at the border."""
    mask = np.zeros(shape, dtype=bool)
    k, j, i = (max(1, n // 4) if n > 2 else 0 for n in shape)
    mask[k : k + max(1, shape[0] // 2), j : j + shape[1] // 2, i : i + shape[2] // 2] = True
    mask[k, j, i + 1 + seed : i + 3 + seed] = False
    return mask


def oriented(array, matrix, start=(0, 0, 0)):
    """A vtkOrientedImageData of an array [k, j, i] that begins at index ``start`` (i, j, k)."""
    image = slicer.vtkOrientedImageData()
    extent = [v for first, n in zip(start, array.shape[::-1], strict=True) for v in (first, first + n - 1)]
    image.SetExtent(extent)
    image.SetImageToWorldMatrix(vtkMatrix(matrix))
    scalars = numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True)
    image.GetPointData().SetScalars(scalars)
    return image


def worldPoints(array, matrix):
    """RAS mm [N, 3] of all voxels of an array [k, j, i] that are set, sorted."""
    k, j, i = np.nonzero(array)
    points = (matrix @ np.stack([i, j, k, np.ones(len(i))]))[:3].T
    return points[np.lexsort(points.round(4).T)]


def segmentPoints(node, segmentId):
    """RAS mm [N, 3] of a segment's voxels without the parent transform, sorted."""
    segment = node.GetSegmentation().GetSegment(segmentId)
    image = segment.GetRepresentation(BINARY)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    array = np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
    extent = image.GetExtent()
    array[:, 3] = array @ [extent[0], extent[2], extent[4], 1]
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    return worldPoints(voxels == segment.GetLabelValue(), array)


class Maker:
    """Makes nodes in a scene."""

    def __init__(self, scene):
        self.scene = scene

    def volume(self, array=None, matrix=None, name="CT", cls="vtkMRMLScalarVolumeNode"):
        """A volume node of an array [k, j, i] (or [k, j, i, c])."""
        if array is None:
            array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
        node = self.scene.AddNewNodeByClass(cls, name)
        node.SetIJKToRASMatrix(vtkMatrix(np.eye(4) if matrix is None else matrix))
        slicer.util.updateVolumeFromArray(node, array)
        return node

    def segmentation(self, masks, matrix, name="Segmentation", shared=True, start=(0, 0, 0), volume=None):
        """A segmentation of {segment name: bool array}; ``shared``: in one label image."""
        node = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        if volume is not None:
            node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        layer = None
        if shared:
            labels = np.zeros(next(iter(masks.values())).shape, dtype=np.uint8)
            for number, mask in enumerate(masks.values(), 1):
                labels[mask] = number
            layer = oriented(labels, matrix, start)
        for number, (title, mask) in enumerate(masks.items(), 1):
            segment = slicer.vtkSegment()
            segment.SetName(title)
            segment.SetLabelValue(number if shared else 1)
            image = layer if shared else oriented(mask.astype(np.uint8), matrix, start)
            segment.AddRepresentation(BINARY, image)
            node.GetSegmentation().AddSegment(segment, title)
        return node

    def transform(self, matrix, name="Transform"):
        """A linear transform node."""
        node = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        node.SetMatrixTransformToParent(vtkMatrix(matrix))
        return node

    def bend(self, name="Bend", strength=6.0):
        """A transform node that bends: a thin-plate spline to the parent."""
        here, there = vtk.vtkPoints(), vtk.vtkPoints()
        for number, point in enumerate((x, y, z) for x in (-60, 60) for y in (-60, 60) for z in (0, 200)):
            here.InsertNextPoint(point)
            there.InsertNextPoint([v + strength * ((number * n) % 3 - 1) for n, v in enumerate(point, 1)])
        spline = vtk.vtkThinPlateSplineTransform()
        spline.SetBasisToR()
        spline.SetSourceLandmarks(here)
        spline.SetTargetLandmarks(there)
        node = self.scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
        node.SetAndObserveTransformToParent(spline)
        return node

    def sliceView(self, name="Red", orientation="Axial"):
        """A slice view node, as the application makes it."""
        # Made by the scene, it has the default node's orientation presets.
        node = self.scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        node.SetLayoutName(name)
        node.SetOrientation(orientation)
        return node


def workerResult(folder: Path, labels, matrix, names, offset=None, axis=2):
    """Outputs of the worker for labels [k, j, i] on a grid (index to RAS), written by SimpleITK."""
    structures = [
        {"label": n, "name": name, "voxels": int((labels == n).sum())} for n, name in enumerate(names, 1)
    ]
    result = {"labels": None, "offset": [0, 0, 0], "size": [0, 0, 0], "structures": structures, "axis": axis}
    if not labels.any():
        return result
    where = np.nonzero(labels)
    low = [int(w.min()) for w in where]
    high = [int(w.max()) + 1 for w in where]
    crop = labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.uint8)
    image = sitk.GetImageFromArray(crop)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((lps @ [*low[::-1], 1])[:3].tolist())
    path = Path(folder) / f"labels {len(list(Path(folder).iterdir()))} ü.nrrd"
    sitk.WriteImage(image, str(path), False)
    return {**result, "labels": str(path), "offset": low[::-1], "size": list(crop.shape[::-1])}
