"""A task on made-up slices, for the estimate of a run's time and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from SegToolkitLib.dataset.cache import Arrays
from SegToolkitLib.dataset.classes import class_names
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.cooperative.data import Sampler
from SegToolkitLib.methods.cooperative.network import build_networks
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.train import CooperativeTask

# Of the released models, and of a stack of cine MR.
STRUCTURES = 3
SLICES = 10
HELD_OUT = 2


class _MadeUp:
    """A scan of noise; classes change from slice to slice."""

    id = "trial"

    def __init__(self, settings: CooperativeSettings, classes: int) -> None:
        rng = np.random.default_rng(0)
        size = (SLICES, settings.input.crop, settings.input.crop)
        label = np.zeros(size, np.uint8)
        label[:, size[1] // 4 : size[1] // 2, size[2] // 4 : size[2] // 2] = (
            1 + np.arange(SLICES)[:, None, None] % classes
        )
        self.arrays: Arrays = {
            "image": rng.random(size, np.float32),
            "label": label,
            "filled": np.arange(SLICES),
        }


def trial(settings: CooperativeSettings, dataset: Dataset | None, device: torch.device) -> CooperativeTask:
    """A task on noise with as many structures as the data set has."""
    names = {number: str(number) for number in range(1, STRUCTURES + 1)}
    if dataset is not None:
        names = class_names(dataset, settings.data)

    def scans(count: int) -> list[Any]:
        return [_MadeUp(settings, len(names))] * count

    # As many slices as a whole batch draws.
    needed = -(-settings.optimiser.batch // SLICES)
    sampler = Sampler(
        scans(needed),
        settings.data,
        settings.augment,
        settings.input,
        settings.optimiser.batch,
        settings.seed,
    )
    network = build_networks(settings.network, len(names) + 1, settings.seed)
    held_out = scans(HELD_OUT) if settings.validate_every else []
    return CooperativeTask(network, sampler, settings, device, held_out, names)
