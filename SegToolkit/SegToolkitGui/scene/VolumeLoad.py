"""NRRD files of the worker as volume nodes, in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from SegToolkitGui.scene import Geometry
from SegToolkitGui.scene.NrrdFile import NrrdReader
from SegToolkitGui.scene.Steps import Steps

# Voxels looked at to choose window and level; Slicer's own way looks at all, 0.7 s for a CT.
SAMPLE = 100_000


class VolumeLoad(Steps):
    """Reads a file of three dimensions into a new scalar volume node.

    Args:
        path: the NRRD file.
        scene: where the node is added, when all is read.
        name: of the node.

    Attributes:
        volumeNode: the node, when done.

    Raises (from ``step``):
        UserError: "bad-file".
    """

    def __init__(self, path: Path, scene, name: str) -> None:
        super().__init__()
        self.volumeNode = None
        self._path = Path(path)
        self._scene = scene
        self._name = name
        self.window: tuple[float, float] | None = None

    def _work(self) -> Iterator[None]:
        reader = NrrdReader(self._path)
        image = vtk.vtkImageData()
        image.SetDimensions(reader.size)
        image.AllocateScalars(get_vtk_array_type(reader.dtype), 1)
        array = vtk_to_numpy(image.GetPointData().GetScalars())
        for done in reader.readInto(array):
            self.fraction = done / max(1, array.nbytes)
            yield
        window = self.window or _window(array)
        yield
        scene = self._scene
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(self._name))
        node.SetIJKToRASMatrix(Geometry.toVtk(reader.ijkToRas))
        # Display first: with voxels there it would look at all of them.
        display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(*window)
        node.SetAndObserveDisplayNodeID(display.GetID())
        node.SetAndObserveImageData(image)
        self.volumeNode = node


def _window(array: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value to tell apart: the 0.5th and 99.5th percentile of a sample."""
    sample = array[:: max(1, len(array) // SAMPLE)]
    sample = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    if len(sample) == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, (0.5, 99.5)))
    return (low, high) if high > low else (low, low + 1.0)
