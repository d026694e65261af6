"""Moving by parts of voxels: linear interpolation of images, and of labels one at a time."""

from __future__ import annotations

from itertools import product
from typing import cast

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, maximum_filter

from SegToolkitLib.volume.grid import Grid, Shape
from SegToolkitLib.volume.lattice import cut, sub_grid
from SegToolkitLib.volume.volume import NOTHING

# Interpolated shares that should be equal differ by float32 rounding.
TIE = 1e-4
# Width (voxels) of the smoothing that finds the outline between voxels. Measured on spheres of 8 to 12 coarse
# voxels radius, resampled to 1.3 to 3 times coarser spacing and back: Dice 0.971 to 0.986 without, 0.977 to
# 0.994 with.
OUTLINE_SIGMA = 1.0
OUTLINE_REACH = 3
# A voxel keeps its own label when smoothed: its share stays on its side of one half by this much.
OUTLINE_MARGIN = 0.05


def linear(voxels: np.ndarray, source: Grid, target: Grid, fill: float) -> np.ndarray:
    """Linear interpolation; up to half a voxel beyond the outermost centres the edge value holds."""
    # In index coordinates of the source: for axes that stay parallel all numbers are exact.
    affine = np.linalg.inv(source.affine) @ target.affine
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / steps
    direction[np.abs(direction) < NOTHING] = 0
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels), isVector=voxels.ndim == 4)
    resampled = sitk.Resample(
        image,
        target.size,
        sitk.Transform(3, sitk.sitkIdentity),
        sitk.sitkLinear,
        affine[:3, 3].tolist(),
        steps.tolist(),
        direction.ravel().tolist(),
        float(fill),
    )
    array: np.ndarray = sitk.GetArrayFromImage(resampled)
    return array


def resampled_label(voxels: np.ndarray, source: Grid, target: Grid, *, smooth: bool) -> np.ndarray:
    """Labels [k, j, i] of ``source`` on another lattice.

    A voxel is foreground where the interpolated union of all labels reaches one half (a tie counts, so
    that a structure one voxel thick is not lost); it gets the label with the largest share there.
    If ``smooth`` and the target is finer along any axis, outlines are smoothed (:func:`_outline`).
    """
    integers = voxels.astype(np.uint8) if voxels.dtype == bool else voxels
    winner = np.zeros(target.shape, dtype=integers.dtype)
    best = np.zeros(target.shape, dtype=np.float32)
    outline = smooth and _is_finer(source, target)
    foreground = integers != 0
    values = np.unique(integers[foreground])
    for value in values:
        found = _share(integers == value, source, target, outline)
        if found is None:
            continue
        where, share = found
        ahead = share > best[where] + TIE
        best[where][ahead] = share[ahead]
        winner[where][ahead] = value
    if len(values) > 1:
        # Between touching labels no share need reach one half, yet nothing of the union is background.
        best[:] = 0
        found = _share(foreground, source, target, outline)
        if found is not None:
            best[found[0]] = found[1]
    winner[best < 0.5 - TIE] = 0
    return winner.astype(voxels.dtype)


def _share(
    mask: np.ndarray, source: Grid, target: Grid, outline: bool
) -> tuple[tuple[slice, ...], np.ndarray] | None:
    """How much of a mask is at each target voxel: the part of the target reached, and shares there."""
    # Only the surroundings are interpolated: an organ is a small part of a volume.
    start, size = _box(mask)
    grid = sub_grid(source, start, size)
    reach = _reached(grid, target)
    if reach is None:
        return None
    low, high = reach
    part = cut(mask.astype(np.float32), start, size, 0)
    part = _outline(part) if outline else part
    count = cast(Shape, tuple(h - b for b, h in zip(low, high, strict=True)))
    share = linear(part, grid, sub_grid(target, low, count), 0)
    return tuple(slice(b, h) for b, h in zip(low[::-1], high[::-1], strict=True)), share


def _outline(mask: np.ndarray) -> np.ndarray:
    """Shares [k, j, i] of a 0/1 mask whose level of one half is a smooth outline between its voxels.

    Each voxel stays on its side of the outline. With G a Gaussian, 2 G - G G has no second moment: unlike
    G alone it does not shrink what is round. What is one voxel thick has no outline to smooth and stays.
    """
    sigma = [OUTLINE_SIGMA if n > 1 else 0 for n in mask.shape]
    once = gaussian_filter(mask, sigma, mode="nearest", truncate=OUTLINE_REACH)
    smooth = 2 * once - gaussian_filter(once, sigma, mode="nearest", truncate=OUTLINE_REACH)
    inside = mask > 0
    shares = np.where(
        inside, np.maximum(smooth, 0.5 + OUTLINE_MARGIN), np.minimum(smooth, 0.5 - OUTLINE_MARGIN)
    ).astype(np.float32)
    thin = inside & ~_thick(inside)
    if thin.any():
        shares[maximum_filter(thin, size=3) & ~inside] = 0
        shares[thin] = 1
    return shares


def _thick(inside: np.ndarray) -> np.ndarray:
    """Which voxels of a mask belong to a block of two voxels along every axis (of more than one voxel)."""
    blocks = inside
    axes = [axis for axis in range(3) if inside.shape[axis] > 1]
    for axis in axes:
        length = blocks.shape[axis]
        blocks = blocks.take(range(length - 1), axis) & blocks.take(range(1, length), axis)
    for axis in axes:
        widths = [(1, 1) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(blocks, widths)
        length = padded.shape[axis]
        blocks = padded.take(range(length - 1), axis) | padded.take(range(1, length), axis)
    return blocks


def _is_finer(source: Grid, target: Grid) -> bool:
    """Whether the target steps finer along any source axis of more than one voxel."""
    steps = np.abs((np.linalg.inv(source.affine) @ target.affine)[:3, :3]).max(axis=1)
    return any(step < 1 - 1e-3 and n > 1 for step, n in zip(steps, source.size, strict=True))


def _box(mask: np.ndarray) -> tuple[Shape, Shape]:
    """Start and size (i, j, k) of the box around a mask with a margin, inside the array."""
    start, size = [], []
    for axis in (2, 1, 0):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        low = max(int(used[0]) - OUTLINE_REACH, 0)
        start.append(low)
        size.append(min(int(used[-1]) + 1 + OUTLINE_REACH, mask.shape[axis]) - low)
    return cast(Shape, tuple(start)), cast(Shape, tuple(size))


def _reached(source: Grid, target: Grid) -> tuple[Shape, Shape] | None:
    """First and past-the-last index (i, j, k) of the target voxels whose centres ``source`` can cover."""
    ends = np.array(list(product(*[(-0.5, n - 0.5) for n in source.size])))
    indices = target.index(source.world(ends))
    low = np.maximum(np.floor(indices.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(indices.max(axis=0)).astype(int) + 1, target.size)
    if (high <= low).any():
        return None
    return cast(Shape, tuple(low.tolist())), cast(Shape, tuple(high.tolist()))
