"""Latent codes with holes, from which hard examples are decoded.

Channels are dropped at random, or those channels or places are weakened whose increase would raise a loss:
signed means of its gradient say which.
Source: Chen et al., MICCAI 2021, arXiv 2107.01079, section 2.2, and the released code; the targeted kinds
follow Huang et al., Self-Challenging, ECCV 2020.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from SegToolkitLib.methods.cooperative.mask_settings import MaskSettings

Kind = Literal["dropout", "channel", "spatial"]
KINDS: tuple[Kind, ...] = ("dropout", "channel", "spatial")

# The most that is left of what a soft mask weakens.
SOFTEST = 0.5


class Masked(NamedTuple):
    """A code with holes.

    Attributes:
        code: [N, C, y, x], without gradient.
        factors: what the code was multiplied by: [N, C, 1, 1], or [N, 1, y, x] of kind "spatial".
        kept: where the code is whole, bool, of the shape of ``factors``.
        kind: of the mask.
        share: of channels or places that were to be masked.
    """

    code: Tensor
    factors: Tensor
    kept: Tensor
    kind: Kind
    share: float


def draw_kind(settings: MaskSettings, generator: torch.Generator) -> Kind:
    """The kind of mask for one batch: of "random", each with the same probability."""
    if settings.kind != "random":
        return settings.kind
    return KINDS[int(torch.randint(len(KINDS), (), generator=generator))]


def masked(
    code: Tensor, kind: Kind, settings: MaskSettings, generator: torch.Generator, gradient: Tensor | None
) -> Masked:
    """Make holes into a code.

    Args:
        code: [N, C, y, x].
        kind: of the mask.
        settings: how much is masked, and how.
        generator: draws on the CPU, so that a seed gives the same masks on every device.
        gradient: of the loss in the code, of its shape; "dropout" needs none.
    """
    code = code.detach()
    if kind == "dropout":
        share = settings.max_threshold
        kept = torch.rand(code.shape[:2], generator=generator) >= share
        return _masked(code, dropout_factors(kept, share), kept, kind, share)
    assert gradient is not None
    share = settings.max_threshold
    if settings.random_threshold:
        share *= float(torch.rand((), generator=generator))
    chosen = targets(scores(gradient, kind), share)
    factors = (~chosen).to(code.dtype)
    if settings.soft:
        uniform = torch.rand(chosen.shape, generator=generator).to(code)
        factors = soft_factors(chosen, uniform)
    return _masked(code, factors, ~chosen, kind, share)


def scores(gradient: Tensor, kind: Kind) -> Tensor:
    """How much each channel [N, C] or place [N, y x] is worth attacking: signed means of the gradient."""
    return gradient.mean((2, 3)) if kind == "channel" else gradient.mean(1).flatten(1)


def targets(scores: Tensor, share: float) -> Tensor:
    """Which entries of each row [N, length] are masked, bool: those above the entry of rank length x share.

    Without ties these are exactly so many (rounded down); of a tie at the threshold none is masked.
    """
    rank = min(int(scores.shape[1] * share), scores.shape[1] - 1)
    threshold = scores.sort(dim=1, descending=True).values[:, rank : rank + 1]
    return scores > threshold


def soft_factors(chosen: Tensor, uniform: Tensor) -> Tensor:
    """Half of ``uniform`` (0 to 1) where ``chosen``, 1 elsewhere; all of one shape."""
    return torch.where(chosen, SOFTEST * uniform, torch.ones_like(uniform))


def dropout_factors(kept: Tensor, share: float) -> Tensor:
    """0 for channels that are dropped; what remains is scaled so that the mean stays. float32 [N, C]."""
    return kept.float() / (1 - share)


def _masked(code: Tensor, factors: Tensor, kept: Tensor, kind: Kind, share: float) -> Masked:
    shape = (len(code), 1, *code.shape[2:]) if kind == "spatial" else (*code.shape[:2], 1, 1)
    factors, kept = factors.to(code).reshape(shape), kept.to(code.device).reshape(shape)
    return Masked(code * factors, factors, kept, kind, share)
