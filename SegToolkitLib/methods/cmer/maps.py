"""From a network's activation to the map of a slice: CAM, Grad-CAM, Grad-CAM++, gate and fusion.

As logits are means of maps, and maps are sums of features, both Grad-CAMs need no backward pass (for pooling
"top" see :func:`_raw`).
Source: released code of WSS-CMER; Selvaraju et al., ICCV 2017; Chattopadhay et al., WACV 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.network import Activation, CamNetwork, look
from SegToolkitLib.methods.cmer.normalise import PLANE, full, normalised
from SegToolkitLib.methods.cmer.plan import DEFAULT_THRESHOLD, InputPlan, MapPlan, Supervision

OBJECT, NOTHING = 1, 0
PLUS_EPSILON = 1e-7
# exp() of more does not fit into single precision; it is but a common factor.
LARGEST_SCORE = 80.0
UNDERFLOW = 1e-30
# A probability that is nearer to 0 or 1 has no logit in single precision.
CLOSE = 1e-6


class SliceMaps(NamedTuple):
    """Of slices of one modality.

    Attributes:
        probability: that the object is visible, [N].
        present: whether the network says so (the class of the largest logit is 1), bool [N].
        maps: normalised, before the gate, [N, Y, X] in 0 to 1.
        logits: of the classes, [N, classes]; None where they were not kept.
        blank: whether the map has no positive pixel, bool [N]; None likewise.
        peak: largest evidence of the raw map, 0 or more, [N]; None likewise.
    """

    probability: Tensor
    present: Tensor
    maps: Tensor
    logits: Tensor | None = None
    blank: Tensor | None = None
    peak: Tensor | None = None

    def gated(self, gate: bool = True) -> Tensor:
        """The maps, blank where the object is said to be absent."""
        return self.maps * self.present[:, None, None] if gate else self.maps


@torch.no_grad()
def slice_maps(
    network: CamNetwork, slices: Tensor, fit: InputPlan, plan: MapPlan, supervision: Supervision = "tags"
) -> SliceMaps:
    """Maps of slices.

    Args:
        network: of the modality, in evaluation mode.
        slices: raw, [N, channels, Y, X] in any unit.
        fit: how they come to the network.
        plan: source and kind of the map; its gate is up to the caller.
        supervision: what has taught the network. After masks the map is the probability of each pixel (the
            plan does not matter), the slice's is the largest of them, and no map is blank.
    """
    found = look(network, slices, fit)
    if supervision == "masks":
        return _probable(found.cam, slices)
    raw = sized(_raw(network, found, plan), slices)
    probability = found.logits.softmax(1)[:, OBJECT]
    present = found.logits.argmax(1) == OBJECT
    peak = F.relu(raw).amax(PLANE)
    return SliceMaps(probability, present, normalised(raw), found.logits, blank(raw), peak)


def _raw(network: CamNetwork, found: Activation, plan: MapPlan) -> Tensor:
    """:func:`raw_map`, or of networks with pooling "top" the evidence: it is their Grad-CAM, too, as the
    gradient has the same direction in all pixels that count.

    Raises:
        SegToolkitError: "map-kind": Grad-CAM++ of such a network.
    """
    if network.pooling == "mean":
        return raw_map(found, network.classifier.weight, plan)
    if plan.kind == "gradcam++":
        raise SegToolkitError(
            "map-kind",
            "Grad-CAM++ is there for networks that pool by the mean; this model's pool the highest pixels.",
            "Choose the maps cam or gradcam, or train with network.pooling=mean.",
        )
    return evidence(found.cam, plan.source)


def _probable(cam: Tensor, slices: Tensor) -> SliceMaps:
    maps = sized(cam.softmax(1)[:, OBJECT], slices)
    probability = maps.amax(PLANE)
    # Logits whose softmax is the slice's probability.
    logits = torch.stack([torch.zeros_like(probability), torch.logit(probability, CLOSE)], 1)
    present = probability > DEFAULT_THRESHOLD
    return SliceMaps(probability, present, maps, logits, torch.zeros_like(present), probability)


def sized(maps: Tensor, slices: Tensor) -> Tensor:
    """Maps [N, Y', X'] in the size of slices [N, C, Y, X], which differ where a network cuts edges off."""
    if maps.shape[-2:] == slices.shape[-2:]:
        return maps
    return F.interpolate(maps[:, None], slices.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def raw_map(found: Activation, classifier: Tensor, plan: MapPlan) -> Tensor:
    """The map that the plan wants, before it is normalised, [N, Y, X].

    Args:
        found: by the network.
        classifier: its weights [classes, width, 1, 1].
        plan: source and kind.
    """
    if plan.kind == "cam":
        return evidence(found.cam, plan.source)
    weight = full(classifier[OBJECT, :, 0, 0])
    score = found.logits[:, OBJECT]
    if plan.source == "difference":
        weight, score = weight - classifier[NOTHING, :, 0, 0], score - found.logits[:, NOTHING]
    features = full(found.features)
    pixels = features[0, 0].numel()
    if plan.kind == "gradcam":
        return torch.einsum("k,nkyx->nyx", weight / pixels, features)
    return torch.einsum("nk,nkyx->nyx", plus_weights(weight / pixels, score, features), features)


def evidence(cam: Tensor, source: str) -> Tensor:
    """Raw map of the object [N, Y, X] of the raw maps of all classes [N, classes, Y, X]."""
    return cam[:, OBJECT] - cam[:, NOTHING] if source == "difference" else cam[:, OBJECT]


def plus_weights(gradient: Tensor, score: Tensor, features: Tensor) -> Tensor:
    """Grad-CAM++'s weights of the features, [N, width].

    Args:
        gradient: of the score in any pixel of each feature, [width].
        score: of the slices, [N].
        features: [N, width, Y, X].
    """
    square = gradient.square()
    below = 2 * square + gradient * square * features.sum(PLANE)
    below = torch.where(below == 0, torch.ones_like(below), below) + PLUS_EPSILON
    rising = F.relu(score.clamp(max=LARGEST_SCORE).exp()[:, None] * gradient)
    return features[0, 0].numel() * square / below * rising


def fused(maps: Tensor) -> Tensor:
    """One map of several modalities' gated ones, [M, ...] to [...]: their mean (ours).

    A modality that says that the object is absent draws the mean down, so 1 / M needs no other's consent.
    """
    return maps.mean(0)


def eight_bit(maps: Tensor) -> Tensor:
    """Maps in 0 to 1 as the authors save them: whole numbers 0 to 255, rounded down, uint8."""
    return (255 * maps).floor().to(torch.uint8)


def blank(raw: Tensor) -> Tensor:
    """Which maps have no positive pixel: raw [N, Y, X] to bool [N].

    A network may learn the tags by the other class alone; then its maps of the object are blank or inverted.
    """
    return ~(raw > 0).any(-1).any(-1)


def agreement(maps: Tensor) -> Tensor:
    """Soft Dice of the maps of each pair of modalities, averaged over pairs: [M, N, Y, X] to [N].

    Where both of a pair are blank it is 1. A low one says that a modality's maps lie beside the object.
    """
    pairs = [
        _soft_dice(maps[one], maps[other]) for one in range(len(maps)) for other in range(one + 1, len(maps))
    ]
    return torch.stack(pairs).mean(0)


def _soft_dice(a: Tensor, b: Tensor) -> Tensor:
    sizes = a.square().sum(PLANE) + b.square().sum(PLANE)
    both = 2 * (a * b).sum(PLANE)
    return torch.where(sizes > 0, both / sizes.clamp(min=UNDERFLOW), torch.ones_like(sizes))
