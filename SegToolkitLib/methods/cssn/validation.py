"""Validation within a run: Dice at the network's size, as the release chooses its best model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from SegToolkitLib.evaluation.overlay import overlay_picture, telling_slices
from SegToolkitLib.methods.cssn.data import fitted_image
from SegToolkitLib.methods.cssn.scans import Scan
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.volume import Volume

EPSILON = 1e-8
AT_ONCE = 2
SHOWN_SLICES = 4


@dataclass(frozen=True)
class Example:
    """A held-out scan with what was found in it; arrays [z, y, x] at the network's size, channel numbers."""

    id: str
    image: NDArray[np.float32]
    truth: NDArray[np.uint8]
    found: NDArray[np.uint8]
    voxel: tuple[float, float, float]
    dice: float


def validate(
    networks: Mapping[str, nn.Module],
    scans: Sequence[Scan],
    settings: CssnSettings,
    organs: Mapping[int, str],
    device: torch.device,
) -> tuple[dict[str, float], str, Example]:
    """Mean Dice over scans and organs at the threshold 1/2; an organ that is absent and not found scores 1.

    Args:
        networks: by name, in evaluation mode.
        scans: with labels; at least one.
        settings: of the run.
        organs: value -> name, in the order of the channels.
        device: of the networks.

    Returns:
        "dice" of the better network, "dice_<network>" of each, "dice_<organ>" of the better one; the better
        one's name; an example of what it finds.
    """
    scores: dict[str, list[Tensor]] = {name: [] for name in networks}
    example: dict[str, Example] = {}
    for start in range(0, len(scans), AT_ONCE):
        part = scans[start : start + AT_ONCE]
        images = torch.stack([fitted_image(scan, settings) for scan in part])[:, None]
        truth = torch.from_numpy(np.stack([scan.fitted["label"] for scan in part])).to(device)
        for name, network in networks.items():
            found = network(images.to(device)) >= 0  # a probability of one half
            scores[name] += [_dice(one, labels) for one, labels in zip(found, truth, strict=True)]
            if start == 0:
                labels = _joined(found[0]).cpu().numpy()
                example[name] = _example(part[0], images[0, 0], labels, float(scores[name][0].mean()))
    means = {name: torch.stack(values).mean(0) for name, values in scores.items()}
    totals = {name: float(values.mean()) for name, values in means.items()}
    better = max(totals, key=lambda name: totals[name])
    figures = {"dice": totals[better]}
    if len(networks) > 1:
        figures |= {f"dice_{name}": total for name, total in totals.items()}
    by_organ = zip(organs.values(), means[better].tolist(), strict=True)
    figures |= {f"dice_{'_'.join(organ.split())}": score for organ, score in by_organ}
    return figures, better, example[better]


def _dice(found: Tensor, truth: Tensor) -> Tensor:
    """[C] of bool [C, Z, Y, X] and channel numbers [Z, Y, X]."""
    channels = torch.arange(1, len(found) + 1, device=truth.device, dtype=truth.dtype)
    true = truth[None] == channels[:, None, None, None]
    both, sizes = (found & true).sum((1, 2, 3)), found.sum((1, 2, 3)) + true.sum((1, 2, 3))
    return (2 * both + EPSILON) / (sizes + EPSILON)


def _joined(found: Tensor) -> Tensor:
    """bool [C, Z, Y, X] -> channel numbers [Z, Y, X]; of several organs the later one wins."""
    labels = torch.zeros(found.shape[1:], dtype=torch.uint8, device=found.device)
    for channel, mask in enumerate(found, start=1):
        labels[mask] = channel
    return labels


def _example(scan: Scan, image: Tensor, found: NDArray[np.uint8], dice: float) -> Example:
    z, y, x = (float(step) for step in scan.fitted["voxel"])
    return Example(scan.id, image.cpu().numpy(), scan.fitted["label"], found, (z, y, x), dice)


def examples_picture(example: Example, organs: Mapping[int, str], path: Path) -> Path:
    """Write a few slices of an example: truth as lines, prediction as fills."""
    z, y, x = example.voxel
    # The canonical frame: x to the right, y to the front, z to the head.
    image = Volume(example.image, (x, y, z), (0, 0, 0), np.diag([-1.0, -1.0, 1.0]), example.id)
    overlay_picture(
        image,
        image.with_voxels(example.found),
        path,
        truth=image.with_voxels(example.truth),
        slices=telling_slices(example.truth, SHOWN_SLICES),
        columns=SHOWN_SLICES,
        names=dict(enumerate(organs.values(), start=1)),
        title=f"Case {example.id}: Dice {example.dice:.2f}",
    )
    return path
