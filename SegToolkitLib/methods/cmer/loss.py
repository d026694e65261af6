"""The loss of each modality: tags, equivariance within it, and what the other modalities teach it.

The others enter as constants, so that the gradient of the sum of all losses is, for each network, that of its
own. Source: Patel and Dolz 2022 and the released code; KL is that of deep mutual learning (Zhang et al., CVPR
2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.cmer.normalise import PLANE
from SegToolkitLib.methods.cmer.settings import LossSettings

UNIT_EPSILON = 1e-12


class View(NamedTuple):
    """What a modality's network makes of a view of a batch.

    Attributes:
        logits: of the classes, [N, classes].
        maps: normalised maps of the object, [N, Y, X] in 0 to 1.
    """

    logits: Tensor
    maps: Tensor

    def constant(self) -> View:
        """The same without gradient."""
        return View(self.logits.detach(), self.maps.detach())


class Views(NamedTuple):
    """Both views of a modality, the maps of the first moved by the transform so that pixels match."""

    first: View
    second: View


class Terms(NamedTuple):
    """Scalars of a modality; the first four before their weights."""

    ce: Tensor
    er: Tensor
    kl: Tensor
    cmer: Tensor
    total: Tensor

    def detached(self) -> Terms:
        """The same without gradient."""
        return Terms(*(term.detach() for term in self))


def losses(views: Sequence[Views], tags: Tensor, settings: LossSettings) -> list[Terms]:
    """The loss of every modality.

    Args:
        views: of two or more modalities, over the same slices.
        tags: of the slices, int64 [N]; 1 the object is visible, 0 it is not.
        settings: weights, temperature and reduction.
    """
    shown = tags.to(views[0].first.maps)
    teachers = [Views(*(_teaching(view) for view in both)) for both in views]
    found = []
    for index, (first, second) in enumerate(views):
        ce = (F.cross_entropy(first.logits, tags) + F.cross_entropy(second.logits, tags)) / 2
        er = _mean((first.maps - second.maps).square(), shown)
        own = unit(first.maps), unit(second.maps)
        kl, cmer = [], []
        for other, (teacher1, teacher2) in enumerate(teachers):
            if other == index:
                continue
            kl.append(
                divergence(teacher1.logits, first.logits, settings)
                + divergence(teacher2.logits, second.logits, settings)
            )
            # Each view learns from the other view of the other modality, where that one sees the object.
            cmer.append(
                _mean((own[0] - teacher2.maps).square(), shown * (teacher2.logits.argmax(1) == 1))
                + _mean((own[1] - teacher1.maps).square(), shown * (teacher1.logits.argmax(1) == 1))
            )
        # Of one modality alone there is nothing to learn from others.
        kl_mean, cmer_mean = (torch.stack(each or [0 * ce]).mean() / 2 for each in (kl, cmer))
        if settings.cmer_reduction == "sum":
            cmer_mean = cmer_mean * first.maps[0].numel()
        total = (
            settings.ce_weight * ce
            + settings.kl_weight * kl_mean
            + settings.er_weight * er
            + settings.cmer_weight * cmer_mean
        )
        found.append(Terms(ce, er, kl_mean, cmer_mean, total))
    return found


def divergence(teacher: Tensor, student: Tensor, settings: LossSettings) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), summed over classes, averaged over slices.

    With the temperature at 10 this is a difference of nearly equal numbers; in double precision nothing of it
    is lost, and a few logits cost no time.

    Args:
        teacher: logits [N, classes]; gets no gradient.
        student: logits [N, classes].
        settings: temperature, and how it is computed.
    """
    temperature = settings.temperature
    teacher = teacher.detach()
    if settings.kl == "released":
        kl = F.kl_div(
            F.log_softmax(student / temperature, 1),
            F.softmax(teacher / temperature, 1),
            reduction="batchmean",
        )
        return kl * temperature**2
    # Apple's GPUs know no double precision.
    kind = student.dtype if student.device.type == "mps" else torch.float64
    wanted = F.log_softmax(teacher.to(kind) / temperature, 1)
    given = F.log_softmax(student.to(kind) / temperature, 1)
    kl = (wanted.exp() * (wanted - given)).sum(1).mean()
    return (kl * temperature**2).to(student.dtype)


def unit(maps: Tensor) -> Tensor:
    """Each map divided by its length over its pixels; one that is 0 stays so."""
    return maps / torch.linalg.vector_norm(maps + UNIT_EPSILON, dim=PLANE, keepdim=True)


def _teaching(view: View) -> View:
    constant = view.constant()
    return constant._replace(maps=unit(constant.maps))


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over all slices and pixels [N, Y, X], times the slices' weights [N]; those of weight 0 count."""
    return (values.mean(PLANE) * weights).mean()
