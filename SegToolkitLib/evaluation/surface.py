"""Distances between the surfaces of two masks, and what is made of them: NSD, HD95, ASSD.

A surface is made of elements. They sit at the corners between voxels and are as large as the piece of a
marching-cubes surface through the eight voxels around that corner. Many papers take the voxels at the border
instead, each with the same weight: :func:`border_distances`.

Source: Nikolov et al., Clinically applicable segmentation of head and neck anatomy, J Med Internet Res 2021
(surface Dice); FLARE22's evaluation. The areas are computed here, and equal the published table. Borders are
those of medpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree
from skimage.measure import marching_cubes, mesh_surface_area

from SegToolkitLib.errors import SegToolkitError

FULL_CODE = 255

Floats = NDArray[np.float64]
Spacing = tuple[float, float, float]
# Indices [N, 3] and weights [N] of the elements of a mask's surface.
Find = Callable[[NDArray[np.bool_], Spacing], tuple[NDArray[np.intp], Floats]]


@dataclass(frozen=True)
class SurfaceDistances:
    """Elements of both surfaces, those of a mask that is empty being none.

    Attributes:
        a: mm from each element of the first surface to the nearest of the second [N]; infinite where the
            second mask is empty.
        b: the other way round [M].
        a_areas, b_areas: mm2 of the elements [N], [M].
    """

    a: Floats
    b: Floats
    a_areas: Floats
    b_areas: Floats

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface Dice: the share of both surfaces within ``tolerance_mm`` (<=) of the other.

        Two empty masks score 1.
        """
        whole = self.a_areas.sum() + self.b_areas.sum()
        near = self.a_areas[self.a <= tolerance_mm].sum() + self.b_areas[self.b <= tolerance_mm].sum()
        return float(near / whole) if whole else 1.0

    def hd95(self, percent: float = 95.0) -> float:
        """Robust Hausdorff distance in mm: what ``percent`` of the area does not exceed, the worse direction.

        Infinite if one mask is empty, NaN (no value) if both are.
        """
        both = ((self.a, self.a_areas), (self.b, self.b_areas))
        return max((_percentile(*one, percent) for one in both if one[0].size), default=float("nan"))

    def assd(self) -> float:
        """Average symmetric surface distance in mm, over the area of both surfaces.

        Infinite if one mask is empty, NaN (no value) if both are.
        """
        whole = self.a_areas.sum() + self.b_areas.sum()
        return float((self.a @ self.a_areas + self.b @ self.b_areas) / whole) if whole else float("nan")

    def directed_assd(self) -> float:
        """Mean of both directed means in mm: each surface counts alike, however large it is.

        Infinite if one mask is empty, NaN (no value) if both are.
        """
        both = ((self.a, self.a_areas), (self.b, self.b_areas))
        means = [float(np.average(distances, weights=areas)) for distances, areas in both if distances.size]
        return sum(means) / len(means) if means else float("nan")


def surface_distances(a: NDArray[Any], b: NDArray[Any], spacing_zyx: Sequence[float]) -> SurfaceDistances:
    """Measure both surfaces.

    Args:
        a, b: masks [z, y, x] of one shape; everything but 0 is inside. What lies beyond the array is outside.
        spacing_zyx: mm between voxels along the three axes of the arrays.

    Raises:
        SegToolkitError: "shape": the arrays differ, or are not three-dimensional.
    """
    return _between(a, b, spacing_zyx, _elements)


def border_distances(a: NDArray[Any], b: NDArray[Any], spacing_zyx: Sequence[float]) -> SurfaceDistances:
    """Measure both borders: voxels inside that have a face in common with one outside, each of weight 1.

    With them, ``directed_assd`` is the ASSD of medpy before version 0.5, and ``assd`` that of 0.5.

    Args, errors: as of :func:`surface_distances`.
    """
    return _between(a, b, spacing_zyx, _border)


