"""Adaptive local prototype pooling: from support features and a mask to scores of a query.

Notation of the method (Ouyang et al., ECCV 2020, section 3.2): q query features, s support features,
y soft support mask at feature size, p prototypes.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Mode = Literal["mask", "gridconv", "gridconv+"]

SIMILARITY_SCALE = 20.0
MIN_NORM = 1e-4
GATE_WINDOW = 4


class NoPrototypeError(RuntimeError):
    """No cell of the support is covered enough by the mask to give a local prototype."""


def resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring masks [S, H, W] to feature size as soft masks [S, 1, h, w] (bilinear, no antialiasing)."""
    return F.interpolate(mask[:, None].float(), size=size, mode="bilinear", align_corners=False)


def foreground_mode(mask: Tensor, threshold: float = 0.95) -> Mode:
    """Choose local and global prototypes for a large enough structure, else the global one alone.

    Args:
        mask: soft foreground [S, 1, h, w].
        threshold: the largest 4 x 4 average has to reach it; the 4 is fixed whatever the window.
    """
    if min(mask.shape[-2:]) < GATE_WINDOW:
        return "mask"
    return "gridconv+" if F.avg_pool2d(mask, GATE_WINDOW).max() >= threshold else "mask"


def local_prototypes(features: Tensor, mask: Tensor, window: tuple[int, int], threshold: float) -> Tensor:
    """Average the features of every window that the mask covers by more than ``threshold``.

    Args:
        features: [S, C, h, w].
        mask: [S, 1, h, w], soft.
        window: rows and columns of the pooling window; remainders at the far edges are dropped.

    Returns:
        [N, C], in the order shot, row, column; N may be 0.
    """
    window = (min(window[0], features.shape[-2]), min(window[1], features.shape[-1]))
    cells = F.avg_pool2d(features, window).flatten(2).transpose(1, 2).flatten(0, 1)
    return cells[F.avg_pool2d(mask, window).flatten() > threshold]


def global_prototypes(features: Tensor, mask: Tensor) -> Tensor:
    """Masked average of each shot: features [S, C, h, w], mask [S, 1, h, w] -> [S, C]."""
    return (features * mask).sum((-2, -1)) / (mask.sum((-2, -1)) + 1e-5)


def prototypes(
    features: Tensor,
    mask: Tensor,
    mode: Mode,
    window: tuple[int, int],
    threshold: float = 0.95,
) -> Tensor:
    """Return the prototypes [N, C] of one class.

    Args:
        features: support features [S, C, h, w].
        mask: soft mask of the class [S, 1, h, w].
        mode: "mask" (one global prototype, averaged over shots), "gridconv" (local ones) or
            "gridconv+" (local ones followed by one global one per shot).
        window: pooling window of the local prototypes.
        threshold: coverage above which a window counts.

    Raises:
        NoPrototypeError: mode "gridconv", and no window is covered.
    """
    if mode == "mask":
        return global_prototypes(features, mask).mean(0, keepdim=True)
    local = local_prototypes(features, mask, window, threshold)
    if mode == "gridconv+":
        return torch.cat([local, global_prototypes(features, mask)])
    if len(local) == 0:
        raise NoPrototypeError
    return local


def score(query: Tensor, protos: Tensor) -> tuple[Tensor, Tensor]:
    """Compare every query position with the prototypes of one class.

    a_i = 20 cos(q, p_i); the score is the sum of a_i weighted by their softmax. With one prototype
    this is 20 cos(q, p), the authors' mode "mask".

    Args:
        query: features [B, C, h, w].
        protos: [N, C], N >= 1.

    Returns:
        Scores [B, 1, h, w] and the index of the most similar prototype [B, h, w].
    """
    similarity = similarities(query, protos)
    return pool(similarity), similarity.argmax(1)


def similarities(query: Tensor, protos: Tensor) -> Tensor:
    """a_i(x) = 20 cos(q(x), p_i): query [B, C, h, w] and prototypes [N, C] -> [B, N, h, w]."""
    flat = _unit(protos, 1) @ _unit(query, 1).flatten(2)
    return SIMILARITY_SCALE * flat.unflatten(2, query.shape[-2:])


def pool(similarity: Tensor) -> Tensor:
    """Sum of the similarities [B, N, h, w], weighted by their softmax -> [B, 1, h, w]."""
    return (similarity.softmax(1) * similarity).sum(1, keepdim=True)


def _unit(x: Tensor, axis: int) -> Tensor:
    return x / x.norm(dim=axis, keepdim=True).clamp_min(MIN_NORM)
