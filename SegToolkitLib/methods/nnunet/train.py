"""Training: nnU-Net's batches, network, loss and optimiser as a task of the common loop.

Every process draws whole batches of its own; two make the update of one with ``accumulate=2``.
Source: Isensee et al., Nat. Methods 18 (2021); nnU-Net 2.8.1, whose learning rate falls from epoch to epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from SegToolkitLib.methods.nnunet.batches import TRAINING, VALIDATION, Batches
from SegToolkitLib.methods.nnunet.home import Home
from SegToolkitLib.methods.nnunet.settings import NnunetSettings, OptimiserSettings
from SegToolkitLib.methods.nnunet.validation import Example, example_picture, of_cases, of_patches
from SegToolkitLib.training.drawing import drawn
from SegToolkitLib.training.task import StepResult

# Of nnU-Net's schedule.
EXPONENT = 0.9


class NnunetTask:
    """What the training loop needs to know of this method.

    Args:
        trainer: of :func:`begin_trainer`.
        settings: of the run.
        home: in which it was begun.
        held_out: nnU-Net's names of the cases of the validation; none does not validate.
        names: class -> name, without the background.
        temporary: folders that live as long as the task.

    Attributes:
        network: nnU-Net's as "network"; with PDCR also its projections as "pdcr".
    """

    def __init__(
        self,
        trainer: Any,
        settings: NnunetSettings,
        home: Home,
        held_out: Sequence[str],
        names: Mapping[int, str],
        temporary: Any = None,
    ) -> None:
        self.trainer, self.settings, self.home = trainer, settings, home
        self.held_out, self.names = list(held_out), dict(names)
        parts = {"network": trainer.network}
        if getattr(trainer, "pdcr", None) is not None:
            parts["pdcr"] = trainer.pdcr
        self.network = nn.ModuleDict(parts)
        self.optimiser: torch.optim.Optimizer = trainer.optimizer
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, partial(rate_factor, settings=settings.optimiser)
        )
        self.batches = Batches(trainer.dataloader_train, settings.seed, TRAINING)
        self.patches = Batches(trainer.dataloader_val, settings.seed, VALIDATION)
        self._example: Example | None = None
        self._temporary = temporary

    def samples(self, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        """The batches of these numbers, drawn ahead by worker processes where there are any."""
        return drawn(self.batches.draw, numbers, self.settings.workers)

    def step(self, sample: dict[str, Any]) -> StepResult:
        """nnU-Net's loss with deep supervision, and PDCR's terms, each logged without its weight."""
        trainer, device = self.trainer, self.trainer.device
        data, target = sample["data"].to(device, non_blocking=True), sample["target"]
        if isinstance(target, list):
            target = [one.to(device, non_blocking=True) for one in target]
        else:
            target = target.to(device, non_blocking=True)
        loss = trainer.loss(trainer.network(data), target)
        values = {"loss": float(loss.detach())}
        if hasattr(trainer.loss, "means"):
            # PDCR has no decoder term in 3-D.
            values |= {name: value for name, value in trainer.loss.means().items() if name != "decoder"}
        return StepResult(loss, values, samples=len(data))

    def validate(self) -> dict[str, float]:
        """Figures of the held-out cases, see :mod:`validation`; empty without any."""
        self._example = None
        if not self.held_out:
            return {}
        with self.home.active():
            if self.settings.validation.by == "patches":
                return of_patches(self.trainer, self.patches, self.settings.validation.patches, self.names)
            figures, self._example = of_cases(self.trainer, self.held_out, self.names)
        return figures

    def pictures(self, folder: Path, step: int) -> list[Path]:
        """Slices of the first held-out case with truth and prediction, where whole cases are validated."""
        if self._example is None:
            return []
        return [example_picture(self._example, self.names, folder / f"{step:08d}.png")]

    def extra_state(self) -> dict[str, Any]:
        """Nothing: what is drawn follows from the numbers of the batches."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Undo nothing."""


def rate_factor(step: int, settings: OptimiserSettings) -> float:
    """Factor of the first learning rate for the update after ``step`` others."""
    epoch = min(step // settings.steps_per_epoch, settings.epochs - 1)
    return float((1 - epoch / settings.epochs) ** EXPONENT)
