"""A task on made-up slices, for the estimate of a run's time and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from SegToolkitLib.dataset.cache import Arrays
from SegToolkitLib.dataset.channels import files_of
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.in_place import header_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.data import Sampler
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.methods.cmer.tags import Tag
from SegToolkitLib.methods.cmer.train import CmerTask

# Of the authors' prostate slices, where no data set tells.
SIZE = (256, 256)
SLICES = 24
HELD_OUT = 2


class _MadeUp:
    """A scan of noise; every other slice is tagged as visible."""

    id = "trial"
    mask: NDArray[np.bool_] | None = None
    ignored: NDArray[np.bool_] | None = None

    def __init__(self, settings: CmerSettings, size: tuple[int, int]) -> None:
        modalities = len(settings.data.modalities)
        self.arrays: Arrays = {
            "pixels": np.random.default_rng(0).random((SLICES, modalities, *size), np.float32),
            "constant": np.zeros((SLICES, modalities), np.bool_),
        }
        self.tags: list[Tag] = [bool(k % 2) for k in range(SLICES)]
        if settings.selects_by == "dsc":
            self.mask = np.zeros((SLICES, *size), np.bool_)


def trial(settings: CmerSettings, dataset: Dataset | None, device: torch.device) -> CmerTask:
    """A task on noise, in slices of the data set's size.

    Raises:
        SegToolkitError: "steps-unknown": an epoch is a round through slices that are not read here.
    """
    if settings.optimiser.steps_per_epoch is None:
        raise SegToolkitError(
            "steps-unknown",
            "An epoch is one round through the slices (optimiser.steps_per_epoch=null), and how many steps"
            " that takes is known only when a run has read them.",
            "For the estimate, set optimiser.steps_per_epoch to a number: tagged slices divided by"
            f" optimiser.batch ({settings.optimiser.batch}).",
        )
    size = (settings.input.size,) * 2 if settings.input.size is not None else _size(settings, dataset)

    def scans(count: int) -> list[Any]:
        return [_MadeUp(settings, size)] * count

    # As many slices as a whole batch draws.
    sampler = Sampler(scans(-(-settings.optimiser.batch // SLICES)), settings)
    return CmerTask(sampler, settings, device, scans(HELD_OUT) if settings.validate_every else [])


def _size(settings: CmerSettings, dataset: Dataset | None) -> tuple[int, int]:
    if dataset is None:
        return SIZE
    first = next(iter(files_of(dataset.cases[0], settings.data.modalities).values()))
    header = header_of(first)
    return SIZE if header is None else (header.size[1], header.size[0])
