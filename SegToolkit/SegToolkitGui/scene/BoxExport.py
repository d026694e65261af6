"""A part of a volume as an uncompressed NRRD file: neighbouring slices across one axis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import slicer

from SegToolkitGui.scene import NrrdFile
from SegToolkitGui.scene.VolumeExport import VolumeExport


def partOf(array: np.ndarray, axis: int, first: int, last: int) -> np.ndarray:
    """Slices of an array [k, j, i] across an axis (0, 1, 2 for i, j, k), both ends included; a view."""
    place = [slice(None)] * 3
    place[2 - axis] = slice(first, last + 1)
    return array[tuple(place)]


def placeOf(matrix: np.ndarray, axis: int, first: int) -> np.ndarray:
    """Index to mm [4, 4] of such a part, from that of the whole."""
    moved = matrix.copy()
    moved[:3, 3] += first * matrix[:3, axis]
    return moved


class BoxExport(VolumeExport):
    """Writes some neighbouring slices of a volume.

    Args:
        volumeNode, path, matrix: as of VolumeExport; the matrix is that of the whole volume.
        axis: 0, 1 or 2: the slices lie across the voxel axis i, j or k.
        first, last: numbers of the slices, both included.
    """

    def __init__(self, volumeNode, path: Path, matrix: np.ndarray, axis: int, first: int, last: int) -> None:
        super().__init__(volumeNode, path, matrix)
        self._part = (axis, first, last)

    def _written(self, temporary: Path) -> Iterator[None]:
        axis, first, last = self._part
        array = partOf(slicer.util.arrayFromVolume(self._node), axis, first, last)
        with temporary.open("wb") as stream:
            place = placeOf(self._matrix, axis, first)
            stream.write(NrrdFile.header(array.shape[::-1], array.dtype, place))
            for number, plane in enumerate(array):
                stream.write(np.ascontiguousarray(plane).tobytes())
                self.fraction = (number + 1) / len(array)
                yield
                self._check()
