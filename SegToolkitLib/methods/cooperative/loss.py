"""The eight losses: four of clean images, four of hard examples; all have the same weight.

Source: Chen et al., MICCAI 2021, arXiv 2107.01079, and the released code.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

# Names in the order in which a step tells them.
STANDARD = ("standard_seg", "standard_image", "standard_gt_shape", "standard_shape")
HARD = ("hard_seg", "hard_image", "hard_shape", "hard_corrupted_shape")

# Of the squared error of reconstructions, in both phases.
IMAGE_WEIGHT = 0.5


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, mean over all pixels, at least in float32.

    Args:
        logits: [N, classes, Y, X].
        labels: int64 [N, Y, X].
    """
    return F.cross_entropy(logits.float() if logits.element_size() < 4 else logits, labels)


def image_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    """Half the squared error, mean over all pixels, at least in float32; both [N, channels, Y, X]."""
    kind = reconstruction.float() if reconstruction.element_size() < 4 else reconstruction
    return IMAGE_WEIGHT * F.mse_loss(kind, images)
