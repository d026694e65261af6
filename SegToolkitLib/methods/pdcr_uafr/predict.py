"""The network on slices: classes at the slices' own size, and maps of what it is sure of.

The maps are ours. Feature confidence is what UAFR multiplies features by, less one; it is neither calibrated
nor tied to the error.
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

from SegToolkitLib.methods.pdcr_uafr.network import DeepLab
from SegToolkitLib.methods.pdcr_uafr.plan import CONFIDENCE, UNCERTAINTY, ModelPlan
from SegToolkitLib.methods.pdcr_uafr.resizing import classes_at
from SegToolkitLib.methods.pdcr_uafr.slices import Pixels, normalised, resized
from SegToolkitLib.training.precision import autocast


@dataclass(frozen=True)
class Outputs:
    """Of slices [S, Y, X].

    Attributes:
        classes: uint8 [S, Y, X].
        maps: name of ``ModelPlan.maps`` -> float32 [S, Y, X], 0 to 1.
    """

    classes: Pixels
    maps: Mapping[str, NDArray[np.float32]]


@torch.inference_mode()
def predict(
    network: DeepLab,
    pixels: Pixels,
    plan: ModelPlan,
    *,
    maps: Collection[str] = (),
    device: torch.device | None = None,
    precision: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outputs:
    """Segment slices, so many at a time as the plan says.

    Args:
        network: in evaluation mode, on the device.
        pixels: [S, Y, X, 3] of any size.
        plan: of the model.
        maps: names of those that are wanted.
        device: where the network is; None: the CPU.
        precision: see ``training.precision``.
        progress: hears of slices done; what it raises ends the work.
    """
    device, size = device or torch.device("cpu"), pixels.shape[1:3]
    classes: list[Pixels] = []
    made: dict[str, list[NDArray[np.float32]]] = {name: [] for name in maps}
    for start in range(0, len(pixels), plan.inference.chunk):
        progress(start, len(pixels))
        chunk = pixels[start : start + plan.inference.chunk]
        images = normalised(resized(chunk, plan.input.size), plan.input).to(device)
        logits, confidence = raw(network, images, device, precision, _wants_confidence(maps))
        classes.append(classes_at(logits, size, plan.inference.resize).byte().cpu().numpy())
        for name, found in made.items():
            if name == UNCERTAINTY:
                found.append(uncertainty(_at(logits, size)).cpu().numpy())
            else:
                one = confidence[name.removeprefix(CONFIDENCE)]
                found.append(_at(one, size)[:, 0].clamp(0, 1).cpu().numpy())
    progress(len(pixels), len(pixels))
    return Outputs(np.concatenate(classes), {name: np.concatenate(found) for name, found in made.items()})


def raw(
    network: DeepLab, images: Tensor, device: torch.device, precision: str, confidence: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits float32 [N, classes, y, x] at the network's size; and, if wanted, confidence by position."""
    with autocast(device, precision):
        if confidence:
            logits, found = network.with_confidence(images)
            return logits.float(), {name: one.float() for name, one in found.items()}
        return network(images).float(), {}


def uncertainty(logits: Tensor) -> Tensor:
    """Entropy of the probabilities in parts of the largest possible: 0 sure, 1 all alike.

    Args:
        logits: [N, classes, Y, X].

    Returns:
        float32 [N, Y, X].
    """
    logarithms = F.log_softmax(logits.float(), dim=1)
    entropy = -(logarithms.exp() * logarithms).sum(1)
    return (entropy / math.log(max(logits.shape[1], 2))).clamp_(0, 1)


def _wants_confidence(maps: Collection[str]) -> bool:
    return any(name.startswith(CONFIDENCE) for name in maps)


def _at(values: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False)
