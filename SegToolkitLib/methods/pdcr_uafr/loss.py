"""The patch-dragsaw loss: alike vectors are drawn together, unlike ones pushed apart, by degrees.

With cosine similarity s / t, shares r of the patches, difference d = |r_i - r_j| (summed over classes) and
affinity a = 1 - d:  l_ij = -log( exp(s_ij a_ij) / sum_k exp(s_ik d_ik) ).
The released 2-D code exchanges a and d, which draws all vectors together.
Source: Liu et al., arXiv 2201.08779; the 3-D part of the released code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Form = Literal["paper", "released"]
Reduction = Literal["mean", "sum"]
Largest = Literal["found", "constant"]

NORM_EPSILON = 1e-8


def single_loss(
    features: Tensor,
    ratios: Tensor,
    temperature: float = 1.0,
    *,
    average: Sequence[float] | None = None,
    form: Form = "paper",
    reduction: Reduction = "mean",
    largest: Largest = "found",
) -> Tensor:
    """Loss of all ordered pairs of one layer's vectors, each with itself included.

    Args:
        features: [B, C, N].
        ratios: soft labels [B, P, N, Q] within 0 and 1; each of the P patch sizes has a loss, of which the
            mean is taken.
        temperature: divides similarities.
        average: weights of the patch sizes; one loss of their mean shares then, in place of P losses.
        form: "released" exchanges affinity and difference (a mistake).
        reduction: over batch and pairs.
        largest: what is taken from similarities first: the largest one found in the whole batch, with its
            gradient, as released; or the constant that it is at most.

    Returns:
        A scalar, in float32 or better.
    """
    if average is not None:
        ratios = averaged(ratios, average)
    return _loss(features, features, ratios, ratios, temperature, form, reduction, largest)


def cross_loss(
    first: Tensor,
    second: Tensor,
    first_ratios: Tensor,
    second_ratios: Tensor,
    temperature: float = 1.0,
    *,
    average: Sequence[float] | None = None,
    form: Form = "paper",
    reduction: Reduction = "mean",
    largest: Largest = "found",
) -> Tensor:
    """Loss of all pairs of a vector of a shallow layer with one of a deeper layer.

    Args:
        first, second: [B, C, N] and [B, C, M] of the shallower and of the deeper layer.
        first_ratios, second_ratios: [B, P, N, Q] and [B, P, M, Q].
        temperature, average, form, reduction, largest: as in :func:`single_loss`.
    """
    divisor = 1
    if average is not None:
        if form == "released":
            # The released code divides by the number of patch sizes here, too.
            divisor = first_ratios.shape[1]
        first_ratios, second_ratios = averaged(first_ratios, average), averaged(second_ratios, average)
    ratios = first_ratios, second_ratios
    return _loss(first, second, *ratios, temperature, form, reduction, largest) / divisor


def averaged(ratios: Tensor, weights: Sequence[float]) -> Tensor:
    """Weighted mean over patch sizes: [B, P, N, Q] to [B, 1, N, Q]."""
    factors = ratios.new_tensor(tuple(weights)).reshape(1, -1, 1, 1)
    return (ratios * factors).sum(1, keepdim=True) / factors.sum()


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Cosine over channels: [B, C, N] and [B, C, M] to [B, N, M]."""
    first, second = (F.normalize(one, dim=1, eps=NORM_EPSILON) for one in (first, second))
    return first.transpose(1, 2) @ second


def _loss(
    first: Tensor,
    second: Tensor,
    first_ratios: Tensor,
    second_ratios: Tensor,
    temperature: float,
    form: Form,
    reduction: Reduction,
    largest: Largest,
) -> Tensor:
    # Half precision would round affinities of alike patches to one.
    with torch.autocast(first.device.type, enabled=False):
        same = first is second
        first = _precise(first)
        scores = similarity(first, first if same else _precise(second)) / temperature
        scores = scores - (1 / temperature if largest == "constant" else scores.max())
        difference = (first_ratios.unsqueeze(3) - second_ratios.unsqueeze(2)).abs().sum(-1)
        affinity = 1 - difference
        near, far = (affinity, difference) if form == "paper" else (difference, affinity)
        scores = scores.unsqueeze(1)  # [B, 1, N, M] against [B, P, N, M]
        losses = torch.logsumexp(scores * far, dim=-1, keepdim=True) - scores * near
        if reduction == "mean":
            return losses.mean()
        return losses.sum() / losses.shape[1]


def _precise(values: Tensor) -> Tensor:
    return values.float() if values.element_size() < 4 else values
