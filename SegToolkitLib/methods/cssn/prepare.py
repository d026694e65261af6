"""From a volume to what a network sees: canonical axes, the box around the organs, the network's size.

Arrays are [z, y, x] with z growing towards the head, y to the front and x to the right; sizes, spacings (mm)
and boxes are in the same order.
Source: released data preparation of SemiSeg-CSSN.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegToolkitLib.volume import Reorient, Volume

CANONICAL = "RAS"
Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]
# Of the sum of eight weights, where it should be exactly one half.
ROUNDING = 1e-9


class Box(NamedTuple):
    """Voxels from ``start`` to before ``stop``, (z, y, x)."""

    start: Triple
    stop: Triple

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """What cuts the box out of an array."""
        (a, b, c), (d, e, f) = self.start, self.stop
        return slice(a, d), slice(b, e), slice(c, f)

    @property
    def shape(self) -> Triple:
        """Voxels along each axis."""
        return _triple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Box:
        """All of an array."""
        return cls((0, 0, 0), _triple(shape))


def canonical(volume: Volume) -> Volume:
    """The volume with its axes permuted and flipped to the canonical frame; oblique ones to the nearest.

    The authors look at the diagonal of the direction matrix alone, which leaves sagittal and coronal
    volumes as they are; for axial ones the result is the same.
    """
    return Reorient(CANONICAL).apply(volume)[0]


def spacing_of(volume: Volume) -> Spacing:
    """Spacing in mm along z, y, x."""
    x, y, z = volume.spacing
    return z, y, x


def resample_array(array: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Interpolate linearly to ``size`` with aligned corners: index i of the result lies at
    i * (n_in - 1) / (n_out - 1). Integers stay integers and are rounded, half away from zero.

    Args:
        array: [z, y, x], int or float.
        size: (z, y, x) voxels of the result.
    """
    result: NDArray[Any] = np.empty(tuple(size), array.dtype)
    zoom = [new / old for new, old in zip(size, array.shape, strict=True)]
    # "nearest": the last index may be rounded to a place beyond the last voxel.
    ndimage.zoom(array, zoom, output=result, order=1, mode="nearest")
    return result


def resample_mask(mask: NDArray[Any], size: Sequence[int]) -> NDArray[np.uint8]:
    """Bring a label map to ``size``: each label's mask is interpolated linearly (aligned corners) and
    kept where it is 0.5 or more; of two labels that meet at exactly one half, the larger number wins.

    Args:
        mask: [z, y, x], values 0 to 255.
        size: (z, y, x) voxels of the result.

    Returns:
        [z, y, x], uint8.
    """
    mask = np.asarray(mask, np.uint8)
    axes = [_neighbours(old, new) for old, new in zip(mask.shape, size, strict=True)]
    corners = np.stack(
        [mask[np.ix_(*(axis[0][end] for axis, end in zip(axes, ends, strict=True)))] for ends in _ENDS]
    )
    result: NDArray[np.uint8] = corners[0].copy()
    # Inside and outside of organs all eight neighbours agree; only the others need their weights.
    z, y, x = np.nonzero((corners != corners[0]).any(0))
    around = corners[:, z, y, x]
    weights = np.stack([axes[0][1][a][z] * axes[1][1][b][y] * axes[2][1][c][x] for a, b, c in _ENDS])
    found = np.zeros(len(z), np.uint8)
    for value in np.unique(around):
        if value:
            share = np.where(around == value, weights, 0).sum(0)
            found[share >= 0.5 - ROUNDING] = value
    result[z, y, x] = found
    return result


_ENDS = tuple(itertools.product((0, 1), repeat=3))


def _neighbours(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Indices [2, new] of the voxels before and behind each place along an axis, and their weights."""
    places = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
    before = np.clip(np.floor(places).astype(np.intp), 0, max(0, old - 2))
    behind = np.minimum(before + 1, old - 1)
    share = np.clip(places - before, 0, 1)
    return np.stack([before, behind]), np.stack([1 - share, share])


def bounds_of(mask: NDArray[Any]) -> tuple[Triple, Triple] | None:
    """First and last index (z, y, x), both included, of what is not 0; None where all is."""
    extents = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        (found,) = np.nonzero(mask.any(axis=others))
        if not len(found):
            return None
        extents.append((int(found[0]), int(found[-1])))
    return _triple(low for low, _ in extents), _triple(high for _, high in extents)


def margin_box(low: Triple, high: Triple, shape: Sequence[int], spacing: Sequence[float], mm: float) -> Box:
    """The box of ``bounds_of`` with a margin of ``mm`` millimetres, within an array of ``shape``.

    The margin is truncated to whole voxels, and at the upper side the last voxel counts as one of it.
    """
    margins = margin_voxels(spacing, mm)
    return Box(
        _triple(max(0, a - margin) for a, margin in zip(low, margins, strict=True)),
        # Where a voxel is larger than the margin, the last one would be cut off.
        _triple(min(n, b + max(1, margin)) for n, b, margin in zip(shape, high, margins, strict=True)),
    )


def margin_voxels(spacing: Sequence[float], mm: float) -> Triple:
    """Whole voxels of a margin, truncated."""
    return _triple(mm / step for step in spacing)


def _triple(values: Any) -> Triple:
    z, y, x = (int(value) for value in values)
    return z, y, x
