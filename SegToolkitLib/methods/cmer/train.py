"""Training: batches, updates of all modalities' networks, validation, and what is kept of them.

Several seeds of one run are trained one after the other: when one is done, networks and optimiser begin anew
with the next. Of each modality the best weights of all validations are kept, whichever seed they come from.
Source: Patel and Dolz 2022 and the released code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from SegToolkitLib.methods.cmer.data import Batch, Sampler, Scan, seeded
from SegToolkitLib.methods.cmer.network import Networks, build_networks
from SegToolkitLib.methods.cmer.optimiser import build_optimiser
from SegToolkitLib.methods.cmer.pictures import maps_picture
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.methods.cmer.step import training_step
from SegToolkitLib.methods.cmer.validation import Figures, validate
from SegToolkitLib.training.drawing import drawn
from SegToolkitLib.training.task import StepResult

# What is drawn, apart from what :mod:`data` draws.
WEIGHTS, STEP = 2, 3


@dataclass(frozen=True)
class Kept:
    """The best weights of a modality so far.

    Attributes:
        value: that they were chosen by; larger is better.
        step: finished steps of the run.
        seed: they were trained with.
        state: of the modality's network.
    """

    value: float
    step: int
    seed: int
    state: dict[str, Tensor]


@dataclass
class CmerTask:
    """What the training loop needs to know of this method.

    Args:
        sampler: draws the batches.
        settings: of the run.
        device: where to train.
        held_out: scans of the validation; none does not validate.
    """

    sampler: Sampler
    settings: CmerSettings
    device: torch.device
    held_out: Sequence[Scan] = ()
    kept: dict[str, Kept] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network: Networks = fresh_networks(self.settings, 0).to(self.device)
        self.optimiser = build_optimiser(self.network, self.settings.optimiser)
        # Constant: it only counts the updates.
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimiser, _constant)
        self._trial = 0
        self._validated_at: int | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        """In the order of the networks."""
        return self.settings.data.modalities

    def samples(self, numbers: Sequence[int]) -> Iterator[Batch]:
        """The batches of these numbers, drawn ahead by worker processes where there are any."""
        return drawn(self.sampler.draw, numbers, self.settings.workers)

    def step(self, sample: Batch) -> StepResult:
        """The losses of all modalities."""
        self._begin_seed()
        # The loop trains in training mode; as released, a validation leaves the norms frozen for a while.
        self.network.train(not self._frozen)
        seed, own = self.sampler.seed_of(sample.number)
        step = training_step(
            self.network,
            sample.slices.to(self.device, non_blocking=True),
            sample.tags.to(self.device, non_blocking=True),
            self.settings,
            seeded(seed, STEP, own),
        )
        self.network.train()
        named: dict[str, Tensor] = {"loss": step.total.detach()}
        for modality, terms, accuracy in zip(self.modalities, step.terms, step.accuracy, strict=True):
            own_terms = {name: getattr(terms, name) for name in ("ce", "er", "kl", "cmer")}
            named |= {f"{name}_{modality}": value for name, value in own_terms.items()}
            named[f"accuracy_{modality}"] = accuracy
        # All of them at once: each by itself would wait for the device.
        numbers = torch.stack([value.float() for value in named.values()]).tolist()
        return StepResult(step.total, dict(zip(named, numbers, strict=True)), samples=len(sample.tags))

    def validate(self) -> dict[str, float]:
        """Figures of the held-out scans, see :func:`validation.validate`; empty without any."""
        if not self.held_out:
            return {}
        figures = validate(self.network, self.held_out, self.settings, self.device)
        self._validated_at = self._done
        for number, modality in enumerate(self.modalities):
            self._keep(number, modality, figures)
        return figures.named()

    def validates_after(self, done: int) -> bool:
        """Whether an epoch, or a seed, ends there."""
        settings = self.settings
        ends_epoch = settings.schedule.at_epoch_ends and done % settings.optimiser.steps_per_epoch == 0
        return ends_epoch or done % settings.steps_per_seed == 0

    def pictures(self, folder: Path, step: int) -> list[Path]:
        """Maps of slices of the first held-out scan, always the same ones."""
        if not self.held_out:
            return []
        path = folder / f"{step:08d}.png"
        title = f"Case {self.held_out[0].id} after step {step}"
        maps_picture(self.network, self.held_out[0], self.settings, path, title, self.device)
        return [path]

    def take_kept(self) -> None:
        """Give each modality its best weights, where validations have found some."""
        for number, modality in enumerate(self.modalities):
            if modality in self.kept:
                self.network[number].load_state_dict(self.kept[modality].state)

    def extra_state(self) -> dict[str, Any]:
        """The best weights, which seed is being trained, and when it was validated last."""
        kept = {
            name: {"value": one.value, "step": one.step, "seed": one.seed, "state": one.state}
            for name, one in self.kept.items()
        }
        return {"kept": kept, "trial": self._trial, "validated_at": self._validated_at}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`extra_state`."""
        self.kept = {name: Kept(**one) for name, one in state["kept"].items()}
        self._trial, self._validated_at = state["trial"], state["validated_at"]

    @property
    def _done(self) -> int:
        return int(self.scheduler.last_epoch)

    @property
    def _frozen(self) -> bool:
        if self.settings.schedule.norms != "released" or self._validated_at is None:
            return False
        epoch = self.settings.optimiser.steps_per_epoch
        return self._done // epoch == (self._validated_at - 1) // epoch

    def _begin_seed(self) -> None:
        """Networks and optimiser anew, where the update to come is the first of another seed."""
        trial = min(self._done // self.settings.steps_per_seed, self.settings.seeds - 1)
        if trial == self._trial:
            return
        self._trial, self._validated_at = trial, None
        self.network.load_state_dict(fresh_networks(self.settings, trial).state_dict())
        self.optimiser.state.clear()

    def _keep(self, number: int, modality: str, figures: Figures) -> None:
        value = figures.chosen_by(modality, self.settings.selection.by)
        best = self.kept.get(modality)
        # Strictly better, as released: of equal ones the first is kept.
        if best is not None and not value > best.value:
            return
        state = {
            key: tensor.detach().cpu().clone() for key, tensor in self.network[number].state_dict().items()
        }
        self.kept[modality] = Kept(value, self._done, self.settings.seed + self._trial, state)


def fresh_networks(settings: CmerSettings, trial: int) -> Networks:
    """Networks of the n-th seed of a run, on the CPU."""
    generator = seeded(settings.seed + trial, WEIGHTS)
    return build_networks(settings.network, len(settings.data.modalities), generator)


def _constant(_step: int) -> float:
    return 1.0
