"""Moving by whole voxels: when two grids share one lattice, and how arrays follow."""

from __future__ import annotations

from itertools import product
from typing import cast

import numpy as np

from SegToolkitLib.volume.grid import Grid, Shape, Triple

# Two lattices count as one when no voxel is further off than this part of a voxel: header rounding.
COINCIDENT_VOXELS = 0.01


def coincidence(source: Grid, target: Grid) -> tuple[Shape, tuple[bool, ...], Shape] | None:
    """How to get from source indices to target indices by whole voxels, or None.

    Returns:
        For each target axis i, j, k: the source axis it takes, whether that is flipped, and the index
        (after permuting and flipping) at which the target starts; it may be negative.
    """
    matrix = np.linalg.inv(source.affine) @ target.affine
    whole = np.rint(matrix)
    axes = np.abs(whole[:3, :3])
    if not ((axes.sum(axis=0) == 1).all() and (axes.sum(axis=1) == 1).all()):
        return None
    ends = np.array([(*ijk, 1) for ijk in product(*[(0, n - 1) for n in target.size])], float)
    thin = [n == 1 for n in target.size]
    drift = np.abs((matrix - whole) @ ends.T).max()
    # A thin axis hides a different spacing from the corners: compare the step itself there.
    if max(drift, np.abs((matrix - whole)[:3, :3][:, thin]).max(initial=0)) > COINCIDENT_VOXELS:
        return None
    permutation = cast(Shape, tuple(int(np.argmax(axes[:, a])) for a in range(3)))
    flips = tuple(bool(whole[s, a] < 0) for a, s in enumerate(permutation))
    start = tuple(
        int(source.size[s] - 1 - whole[s, 3]) if flip else int(whole[s, 3])
        for s, flip in zip(permutation, flips, strict=True)
    )
    return permutation, flips, cast(Shape, start)


def moved(voxels: np.ndarray, permutation: Shape, flips: tuple[bool, ...]) -> np.ndarray:
    """Permute and flip an array [k, j, i, ...] by axes given in the order i, j, k."""
    # Axis i is the last of the three in the array: index axis a is array axis 2 - a.
    order = [2 - permutation[2 - position] for position in range(3)]
    array = voxels.transpose(*order, *range(3, voxels.ndim))
    return array[tuple(slice(None, None, -1) if flips[2 - p] else slice(None) for p in range(3))]


def cut(voxels: np.ndarray, start: Shape, size: Shape, fill: float) -> np.ndarray:
    """The box [start, start + size) (i, j, k) of an array [k, j, i, ...]; ``fill`` outside it."""
    array = np.full((*size[::-1], *voxels.shape[3:]), fill, dtype=voxels.dtype)
    taken, put = [], []
    for begin, count, available in zip(start[::-1], size[::-1], voxels.shape, strict=False):
        low, high = max(begin, 0), min(begin + count, available)
        if high <= low:
            return array
        taken.append(slice(low, high))
        put.append(slice(low - begin, high - begin))
    array[tuple(put)] = voxels[tuple(taken)]
    return array


def sub_grid(grid: Grid, start: Shape, size: Shape) -> Grid:
    """The grid of the box [start, start + size) (i, j, k), which may reach outside."""
    origin = cast(Triple, tuple(grid.world([start])[0]))
    return Grid(cast(Shape, tuple(size[::-1])), grid.spacing, origin, grid.direction, grid.name)


def content_box(voxels: np.ndarray) -> tuple[Shape, Shape] | None:
    """First voxel and size (i, j, k) of the box around all that is not 0; None where there is nothing.

    Args:
        voxels: array [k, j, i].
    """
    used = voxels != 0
    # Planes first: a single pass over the volume for two of the three axes.
    flat = np.any(used, axis=0)
    lines = (np.any(flat, axis=0), np.any(flat, axis=1), np.any(used, axis=(1, 2)))
    places = [np.flatnonzero(line) for line in lines]
    if not len(places[0]):
        return None
    low = tuple(int(one[0]) for one in places)
    size = tuple(int(one[-1]) + 1 - first for one, first in zip(places, low, strict=True))
    return cast(Shape, low), cast(Shape, size)
