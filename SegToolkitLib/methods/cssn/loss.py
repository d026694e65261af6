"""The segmentation losses: one sigmoid channel an organ, no background channel.

Source: the released code of SemiSeg-CSSN; Lin et al., focal loss, ICCV 2017.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.cssn.settings import LossSettings

DICE_EPSILON = 1e-8
FOCAL_ALPHA = 0.5
FOCAL_GAMMA = 2.0
FOCAL_CLAMP = (1e-4, 1 - 1e-4)


def segmentation_loss(logits: Tensor, target: Tensor, settings: LossSettings, average: bool = True) -> Tensor:
    """Dice, alone or with cross-entropy or focal loss, all with weight 1; at least in float32.

    Args:
        logits: [N, C, Z, Y, X].
        target: 0 or 1, of the same shape.
        settings: which losses.
        average: over the batch; otherwise the sum.
    """
    kind = torch.promote_types(logits.dtype, torch.float32)
    logits, target = logits.to(kind), target.to(kind)
    probability = logits.sigmoid()
    loss = dice_loss(probability, target)
    if settings.kind == "dice_bce":
        loss = loss + F.binary_cross_entropy_with_logits(logits, target)
    elif settings.kind == "dice_focal":
        loss = loss + focal_loss(probability, target, settings.focal_mode)
    return loss if average else loss * len(logits)


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice with squares in the denominator, per sample and organ, averaged.

    An organ that is absent costs 1 wherever its probability is above 0, almost without a gradient.
    """
    axes = (2, 3, 4)
    both = (probability * target).sum(axes)
    sizes = probability.square().sum(axes) + target.square().sum(axes)
    return 1 - ((2 * both + DICE_EPSILON) / (sizes + DICE_EPSILON)).mean()


def focal_loss(probability: Tensor, target: Tensor, mode: str) -> Tensor:
    """Cross-entropy that counts less where the probability is right already, per voxel of an organ.

    Args:
        probability, target: [N, C, Z, Y, X].
        mode: "elementwise"; "released": every voxel's weight multiplies the mean cross-entropy.
    """
    probability = probability.clamp(*FOCAL_CLAMP)
    wrong = torch.where(target == 1, 1 - probability, probability)
    weight = FOCAL_ALPHA * wrong**FOCAL_GAMMA
    reduction = "mean" if mode == "released" else "none"
    entropy = F.binary_cross_entropy(probability, target, reduction=reduction)
    return (weight * entropy).sum() / target.sum().clamp(min=1)
