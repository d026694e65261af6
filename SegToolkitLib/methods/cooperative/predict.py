"""The networks on a stack of slices: labels, maps that say where to look, and what each slice is like.

Source of the prediction: Chen et al., MICCAI 2021, arXiv 2107.01079, and the released code; maps and
signatures are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.methods.cooperative import stn
from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.plan import DISAGREEMENT, RESIDUAL, UNCERTAINTY, InferencePlan
from SegToolkitLib.methods.cooperative.typicality import Signatures
from SegToolkitLib.training.precision import autocast
from SegToolkitLib.volume.parts import largest_parts

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """Of slices [S, Y, X].

    Attributes:
        labels: classes, uint8 [S, Y, X].
        first: the same without shape correction.
        maps: name of :data:`plan.MAPS` -> float32 [S, Y, X], 0 to 1.
        signatures: float32 [S, F]: mean residual, mean disagreement (NaN of a single pass), mean of each
            channel of the image code; none ([S, 0]) where they were not asked for.
    """

    labels: NDArray[np.uint8]
    first: NDArray[np.uint8]
    maps: Mapping[str, Pixels]
    signatures: Signatures


@torch.inference_mode()
def predict(
    networks: Networks,
    pixels: Pixels,
    plan: InferencePlan,
    passes: int | None = None,
    *,
    maps: Collection[str] = (),
    signatures: bool = False,
    device: torch.device | None = None,
    precision: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outputs:
    """Segment slices, so many at a time as the plan says.

    Whether a pass still changes enough (``plan.stop_rms``) is judged for those slices together.

    Args:
        networks: in evaluation mode, on the device.
        pixels: [S, Y, X] as ``prepare.stacked`` makes them; Y and X are multiples of 16.
        plan: of the model.
        passes: in place of the plan's: 1 leaves out the shape correction.
        maps: names of those that are wanted.
        signatures: whether these are wanted; they cost a reconstruction of each slice.
        device: where the networks are; None: the CPU.
        precision: see ``training.precision``.
        progress: hears of slices done; what it raises ends the work.
    """
    device = device or torch.device("cpu")
    plan = plan if passes is None else plan.model_copy(update={"passes": passes})
    parts = []
    for start in range(0, len(pixels), plan.chunk):
        progress(start, len(pixels))
        images = torch.from_numpy(np.ascontiguousarray(pixels[start : start + plan.chunk]))
        with autocast(device, precision):
            parts.append(_chunk(networks, images[:, None].to(device), plan, maps, signatures))
    progress(len(pixels), len(pixels))
    labels, first = (
        np.concatenate(one) for one in zip(*((part.labels, part.first) for part in parts), strict=True)
    )
    if plan.largest_component:
        labels, first = largest_of_each(labels), largest_of_each(first)
    return Outputs(
        labels,
        first,
        {name: np.concatenate([part.maps[name] for part in parts]) for name in maps},
        np.concatenate([part.signatures for part in parts]),
    )


def _chunk(
    networks: Networks, images: Tensor, plan: InferencePlan, maps: Collection[str], signatures: bool
) -> Outputs:
    """Of images [N, 1, Y, X]."""
    found = stn.predict(networks, images, plan)
    made: dict[str, Tensor] = {}
    if UNCERTAINTY in maps:
        made[UNCERTAINTY] = uncertainty(found.last, plan.temperature)
    if DISAGREEMENT in maps or signatures:
        made[DISAGREEMENT] = disagreement(found.first, found.last)
    if RESIDUAL in maps or signatures:
        made[RESIDUAL] = residual(images, networks.reconstruct(found.code))
    signed = images.new_empty((len(images), 0), dtype=torch.float32)
    if signatures:
        means = [made[RESIDUAL].mean((1, 2)), made[DISAGREEMENT].mean((1, 2))]
        if plan.passes == 1:
            means[1] = torch.full_like(means[1], math.nan)
        signed = torch.cat([torch.stack(means, 1), found.code.float().mean((2, 3))], 1)
    return Outputs(
        found.labels(plan.average).byte().cpu().numpy(),
        found.first.argmax(1).byte().cpu().numpy(),
        {name: made[name].cpu().numpy() for name in maps},
        signed.cpu().numpy(),
    )


def uncertainty(logits: Tensor, temperature: float = stn.TEMPERATURE) -> Tensor:
    """Entropy of the softened probabilities in parts of the largest possible: 0 sure, 1 all alike.

    Args:
        logits: [N, classes, Y, X].
        temperature: divides them.

    Returns:
        float32 [N, Y, X].
    """
    logarithms = F.log_softmax(logits.float() / temperature, dim=1)
    entropy = -(logarithms.exp() * logarithms).sum(1)
    return (entropy / math.log(max(logits.shape[1], 2))).clamp_(0, 1)


def disagreement(first: Tensor, last: Tensor) -> Tensor:
    """Total variation distance of two predictions: half the sum of their probabilities' differences.

    Args:
        first, last: logits [N, classes, Y, X].

    Returns:
        float32 [N, Y, X]: 0 the same probabilities, 1 each is sure of another class.
    """
    apart = F.softmax(first.float(), dim=1) - F.softmax(last.float(), dim=1)
    return (apart.abs().sum(1) / 2).clamp_(0, 1)


def logit_difference(first: Tensor, last: Tensor) -> Tensor:
    """|last - first| [N, classes, Y, X], as the released code measures disagreement; without bound."""
    return (last - first).abs()


def residual(images: Tensor, reconstruction: Tensor) -> Tensor:
    """Difference of images and their reconstruction, both [N, 1, Y, X]; float32 [N, Y, X], 0 to 1."""
    return (images.float() - reconstruction.float())[:, 0].abs_().clamp_(0, 1)


def largest_of_each(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep the largest part of each class of a volume [S, Y, X]; neighbours share a face, as released."""
    kept = np.zeros_like(labels)
    for value in np.unique(labels[labels > 0]):
        kept[largest_parts(labels == value, corners=False)] = value
    return kept
