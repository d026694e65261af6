"""How long a training will take and how much memory it will need: a few steps on made-up samples."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.device import choose_device
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.training.distributed import ALONE
from SegToolkitLib.training.memory import device_memory_mb, peak_memory_mb
from SegToolkitLib.training.method import TrainingMethod
from SegToolkitLib.training.options import LoopOptions
from SegToolkitLib.training.precision import autocast
from SegToolkitLib.training.settings import TrainingSettings
from SegToolkitLib.training.task import Task, Validates
from SegToolkitLib.training.update import Updater
from SegToolkitLib.training.validation import evaluating

WARM_UP = 2
LEAST, MOST = 3, 20
ENOUGH_SECONDS = 10.0


@dataclass(frozen=True)
class Estimate:
    """What a run will need.

    Attributes:
        seconds_per_step: median of the trial steps, without the first ones.
        total_seconds: of all steps and validations; preparation of the data comes on top.
        steps: of the run.
        memory_mb: most memory of the device; on a CPU without the volumes that a run keeps in memory.
        device_memory_mb: what the device has; None where that is not known.
        device: where it was measured.
        validation_seconds: of one validation; 0 without any.
    """

    seconds_per_step: float
    total_seconds: float
    steps: int
    memory_mb: float | None
    device_memory_mb: float | None
    device: str
    validation_seconds: float

    def values(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)

    def told(self) -> str:
        """In a sentence."""
        hours, minutes = divmod(round(self.total_seconds / 60), 60)
        time_text = f"{hours} h {minutes} min" if hours else f"{minutes or '< 1'} min"
        memory = "" if self.memory_mb is None else f", about {self.memory_mb / 1000:.1f} GB of memory"
        if self.device_memory_mb is not None and memory:
            memory += f" of {self.device_memory_mb / 1000:.1f} GB"
        each = f"{self.steps} steps of {self.seconds_per_step:.3g} s on {self.device}"
        return f"{each}: about {time_text}{memory}."


def estimate_of(
    method: TrainingMethod,
    settings: TrainingSettings,
    dataset: str | None,
    data: Path | None,
    device: str,
    reporter: Reporter,
) -> Estimate:
    """Run a few steps and a validation of ``method.trial``.

    Args:
        method: what would be trained.
        settings: of the run.
        dataset, data: as for a run; only the size of an image is read.
        device: name of the device.
        reporter: hears of progress.

    Raises:
        SegToolkitError: the data set or the device is not there, or the device has too little memory.
    """
    place = choose_device(device)
    opened = Dataset.open(dataset, data) if dataset is not None else None
    try:
        task = method.trial(settings, opened, place)
        seconds, validation = _measured(task, settings, place, reporter)
    except torch.OutOfMemoryError as error:
        raise SegToolkitError(
            "out-of-gpu-memory",
            f"The memory of {place} does not suffice for a single step.",
            "Choose a smaller network or fewer samples at a time, or another device.",
        ) from error
    steps = settings.total_steps
    rounds = -(-steps // settings.validate_every) if settings.validate_every else 0
    return Estimate(
        seconds_per_step=seconds,
        total_seconds=seconds * steps + validation * rounds,
        steps=steps,
        memory_mb=peak_memory_mb(place),
        device_memory_mb=device_memory_mb(place),
        device=str(place),
        validation_seconds=validation,
    )


def _measured(
    task: Task, settings: TrainingSettings, device: torch.device, reporter: Reporter
) -> tuple[float, float]:
    """Seconds of a step and of a validation."""
    task.network.to(device)
    task.network.train()
    options = LoopOptions.of(settings, None)
    updater = Updater(task, options, device, ALONE)
    samples: Any = iter(task.samples(range((WARM_UP + MOST) * settings.accumulate)))
    seconds: list[float] = []
    for number in range(WARM_UP + MOST):
        started = _now(device)
        updater.update(samples)
        seconds.append(_now(device) - started)
        reporter.progress("estimating", number + 1, WARM_UP + MOST)
        if number + 1 >= WARM_UP + LEAST and sum(seconds) > ENOUGH_SECONDS:
            break
    reporter.progress("estimating", WARM_UP + MOST, WARM_UP + MOST)
    validation = 0.0
    if settings.validate_every and isinstance(task, Validates):
        started = _now(device)
        with evaluating(task.network), autocast(device, settings.precision):
            task.validate()
        validation = _now(device) - started
    return statistics.median(seconds[WARM_UP:]), validation


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
