"""The shape networks in use: their input, repeated corrections, and whole predictions.

Source: Chen et al., MICCAI 2021, arXiv 2107.01079, and the released code.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.plan import InferencePlan

TEMPERATURE = 2.0


class Prediction(NamedTuple):
    """Of images [N, channels, Y, X].

    Attributes:
        first: logits [N, classes, Y, X] without shape correction.
        last: logits after the last pass; ``first`` itself where there was a single one.
        passes: how many were made, the first included.
        code: image code, from which the images are reconstructed.
    """

    first: Tensor
    last: Tensor
    passes: int
    code: Tensor

    def probabilities(self, average: bool = False) -> Tensor:
        """Of the last pass; with ``average`` (ours) the mean of the first and the last one's."""
        last = F.softmax(self.last.float(), dim=1)
        return (last + F.softmax(self.first.float(), dim=1)) / 2 if average else last

    def labels(self, average: bool = False) -> Tensor:
        """Classes [N, Y, X], int64."""
        return (self.probabilities(True) if average else self.last).argmax(1)


def soft_shape(logits: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """What the shape networks see of a prediction: smoothed probabilities [N, classes, Y, X]."""
    return F.softmax(logits / temperature, dim=1)


def exact_shape(labels: Tensor, classes: int) -> Tensor:
    """What the shape networks see of a label: int64 [N, Y, X] to 0 and 1, float32 [N, classes, Y, X]."""
    return F.one_hot(labels.long(), classes).permute(0, 3, 1, 2).float()


def predict(networks: Networks, images: Tensor, plan: InferencePlan) -> Prediction:
    """Segment images; each pass after the first corrects the logits of the one before.

    Args:
        networks: in evaluation mode.
        images: [N, channels, Y, X] within 0 and 1.
        plan: passes, temperature and when to stop early.
    """
    codes = networks.encode(images)
    first = last = networks.segment(codes.shape)
    made = 1
    for _ in range(plan.passes - 1):
        corrected = networks.correct(soft_shape(last, plan.temperature))
        if plan.stop_rms is not None and _rms(corrected - last) < plan.stop_rms:
            break
        last, made = corrected, made + 1
    return Prediction(first, last, made, codes.image)


def _rms(difference: Tensor) -> float:
    return float(torch.linalg.vector_norm(difference.float())) / difference.numel() ** 0.5
