"""The two losses of ALPNet and the episode they belong to.

Source: Ouyang et al., ECCV 2020, section 3.3; alignment after Wang et al., PANet, ICCV 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.alpnet.prototypes import foreground_mode, prototypes, resize_mask, score

IGNORED = 255


@dataclass(frozen=True)
class Pooling:
    """How prototypes are pooled: window (rows, columns) in feature cells, coverage threshold."""

    window: tuple[int, int] = (4, 4)
    threshold: float = 0.95


def segmentation_loss(scores: Tensor, target: Tensor, background_weight: float = 0.05) -> Tensor:
    """Weighted cross-entropy (weighted mean).

    Args:
        scores: [B, 2, H, W], background first.
        target: [B, H, W] of 0, 1 and 255 (ignored).
        background_weight: class weight of the background; the foreground has 1.
    """
    weight = torch.tensor([background_weight, 1.0], device=scores.device, dtype=scores.dtype)
    return F.cross_entropy(scores, target.long(), weight=weight, ignore_index=IGNORED)


def episode_scores(
    query: Tensor, support: Tensor, foreground: Tensor, background: Tensor, pooling: Pooling
) -> tuple[Tensor, Tensor]:
    """Score one structure in query features.

    Args:
        query: [B, C, h, w].
        support: [S, C, h, w].
        foreground, background: soft masks [S, 1, h, w].
        pooling: window and threshold.

    Returns:
        Scores [B, 2, h, w] at feature size, background first, and the background assignment
        [B, h, w].

    Raises:
        NoPrototypeError: no window lies in the background.
    """
    back = prototypes(support, background, "gridconv", pooling.window, pooling.threshold)
    front = prototypes(
        support, foreground, foreground_mode(foreground, pooling.threshold), pooling.window, pooling.threshold
    )
    back_score, assignment = score(query, back)
    return torch.cat([back_score, score(query, front)[0]], dim=1), assignment


def alignment_loss(
    query: Tensor,
    support: Tensor,
    scores: Tensor,
    foreground: Tensor,
    background: Tensor,
    pooling: Pooling,
) -> Tensor:
    """Swap the roles: segment each support shot with prototypes of the predicted query.

    An empty predicted foreground is not skipped: its prototype is zero, its score 0 and the loss
    large, which works against predicting background everywhere.

    Args:
        query: features [1, C, h, w].
        support: features [S, C, h, w].
        scores: query scores at feature size [1, 2, h, w]; no gradient flows through them.
        foreground, background: support masks at image size [S, H, W]; pixels in neither are ignored.
        pooling: the training window, also where inference uses another one.

    Returns:
        Mean cross-entropy over the shots, a scalar.
    """
    predicted = scores.detach().argmax(1, keepdim=True)
    predicted_fg, predicted_bg = (predicted == 1).float(), (predicted == 0).float()
    low, _ = episode_scores(support, query, predicted_fg, predicted_bg, pooling)
    target = torch.full_like(foreground, IGNORED, dtype=torch.long)
    target[foreground == 1] = 1
    target[background == 1] = 0
    per_shot = [
        F.cross_entropy(
            upsample(low[shot, None], target.shape[-2:]), target[shot, None], ignore_index=IGNORED
        )
        for shot in range(len(support))
    ]
    return torch.stack(per_shot).mean()


def upsample(scores: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bring scores [B, 2, h, w] to image size (bilinear)."""
    return F.interpolate(scores, size=tuple(size), mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class EpisodeLoss:
    """The losses of one episode, and its scores at image size [1, 2, H, W]."""

    segmentation: Tensor
    alignment: Tensor
    scores: Tensor


def episode_loss(
    query: Tensor,
    support: Tensor,
    query_mask: Tensor,
    support_mask: Tensor,
    pooling: Pooling,
    background_weight: float = 0.05,
) -> EpisodeLoss:
    """Both losses of one episode from features and masks.

    Args:
        query, support: features [1, C, h, w] and [S, C, h, w].
        query_mask, support_mask: 0/1 masks at image size [1, H, W] and [S, H, W].
        pooling: the training window and threshold.
        background_weight: see :func:`segmentation_loss`.

    Raises:
        NoPrototypeError: no background window in the support or in the predicted query.
    """
    size = (support.shape[-2], support.shape[-1])
    foreground, background = support_mask.float(), 1.0 - support_mask.float()
    low, _ = episode_scores(
        query, support, resize_mask(foreground, size), resize_mask(background, size), pooling
    )
    scores = upsample(low, query_mask.shape[-2:])
    return EpisodeLoss(
        segmentation=segmentation_loss(scores, query_mask, background_weight),
        alignment=alignment_loss(query, support, low, foreground, background, pooling),
        scores=scores,
    )
