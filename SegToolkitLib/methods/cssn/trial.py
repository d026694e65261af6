"""A task on made-up volumes, for the estimate of a run's time and memory."""

from __future__ import annotations

import numpy as np
import torch

from SegToolkitLib.dataset.cache import Arrays
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.cssn.cases import organs_of
from SegToolkitLib.methods.cssn.data import Sampler
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.methods.cssn.train import CssnTask, build_networks

# Of the released models.
ORGANS = 13
HELD_OUT = 4


class _MadeUp:
    """A scan of noise with a ball for each organ, already at the network's size."""

    id = "trial"

    def __init__(self, settings: CssnSettings, organs: int, labelled: bool) -> None:
        rng = np.random.default_rng(0)
        size = settings.size
        image = rng.normal(0, 100, size).astype(np.float32)
        self.fitted: Arrays = {"image": image, "voxel": np.ones(3)}
        if labelled:
            self.fitted = {**self.fitted, "label": rng.integers(0, organs + 1, size, np.uint8)}
        self.whole: Arrays = {
            **self.fitted,
            "spacing": np.ones(3),
            "extent": np.array([[n // 4 for n in size], [3 * n // 4 for n in size]]),
        }

    def cut(self, box: object) -> Arrays:
        """The same whatever the box."""
        return self.fitted


def trial(settings: CssnSettings, dataset: Dataset | None, device: torch.device) -> CssnTask:
    """A task on noise of the network's size with as many organs as the data set has."""
    settings = settings.for_modality("CT" if dataset is None else dataset.description.modality)
    organs = {value: str(value) for value in range(1, ORGANS + 1)} if dataset is None else organs_of(dataset)

    def scans(count: int, labelled: bool) -> list:
        return [_MadeUp(settings, len(organs), labelled)] * count

    sampler = Sampler(scans(1, True), scans(int(settings.cross.enabled), False), settings, len(organs), {})
    held_out = scans(HELD_OUT, True) if settings.validate_every else []
    return CssnTask(build_networks(settings, len(organs)), sampler, settings, device, held_out, organs)
