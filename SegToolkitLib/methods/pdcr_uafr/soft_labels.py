"""Soft labels: the share of each foreground class in a patch around each sampled position.

Sums over boxes come from integral images (cumulative sums), so that the number and the size of the patches
cost next to nothing. Axes are (y, x) or (z, y, x); boxes are half-open.
Source: Liu et al., arXiv 2201.08779, and the released code.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

Denominator = Literal["clipped", "full"]


class Boxes(NamedTuple):
    """Half-open boxes, not yet clipped to an image.

    Attributes:
        low, high: int64 [P, N, axes]; P is the number of sizes a position has.
    """

    low: Tensor
    high: Tensor


def squares(centres: Tensor, sizes: Sequence[int]) -> Boxes:
    """Small squares (or cubes) around positions; of odd ones the middle is a pixel before the centre.

    Args:
        centres: int64 [N, axes].
        sizes: side lengths in pixels; P of them.
    """
    sides = torch.tensor(sizes, device=centres.device).reshape(-1, 1, 1)
    # Released: truncation towards 0, which differs only where the image clips.
    return Boxes((2 * centres - sides) // 2, (2 * centres + sides) // 2)


def fields(centres: Tensor, sizes: Sequence[int]) -> Boxes:
    """Receptive fields around positions.

    Args:
        centres: int64 [N, axes].
        sizes: of the field, in pixels on each axis; an even one loses a pixel.
    """
    half = (torch.tensor(sizes, device=centres.device) - 1) // 2
    return Boxes((centres - half)[None], (centres + half + 1)[None])


def cut_short(boxes: Boxes, size: Sequence[int]) -> Boxes:
    """Without the image's last pixel on each axis: a mistake of the released code, for fields."""
    last = torch.tensor(tuple(size), device=boxes.high.device)
    return Boxes(boxes.low, boxes.high.minimum(last - 1))


def transposed(boxes: Boxes) -> Boxes:
    """Rows for columns: a mistake of the released code, for squares."""
    return Boxes(boxes.low.flip(-1), boxes.high.flip(-1))


def foreground(labels: Tensor, classes: int = 1) -> Tensor:
    """One map a foreground class.

    Args:
        labels: whole numbers [B, ...] (no channel axis).
        classes: 1 makes everything above 0 foreground; more tell 1 to ``classes`` apart.

    Returns:
        bool [B, classes, ...].
    """
    if classes == 1:
        return (labels > 0).unsqueeze(1)
    return torch.stack([labels == value for value in range(1, classes + 1)], dim=1)


def shares(
    masks: Tensor, boxes: Boxes, denominator: Denominator = "clipped", ignored: Tensor | None = None
) -> Tensor:
    """Share of each class in each box.

    Args:
        masks: 0 and 1 (or bool) [B, Q, ...], one map a foreground class; regions may overlap.
        boxes: P x N of them.
        denominator: pixels of the box as clipped to the image; or of the full box, so that the border lowers
            shares (3-D, as released).
        ignored: bool [B, ...]; these pixels count neither as foreground nor in the denominator.

    Returns:
        float32 [B, P, N, Q] within 0 and 1, never NaN: 0 where nothing of a box is left.
    """
    boxes = Boxes(boxes.low.to(masks.device), boxes.high.to(masks.device))
    if ignored is not None:
        masks = (masks != 0) & ~ignored.unsqueeze(1)
    counts = box_sums(masks, boxes)
    if denominator == "clipped":
        low, high = _clipped(boxes, masks.shape[2:])
    else:
        low, high = boxes
    volume = (high - low).clamp(min=0).prod(-1)[None, ..., None]
    if ignored is not None:
        volume = volume - box_sums(ignored.unsqueeze(1), boxes)
    return counts / volume.clamp(min=1)


def ranked_shares(labels: Tensor, boxes: Boxes, classes: int) -> Tensor:
    """Shares as the released 3-D code counts them, which is a mistake: classes by rank, not by name.

    Of the labels present in a box (cut short) the lowest is dropped, be it background or not; the others fill
    the classes from the first on.

    Args:
        labels: whole numbers [B, ...].
        boxes: P x N of them, whose full volume is the denominator.
        classes: foreground classes.

    Returns:
        float32 [B, P, N, classes].
    """
    maps = torch.stack([labels == value for value in range(classes + 1)], dim=1)
    counts = box_sums(maps, cut_short(boxes, labels.shape[1:]))
    rank = (counts > 0).cumsum(-1) - 1
    # Place 0 takes the dropped one; absent classes add nothing wherever they go.
    ranked = torch.zeros_like(counts).scatter_add_(-1, rank.clamp(min=0), counts)
    return ranked[..., 1:] / (boxes.high - boxes.low).prod(-1)[None, ..., None].to(counts.device)


def box_sums(masks: Tensor, boxes: Boxes) -> Tensor:
    """Sum of maps [B, Q, ...] over boxes, clipped to the image: int64 [B, P, N, Q]."""
    size = masks.shape[2:]
    low, high = _clipped(Boxes(boxes.low.to(masks.device), boxes.high.to(masks.device)), size)
    high = high.maximum(low)
    integral = masks.new_zeros((*masks.shape[:2], *(n + 1 for n in size)), dtype=torch.int32)
    inner = tuple(slice(1, None) for _ in size)
    integral[(slice(None), slice(None), *inner)] = masks != 0
    for axis in range(2, integral.ndim):
        integral = integral.cumsum(axis, dtype=torch.int32)
    total = torch.zeros((), dtype=torch.int64, device=masks.device)
    for corner in itertools.product((0, 1), repeat=len(size)):
        places = torch.where(torch.tensor(corner, device=masks.device).bool(), high, low)
        index: tuple[Any, ...] = (slice(None), slice(None), *places.unbind(-1))
        value = integral[index]
        total = total + (-1) ** (len(size) - sum(corner)) * value.long()
    return total.movedim(1, -1)


def _clipped(boxes: Boxes, size: Sequence[int]) -> Boxes:
    last = torch.tensor(tuple(size), device=boxes.low.device)
    return Boxes(boxes.low.clamp(min=0).minimum(last), boxes.high.clamp(min=0).minimum(last))
