"""Training: batches, the losses of a step, rates by table, validation.

Several processes each normalise by batches of their own; two make the updates of one with ``accumulate=2``.
Running statistics are those of the first process. The released script trains each process alone.
Source: Liu et al., arXiv 2201.08779, and the released code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.data import Batch, Sampler
from SegToolkitLib.methods.pdcr_uafr.layers import pdcr_layers
from SegToolkitLib.methods.pdcr_uafr.network import DeepLab
from SegToolkitLib.methods.pdcr_uafr.optimiser import build_optimiser, scale_gradients
from SegToolkitLib.methods.pdcr_uafr.pdcr import PDCR
from SegToolkitLib.methods.pdcr_uafr.reading import Scan
from SegToolkitLib.methods.pdcr_uafr.schedule import rates
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.methods.pdcr_uafr.sheets import validation_sheet
from SegToolkitLib.methods.pdcr_uafr.step import training_step
from SegToolkitLib.methods.pdcr_uafr.validation import validate
from SegToolkitLib.training.drawing import drawn
from SegToolkitLib.training.task import StepResult

# What is drawn in a step, apart from what :mod:`data` draws.
STEP = 2


@dataclass
class PdcrUafrTask:
    """What the training loop needs to know of this method.

    Args:
        network: of :func:`build_network`, on the CPU; the loop moves it.
        sampler: draws the batches.
        settings: of the run.
        device: where to train.
        held_out: cases of the validation; none does not validate.
        names: class -> name, without the background.

    Raises:
        SegToolkitError: "class-count"; what :func:`regulariser` raises.
    """

    network: DeepLab
    sampler: Sampler
    settings: PdcrUafrSettings
    device: torch.device
    held_out: Sequence[Scan] = ()
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.to(self.device)
        settings = self.settings
        weights = settings.loss.class_weights
        if weights is not None and len(weights) != self.network.classes:
            raise SegToolkitError(
                "class-count",
                f"loss.class_weights has {len(weights)} numbers for {self.network.classes} classes.",
                "Give one for the background and one for each structure, or null.",
            )
        self.pdcr = regulariser(settings, self.network.classes)
        self.optimiser = build_optimiser(self.network.parameters(), settings.optimiser)
        if settings.optimiser.larc:
            self.optimiser.register_step_pre_hook(partial(_scale, settings.optimiser.weight_decay))
        base = settings.optimiser.learning_rate
        table = rates(settings.schedule, base, settings.optimiser.epochs, settings.optimiser.steps_per_epoch)
        factor = partial(_factor, table=table / base)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimiser, factor)

    def samples(self, numbers: Sequence[int]) -> Iterator[Batch]:
        """The batches of these numbers, drawn ahead by worker processes where there are any."""
        return drawn(self.sampler.draw, numbers, self.settings.workers)

    def step(self, sample: Batch) -> StepResult:
        """Cross-entropy, and the terms of the regulariser that count; each is logged without its weight."""
        step = training_step(
            self.network,
            sample.images.to(self.device, non_blocking=True),
            sample.masks.to(self.device, non_blocking=True),
            self.settings.pdcr,
            self.pdcr,
            seeded(self.settings.seed, STEP, sample.number),
            self.settings.loss.class_weights,
        )
        # All of them at once: each by itself would wait for the device.
        numbers = torch.stack([step.total.detach(), *step.losses.values()]).tolist()
        values = dict(zip(("loss", *step.losses), numbers, strict=True))
        return StepResult(step.total, values, samples=len(sample.images))

    def validate(self) -> dict[str, float]:
        """Figures of the held-out cases, see :func:`validation.validate`; empty without any."""
        if not self.held_out:
            return {}
        return validate(self.network, self.held_out, self.settings, self.names, self.device)

    def pictures(self, folder: Path, step: int) -> list[Path]:
        """The first held-out cases, always the same ones."""
        if not self.held_out:
            return []
        path, title = folder / f"{step:08d}.png", f"After step {step}"
        validation_sheet(self.network, self.held_out, self.settings, self.names, path, title, self.device)
        return [path]

    def extra_state(self) -> dict[str, Any]:
        """Nothing: what is drawn follows from the numbers of the batches."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Undo nothing."""


def regulariser(settings: PdcrUafrSettings, classes: int) -> PDCR | None:
    """PDCR as the settings want it; None where no term counts. It has no weights of its own here.

    Where there are several structures, shares are told apart by structure.

    Raises:
        SegToolkitError: "class-count"; "field-too-large", "small-image", "no-head".
    """
    if not settings.pdcr.enabled:
        return None
    told, structures = settings.pdcr.classes, classes - 1
    if told not in (1, structures):
        raise SegToolkitError(
            "class-count",
            f"pdcr.classes is {told}, and there are {structures} structures.",
            "Leave it at 1: the structures are counted.",
        )
    rules = settings.pdcr.model_copy(update={"classes": structures})
    return PDCR(pdcr_layers(settings.network, rules, settings.input.size), rules)


def seeded(*words: int) -> torch.Generator:
    """A generator on the CPU that these numbers (0 or more) seed together."""
    (state,) = np.random.SeedSequence(words).generate_state(1, np.uint64).tolist()
    return torch.Generator().manual_seed(state)


def _scale(weight_decay: float, optimiser: torch.optim.Optimizer, *_given: Any) -> None:
    scale_gradients(optimiser, weight_decay)


def _factor(step: int, table: NDArray[np.float64]) -> float:
    """Factor of the base rate for the update after ``step`` others."""
    return float(table[min(step, len(table) - 1)])
