"""The eight losses: four of clean images, four of hard examples; all have the same weight.

Source: Chen et al., MICCAI 2021, arXiv 2107.01079, and the released code.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.cooperative.settings import LossKind

# Names in the order in which a step tells them.
STANDARD = ("standard_seg", "standard_image", "standard_gt_shape", "standard_shape")
HARD = ("hard_seg", "hard_image", "hard_shape", "hard_corrupted_shape")

# Below any sum of probabilities that is not zero.
SMALLEST = 1e-12
# Of the squared error of reconstructions, in both phases.
IMAGE_WEIGHT = 0.5


def segmentation_loss(logits: Tensor, labels: Tensor, kind: LossKind = "ce") -> Tensor:
    """Cross-entropy, mean over all pixels, at least in float32.

    Args:
        logits: [N, classes, Y, X].
        labels: int64 [N, Y, X].
        kind: "ce", as published; "ce_dice", ours, adds the Dice loss.
    """
    logits = logits.float() if logits.element_size() < 4 else logits
    entropy = F.cross_entropy(logits, labels)
    return entropy if kind == "ce" else entropy + dice_loss(logits.softmax(1), labels)


def dice_loss(probabilities: Tensor, labels: Tensor) -> Tensor:
    """1 - soft Dice of each class but the background over the whole batch, averaged.

    A class that is in none of the labels is left out; without any class there is nothing to lose.

    Args:
        probabilities: [N, classes, Y, X].
        labels: int64 [N, Y, X].
    """
    exact = F.one_hot(labels, probabilities.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities)
    found = probabilities[:, 1:]
    axes = (0, 2, 3)
    shown = exact.sum(axes)
    dice = 2 * (found * exact).sum(axes) / (found.sum(axes) + shown).clamp_min(SMALLEST)
    there = (shown > 0).to(dice)
    return ((1 - dice) * there).sum() / there.sum().clamp_min(1)


def image_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    """Half the squared error, mean over all pixels, at least in float32; both [N, channels, Y, X]."""
    kind = reconstruction.float() if reconstruction.element_size() < 4 else reconstruction
    return IMAGE_WEIGHT * F.mse_loss(kind, images)
