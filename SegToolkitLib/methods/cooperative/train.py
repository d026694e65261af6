"""Training: batches, updates of all five networks, validation.

Several processes each normalise by, and make hard examples of, batches of their own. Two make the updates of
one with ``accumulate=2``; those of one with twice the batch only as far as half a batch has the statistics of
the whole. Running statistics are those of the first process, which has seen its own share of the batches.
Source: Chen et al., MICCAI 2021, arXiv 2107.01079, and the released code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from SegToolkitLib.methods.cooperative.data import Batch, Sampler
from SegToolkitLib.methods.cooperative.measuring import IMAGES, State, measured, put, replaced
from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.optimiser import build_optimiser
from SegToolkitLib.methods.cooperative.pictures import shown, slices_picture
from SegToolkitLib.methods.cooperative.scans import Scan
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings, StepSettings
from SegToolkitLib.methods.cooperative.step import cooperative_step
from SegToolkitLib.methods.cooperative.validation import slices_of, validate
from SegToolkitLib.training.drawing import drawn
from SegToolkitLib.training.task import StepResult

# What is drawn in a step and for pictures, apart from what :mod:`data` draws.
STEP, PICTURE = 3, 4


@dataclass(frozen=True)
class Sample:
    """A batch and its number, which seeds what is drawn in its step."""

    number: int
    batch: Batch


@dataclass(frozen=True)
class _Numbered:
    sampler: Sampler

    def __call__(self, number: int) -> Sample:
        return Sample(number, self.sampler.draw(number))


@dataclass
class CooperativeTask:
    """What the training loop needs to know of this method.

    Args:
        network: of :func:`build_networks`, on the CPU; the loop moves it.
        sampler: draws the batches.
        settings: of the run.
        device: where to train.
        held_out: scans of the validation; none does not validate.
        names: class -> name, without the background.
    """

    network: Networks
    sampler: Sampler
    settings: CooperativeSettings
    device: torch.device
    held_out: Sequence[Scan] = ()
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.to(self.device)
        self.optimiser = build_optimiser(self.network, self.settings.optimiser)
        factor = _cosine if self.settings.optimiser.schedule == "cosine" else _constant
        steps = self.settings.total_steps
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimiser, partial(factor, steps=steps))
        self._statistics: State | None = None

    def samples(self, numbers: Sequence[int]) -> Iterator[Sample]:
        """The batches of these numbers, drawn ahead by worker processes where there are any."""
        return drawn(_Numbered(self.sampler), numbers, self.settings.workers)

    def step(self, sample: Sample) -> StepResult:
        """The losses of clean images and, but for standard training, of the hard examples made of them."""
        step = cooperative_step(
            self.network,
            sample.batch.images.to(self.device, non_blocking=True),
            sample.batch.labels.to(self.device, non_blocking=True),
            self.step_settings,
            seeded(self.settings.seed, STEP, sample.number),
            temperature=self.settings.inference.temperature,
        )
        # All of them at once: each by itself would wait for the device.
        numbers = torch.stack([step.total.detach(), *step.losses.values()]).tolist()
        values = dict(zip(("loss", *step.losses), numbers, strict=True))
        return StepResult(step.total, values, samples=len(sample.batch.images))

    @property
    def step_settings(self) -> StepSettings:
        """Of the next update: without hard examples during the warm-up."""
        settings = self.settings.step
        if self.scheduler.last_epoch < self.settings.optimiser.warm_up:
            return settings.model_copy(update={"mode": "standard"})
        return settings

    def validate(self) -> dict[str, float]:
        """Figures of the held-out scans, see :func:`validation.validate`; empty without any."""
        if not self.held_out:
            return {}
        self._statistics = self._measured()
        with self._in_use():
            return validate(self.network, self.held_out, self.settings, self.names, self.device)

    def pictures(self, folder: Path, step: int) -> list[Path]:
        """Slices of the first held-out scan with their hard examples, always the same ones."""
        if not self.held_out:
            return []
        scan = self.held_out[0]
        generator = seeded(self.settings.seed, PICTURE)
        batch, path = shown(slices_of(scan, self.settings)), folder / f"{step:08d}.png"
        title = f"Case {scan.id} after step {step}"
        with self._in_use():
            slices_picture(
                self.network, batch, self.settings, self.names, path, title, generator, self.device
            )
        return [path]

    def settle(self) -> None:
        """Give the networks the statistics that they are to be used with, for good."""
        statistics = self._measured()
        if statistics is not None:
            put(self.network, statistics)

    def extra_state(self) -> dict[str, Any]:
        """Nothing: what is drawn follows from the numbers of the batches."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Undo nothing."""

    def _measured(self) -> State | None:
        if self.settings.norm_statistics == "running":
            return None
        return measured(self.network, self._looked_at, self.device, self.settings.inference.temperature)

    def _in_use(self) -> AbstractContextManager[None]:
        """The networks with the statistics of the validation; the training knows nothing of them."""
        return nullcontext() if self._statistics is None else replaced(self.network, self._statistics)

    @cached_property
    def _looked_at(self) -> list[Tensor]:
        """Images that statistics are measured on: the first that the training has seen."""
        count = -(-IMAGES // self.settings.optimiser.batch)
        return [self.sampler.draw(number).images for number in range(count)]


def seeded(*words: int) -> torch.Generator:
    """A generator on the CPU that these numbers (0 or more) seed together."""
    (state,) = np.random.SeedSequence(words).generate_state(1, np.uint64).tolist()
    return torch.Generator().manual_seed(state)


def _constant(step: int, steps: int) -> float:
    return 1.0


def _cosine(step: int, steps: int) -> float:
    """Factor of the rate after ``step`` of ``steps`` updates."""
    return 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))
