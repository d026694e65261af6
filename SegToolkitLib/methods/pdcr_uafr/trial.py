"""A task on made-up images, for the estimate of a run's time and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from SegToolkitLib.dataset.cache import Arrays
from SegToolkitLib.dataset.classes import class_names
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.pdcr_uafr.data import Sampler
from SegToolkitLib.methods.pdcr_uafr.network import build_network
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.methods.pdcr_uafr.train import PdcrUafrTask

HELD_OUT = 4


class _MadeUp:
    """A picture of noise with a square."""

    id = "trial"

    def __init__(self, settings: PdcrUafrSettings, classes: int) -> None:
        rng = np.random.default_rng(0)
        rows, columns = settings.input.size
        mask = np.zeros((1, rows, columns), np.uint8)
        mask[:, rows // 4 : rows // 2, columns // 4 : columns // 2] = classes
        image = rng.integers(0, 256, (1, rows, columns, 3), np.uint8)
        self.arrays: Arrays = {"image": image, "mask": mask, "truth": mask, "filled": np.arange(1)}


def trial(settings: PdcrUafrSettings, dataset: Dataset | None, device: torch.device) -> PdcrUafrTask:
    """A task on noise with as many structures as the data set has."""
    names = {1: "structure"} if dataset is None else class_names(dataset, settings.data)
    scans: list[Any] = [_MadeUp(settings, len(names))]
    sampler = Sampler(
        scans, settings.data, settings.augment, settings.input, settings.optimiser.batch, settings.seed
    )
    network = build_network(settings.network, len(names) + 1, settings.seed)
    held_out = scans * HELD_OUT if settings.validate_every else []
    return PdcrUafrTask(network, sampler, settings, device, held_out, names)
