"""The losses of one batch.

Source: Liu et al., arXiv 2201.08779, and the released code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.pdcr_uafr.network import DeepLab
from SegToolkitLib.methods.pdcr_uafr.pdcr import PDCR, Terms
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings

# In the order in which a step tells them.
NAMES = ("cross_entropy", "encoder", "decoder", "cross")


@dataclass(frozen=True)
class Step:
    """What became of a batch.

    Attributes:
        losses: scalars without gradient and weight, by :data:`NAMES`; terms that do not count are left out.
        total: weighted sum; its backward pass gives the parameters their gradients.
        logits: [B, classes, Y, X], without gradient.
    """

    losses: dict[str, Tensor]
    total: Tensor
    logits: Tensor


def training_step(
    network: DeepLab,
    images: Tensor,
    masks: Tensor,
    settings: PdcrSettings,
    pdcr: PDCR | None = None,
    generator: torch.Generator | None = None,
    class_weights: Sequence[float] | None = None,
) -> Step:
    """Cross-entropy and the terms of the regulariser, up to the total.

    Args:
        network: in training mode.
        images: [B, channels, Y, X], normalised.
        masks: classes, int64 [B, Y, X].
        settings: of the regulariser: weights of its terms.
        pdcr: built of the layers that :func:`pdcr_layers` gives; None trains without it.
        generator: of what is drawn, on the CPU.
        class_weights: of the cross-entropy, background first.
    """
    logits, features = network.with_features(images, pdcr.names if pdcr is not None else ())
    # In half precision, sums over all pixels would lose digits.
    precise = logits.float() if logits.element_size() < 4 else logits
    weights = None if class_weights is None else precise.new_tensor(tuple(class_weights))
    total = entropy = F.cross_entropy(precise, masks, weights)
    losses = {"cross_entropy": entropy.detach()}
    if pdcr is not None:
        terms: Terms = pdcr(features, masks, generator)
        total = entropy + terms.weighted(settings.weights_of_terms, settings.damped)
        there = {layer.term for layer in pdcr.layers}
        losses |= {name: term.detach() for name, term in terms._asdict().items() if name in there}
    return Step(losses, total, logits.detach())
