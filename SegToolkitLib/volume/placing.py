"""Carry voxels from one grid to another: by index where the lattices coincide, by interpolation elsewhere."""

from __future__ import annotations

import numpy as np

from SegToolkitLib.volume.grid import Grid
from SegToolkitLib.volume.interpolation import linear, resampled_label
from SegToolkitLib.volume.lattice import coincidence, cut, moved
from SegToolkitLib.volume.volume import Volume


def onto_grid(
    volume: Volume, like: Volume | Grid, *, label: bool, fill: float = 0, smooth: bool = False
) -> Volume:
    """The volume on the grid of ``like``, at the same place in the patient.

    Where one lattice is the other one with axes swapped, flipped or shifted by whole voxels, values are
    copied, bit for bit. Elsewhere images are interpolated linearly (float32, or float64 if they were);
    labels are interpolated one at a time and the largest share wins, which keeps smooth outlines
    smooth. What lies outside ``volume`` becomes ``fill`` (labels: 0).

    Args:
        volume: [k, j, i] (or [1, j, i, c]); integers if ``label``.
        like: a volume, or the grid itself, that says where voxels are wanted.
        label: whether the values are names (labels) and must not be mixed.
        fill: value outside, for images.
        smooth: towards finer voxels, look for smooth outlines between the voxels of the labels; each
            voxel centre keeps its label. For results of a method on a coarser grid.
    """
    target = like if isinstance(like, Grid) else like.grid
    fill = 0 if label else fill
    steps = coincidence(volume.grid, target)
    if steps is not None:
        array = cut(moved(volume.voxels, steps[0], steps[1]), steps[2], target.size, fill)
    elif label:
        array = resampled_label(volume.voxels, volume.grid, target, smooth=smooth)
    else:
        kind = np.float64 if volume.voxels.dtype == np.float64 else np.float32
        array = linear(volume.voxels.astype(kind), volume.grid, target, fill)
    return Volume(array, target.spacing, target.origin, target.direction, volume.name)
