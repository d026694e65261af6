"""Cross supervision: each of two networks learns from the other's hard labels.

Source: Chen et al., cross pseudo supervision, CVPR 2021; the released code of SemiSeg-CSSN.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from SegToolkitLib.methods.cssn.loss import segmentation_loss
from SegToolkitLib.methods.cssn.settings import CrossSettings, LossSettings


class CrossLosses(NamedTuple):
    """Scalars of one update, for the networks a and b: against labels, and against each other."""

    supervised_a: Tensor
    supervised_b: Tensor
    cross_a: Tensor
    cross_b: Tensor
    weight: float = 1.0

    @property
    def a(self) -> Tensor:
        return self.supervised_a + self.weight * self.cross_a

    @property
    def b(self) -> Tensor:
        return self.supervised_b + self.weight * self.cross_b


@torch.no_grad()
def pseudo_labels(logits: Tensor, rule: str = "corrected", threshold: float = 0.5) -> Tensor:
    """The organ of the largest logit in each voxel.

    Args:
        logits: [N, C, Z, Y, X].
        rule: "corrected": background where the largest probability is below ``threshold``. "released": never
            background, and channel c gets the voxels of channel c + 1; the first organ's become background
            and the last channel stays empty.
        threshold: a probability.

    Returns:
        0 or 1, of the shape and kind of ``logits``, without gradient.
    """
    largest, index = logits.max(dim=1, keepdim=True)
    labels = torch.zeros_like(logits)
    if rule == "released":
        # One more class than there are channels, of which the first is dropped.
        return labels.scatter_(1, (index - 1).clamp(min=0), (index > 0).to(logits.dtype))
    return labels.scatter_(1, index, (largest.sigmoid() >= threshold).to(logits.dtype))


def cross_losses(
    a: Tensor,
    b: Tensor,
    target: Tensor,
    loss: LossSettings,
    cross: CrossSettings,
    weight: float | None = None,
) -> CrossLosses:
    """Both networks' losses.

    Args:
        a, b: their logits [L + U, C, Z, Y, X], labelled images first.
        target: 0 or 1, [L, C, Z, Y, X].
        loss: of labels and pseudo-labels alike.
        cross: rule and threshold of the pseudo-labels, and whether labelled images get them, too.
        weight: of the pseudo-supervised loss at this step; None takes that of ``cross``.
    """
    labelled = len(target)
    first = 0 if cross.labelled_too else labelled

    def taught(pupil: Tensor, teacher: Tensor) -> Tensor:
        if first == len(pupil):
            return pupil.new_zeros(())
        labels = pseudo_labels(teacher[first:], cross.pseudo_labels, cross.threshold)
        return segmentation_loss(pupil[first:], labels, loss)

    return CrossLosses(
        segmentation_loss(a[:labelled], target, loss),
        segmentation_loss(b[:labelled], target, loss),
        taught(a, b),
        taught(b, a),
        cross.weight if weight is None else weight,
    )
