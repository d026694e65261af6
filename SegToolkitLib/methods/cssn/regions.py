"""Connected parts of organs, and the region of the volume that the fine network looks at.

Arrays are [z, y, x], sizes and boxes in that order. Every rounding is that of the released code.
Source: released inference code of SemiSeg-CSSN; ``keep`` for each organ and limits in true mm3 are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.methods.cssn.plan import InferencePlan
from SegToolkitLib.methods.cssn.prepare import Box, Spacing
from SegToolkitLib.methods.cssn.weights import Stage
from SegToolkitLib.volume.parts import Mask, largest_parts


def paint_parts(labels: NDArray[np.uint8], mask: Mask, value: int, keep: int | None, least: float) -> int:
    """Write a value into the labels where :func:`largest_parts` keeps the mask; both [z, y, x].

    Returns:
        Voxels of the largest part where there are parts, but all too small; 0 otherwise.
    """
    box = box_of(mask)
    if box is None:
        return 0
    kept = largest_parts(mask[box.slices], keep, least)
    labels[box.slices][kept] = value
    if kept.any():
        return 0
    largest = int(np.count_nonzero(largest_parts(mask[box.slices])))
    return largest if largest <= least else 0


def least_voxels(
    rules: InferencePlan, stage: Stage, spacing: Spacing, shape: Sequence[int], size: Sequence[int]
) -> float:
    """How many voxels a part of an organ must have more of.

    As released, the fine stage's limit in true mm3 is ``fine_least_mm3`` times the voxels of the network for
    one of the crop's: 0.5 cm3 in a large CT, and 6 to 20 cm3 in crops smaller than the network's input.

    Args:
        stage: "coarse" counts voxels of the network, "fine" those of the crop.
        spacing: (z, y, x) in mm of the volume.
        shape: of the volume or crop that the network saw.
        size: of the network's input.
    """
    voxel = math.prod(spacing)
    network_voxel = voxel * math.prod(n / m for n, m in zip(shape, size, strict=True))
    if stage == "coarse":
        return rules.coarse_least_mm3 / network_voxel
    # As released: the voxels of the crop are counted, but the network's voxel is the measure.
    return rules.fine_least_mm3 / (network_voxel if rules.least_rule == "released" else voxel)


def box_of(mask: NDArray) -> Box | None:
    """The smallest box around everything that is not 0; None for nothing."""
    spans = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(used):
            return None
        spans.append((int(used[0]), int(used[-1]) + 1))
    return box_from(spans)


def box_from(spans: Sequence[tuple[int, int]]) -> Box:
    """The box of first and past-the-last voxels, an axis at a time."""
    (a, b), (c, d), (e, f) = spans
    return Box((a, c, e), (b, d, f))


def organ_box(labels: NDArray[np.uint8], half_height: float | None) -> Box | None:
    """The box around all organs of a label map [z, y, x], limited in z around the largest part.

    A whole-body scan would otherwise let a false find far from the abdomen stretch the region.

    Args:
        labels: of the coarse stage.
        half_height: in voxels; the largest distance in z from the centre of the largest connected part of one
            organ (usually the liver). None: no limit.
    """
    box = box_of(labels)
    if box is None or half_height is None:
        return box
    centre, reach = round(_centre_of_largest(labels)), round(half_height)
    (low, *start), (high, *stop) = box
    return box_from(
        [(max(low, centre - reach), min(high, centre + reach + 1)), *zip(start, stop, strict=True)]
    )


def _centre_of_largest(labels: NDArray[np.uint8]) -> float:
    """Mean z of the largest 26-connected part of one label."""
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    best, centre = 0, 0.0
    for value in np.argsort(-counts, kind="stable"):
        if counts[value] <= best:  # not even all of this organ together is larger
            break
        # Organs that were painted later may have cut this one in two.
        heights = np.nonzero(largest_parts(labels == value, 1, 0))[0]
        if len(heights) > best:
            best, centre = len(heights), float(heights.mean())
    return centre


def region_box(
    box: Box, zoom: Sequence[float], shape: Sequence[int], spacing: Spacing, margin_mm: float
) -> Box:
    """A box of the coarse grid in voxels of the volume, with a margin.

    Args:
        box: on the coarse grid.
        zoom: voxels of the volume for one of the coarse grid (z, y, x).
        shape, spacing: of the volume (z, y, x; mm).
        margin_mm: on every side.
    """
    spans = []
    for low, high, scale, voxels, mm in zip(*box, zoom, shape, spacing, strict=True):
        margin = margin_mm / mm
        start = max(0, int(int(low * scale) - margin))
        # As released: the scaled index of the last voxel is the end. A thin volume keeps one voxel at least.
        stop = min(voxels, max(start + 1, int(int((high - 1) * scale) + margin)))
        spans.append((start, stop))
    return box_from(spans)