@lru_cache(maxsize=256)
def surface_areas(spacing: tuple[float, float, float]) -> Floats:
    """mm2 of the surface through eight voxels, for each of the 256 codes of which of them are inside.

    Args:
        spacing: mm along the three axes of the array.

    Returns:
        Areas [256]. In a code, the voxel at offset (p, q, r) weighs 2 ** (7 - 4p - 2q - r).
    """
    areas = np.zeros(FULL_CODE + 1)
    for code in range(1, FULL_CODE):
        bits = np.unpackbits(np.uint8(code))
        if bits.sum() > 4:  # classic marching cubes is not symmetric: the table takes the fewer voxels
            bits = 1 - bits
        cube = bits.reshape(2, 2, 2).astype(np.float32)
        points, triangles, _, _ = marching_cubes(cube, 0.5, spacing=spacing, method="lorensen")
        areas[code] = mesh_surface_area(points, triangles)
    areas.setflags(write=False)
    return areas


def surface_codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Code of the eight voxels around each corner; see :func:`surface_areas`.

    Args:
        mask: [z, y, x].

    Returns:
        [z + 1, y + 1, x + 1]; the corner at index n lies between the voxels n - 1 and n.
    """
    padded = np.pad(mask.astype(np.uint8), 1)
    # Along one axis after the other: each step joins pairs of neighbours, whose code takes twice the bits.
    pairs = padded[:, :, :-1] << 1 | padded[:, :, 1:]
    squares = pairs[:, :-1] << 2 | pairs[:, 1:]
    return (squares[:-1] << 4 | squares[1:]).astype(np.uint8, copy=False)


def _between(
    a: NDArray[Any], b: NDArray[Any], spacing_zyx: Sequence[float], elements: Find
) -> SurfaceDistances:
    """Distances between what ``elements`` finds in either mask."""
    if a.shape != b.shape or a.ndim != 3:
        raise SegToolkitError(
            "shape",
            f"Masks of the shapes {a.shape} and {b.shape} cannot be compared.",
            "Bring both to one grid.",
        )
    spacing = (float(spacing_zyx[0]), float(spacing_zyx[1]), float(spacing_zyx[2]))
    box = _joint_box(a, b)
    a_places, a_areas = elements(a[box] != 0, spacing)
    b_places, b_areas = elements(b[box] != 0, spacing)
    return SurfaceDistances(
        _to_nearest(a_places, b_places, spacing), _to_nearest(b_places, a_places, spacing), a_areas, b_areas
    )


def _joint_box(a: NDArray[Any], b: NDArray[Any]) -> tuple[slice, ...]:
    """Smallest box around both masks; of no voxels if both are empty."""
    joint = (a != 0) | (b != 0)
    box = []
    for axis in range(3):
        used = np.flatnonzero(joint.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(used[0], used[-1] + 1) if used.size else slice(0, 0))
    return tuple(box)


def _elements(
    mask: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> tuple[NDArray[np.intp], Floats]:
    """Indices [N, 3] and areas [N] of the surface elements of a mask."""
    codes = surface_codes(mask)
    places = np.nonzero((codes != 0) & (codes != FULL_CODE))
    return np.stack(places, axis=1), surface_areas(spacing)[codes[places]]


def _border(mask: NDArray[np.bool_], _spacing: Spacing) -> tuple[NDArray[np.intp], Floats]:
    """Indices [N, 3] and weights 1 [N] of the border's voxels."""
    places = np.argwhere(mask & ~binary_erosion(mask)) if mask.size else np.zeros((0, 3), np.intp)
    return places, np.ones(len(places))


def _to_nearest(
    here: NDArray[np.intp], there: NDArray[np.intp], spacing: tuple[float, float, float]
) -> Floats:
    """mm from each of ``here`` [N, 3] to the nearest of ``there`` [M, 3]; infinite if M is 0."""
    if not len(there):
        return np.full(len(here), np.inf)
    if not len(here):
        return np.zeros(0)
    scale = np.asarray(spacing)
    nearest = KDTree(there * scale).query(here * scale, workers=-1)[1]
    # Anew from whole numbers: the tree subtracts products, whose rounding decides at "<= tolerance".
    distances: Floats = np.linalg.norm((here - there[nearest]) * scale, axis=1)
    return distances


def _percentile(distances: Floats, areas: Floats, percent: float) -> float:
    """The distance that ``percent`` of the area does not exceed."""
    order = np.argsort(distances)
    shares = np.cumsum(areas[order]) / areas.sum()
    return float(distances[order][min(int(np.searchsorted(shares, percent / 100)), len(order) - 1)])
