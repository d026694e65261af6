"""Training: batches, updates of all modalities' networks, validation, and what is kept of them.

Several seeds of one run are trained one after the other: when one is done, networks and optimiser begin anew
with the next. Of each modality the best weights of all validations are kept, whichever seed they come from,
and besides those of every seed, so that it can be told how far seeds agree.
Source: Patel and Dolz 2022 and the released code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from SegToolkitLib.methods.cmer.step import Step, training_step
from SegToolkitLib.methods.cmer.supervised import masks_step
from SegToolkitLib.methods.cmer.validation import Figures, validate
from SegToolkitLib.methods.cmer.weights import State, joined
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
        watched: scans of the validation; none does not validate.
        start: weights that every seed begins with; None draws them.

    Attributes:
        kept: the best weights of each network, by what it is of (a modality).
        of_seeds: the same of each seed, by its number in the run.
    """

    sampler: Sampler
    settings: CmerSettings
    device: torch.device
    watched: Sequence[Scan] = ()
    start: State | None = None
    kept: dict[str, Kept] = field(default_factory=dict)
    of_seeds: dict[int, dict[str, Kept]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network: Networks = self._fresh(0).to(self.device)
        self.optimiser = build_optimiser(self.network, self.settings.optimiser)
        # Constant: it only counts the updates.
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimiser, _constant)
        self._trial = 0
        self._validated_at: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """What each network is of: its modality, or all of them."""
        return self.settings.plan.parts

    def samples(self, numbers: Sequence[int]) -> Iterator[Batch]:
        """The batches of these numbers, drawn ahead by worker processes where there are any."""
        return drawn(self.sampler.draw, numbers, self.settings.workers)

    def step(self, sample: Batch) -> StepResult:
        """The losses of all modalities."""
        self._begin_seed()
        # The loop trains in training mode; as released, a validation leaves the norms frozen for a while.
        self.network.train(not self._frozen)
        seed, own = self.sampler.seed_of(sample.number)
        slices = sample.slices.to(self.device, non_blocking=True)
        generator = seeded(seed, STEP, own)
        if sample.masks is not None:
            masks = sample.masks.to(self.device, non_blocking=True)
            total, named = masks_step(self.network, slices, masks, self.settings, generator)
        else:
            tags = sample.tags.to(self.device, non_blocking=True)
            step = training_step(self.network, slices, tags, self.settings, generator)
            total, named = step.total, self._named(step)
        self.network.train()
        # All of them at once: each by itself would wait for the device.
        numbers = torch.stack([value.float() for value in named.values()]).tolist()
        return StepResult(total, dict(zip(named, numbers, strict=True)), samples=len(sample.tags))

    def _named(self, step: Step) -> dict[str, Tensor]:
        named: dict[str, Tensor] = {"loss": step.total.detach()}
        for modality, terms, accuracy in zip(self.parts, step.terms, step.accuracy, strict=True):
            own_terms = {name: getattr(terms, name) for name in ("ce", "er", "kl", "cmer")}
            named |= {f"{name}_{modality}": value for name, value in own_terms.items()}
            named[f"accuracy_{modality}"] = accuracy
        return named

    def validate(self) -> dict[str, float]:
        """Figures of the scans of the validation, see :func:`validation.validate`; empty without any."""
        if not self.watched:
            return {}
        figures = validate(self.network, self.watched, self.settings, self.device)
        self._validated_at = self._done
        for number, modality in enumerate(self.parts):
            self._keep(number, modality, figures)
        return figures.named()

    def validates_after(self, done: int) -> bool:
        """Whether an epoch, or a seed, ends there."""
        settings = self.settings
        ends_epoch = settings.schedule.at_epoch_ends and done % settings.steps_per_epoch == 0
        return ends_epoch or done % settings.steps_per_seed == 0

    def pictures(self, folder: Path, step: int) -> list[Path]:
        """Maps of slices of the first scan of the validation, always the same ones."""
        if not self.watched:
            return []
        path = folder / f"{step:08d}.png"
        title = f"Case {self.watched[0].id} after step {step}"
        maps_picture(self.network, self.watched[0], self.settings, path, title, self.device)
        return [path]

    def take_kept(self) -> None:
        """Give each modality its best weights, where validations have found some."""
        for number, modality in enumerate(self.parts):
            if modality in self.kept:
                self.network[number].load_state_dict(self.kept[modality].state)

    def seed_states(self) -> list[State]:
        """Tensors of the networks of every seed that has been trained, where there are several seeds.

        To be asked at the end: of the last seed the weights of now are taken where no validation has kept
        any, or none are to be kept.
        """
        if self.settings.seeds == 1:
            return []
        self._leave_seed()
        # A run that an earlier version began may lack the first ones.
        whole = [own for _, own in sorted(self.of_seeds.items()) if set(own) == set(self.parts)]
        return [joined([own[part].state for part in self.parts]) for own in whole]

    def extra_state(self) -> dict[str, Any]:
        """The best weights, which seed is being trained, and when it was validated last."""
        return {
            "kept": _plain(self.kept),
            "of_seeds": {trial: _plain(own) for trial, own in self.of_seeds.items()},
            "start": self.start,
            "trial": self._trial,
            "validated_at": self._validated_at,
        }

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`extra_state`."""
        self.kept = _kept(state["kept"])
        self.of_seeds = {int(trial): _kept(own) for trial, own in state.get("of_seeds", {}).items()}
        self.start = state.get("start")
        self._trial, self._validated_at = state["trial"], state["validated_at"]

    @property
    def _done(self) -> int:
        return int(self.scheduler.last_epoch)

    @property
    def _frozen(self) -> bool:
        if self.settings.schedule.norms != "released" or self._validated_at is None:
            return False
        epoch = self.settings.steps_per_epoch
        return self._done // epoch == (self._validated_at - 1) // epoch

    def _begin_seed(self) -> None:
        """Networks and optimiser anew, where the update to come is the first of another seed."""
        trial = min(self._done // self.settings.steps_per_seed, self.settings.seeds - 1)
        if trial == self._trial:
            return
        self._leave_seed()
        self._trial, self._validated_at = trial, None
        self.network.load_state_dict(self._fresh(trial).state_dict())
        self.optimiser.state.clear()

    def _fresh(self, trial: int) -> Networks:
        networks = fresh_networks(self.settings, trial)
        if self.start is not None:
            networks.load_state_dict(self.start)
        return networks

    def _leave_seed(self) -> None:
        """Keep the last weights of a seed of which no validation has kept any, or none are to be kept."""
        if self.settings.seeds == 1:
            return
        own = self.of_seeds.setdefault(self._trial, {})
        for number, part in enumerate(self.parts):
            if part not in own or not self.settings.use_best:
                own[part] = Kept(0.0, self._done, self.settings.seed + self._trial, self._state(number))

    def _keep(self, number: int, modality: str, figures: Figures) -> None:
        value = figures.chosen_by(modality, self.settings.selects_by)
        own = self.of_seeds.setdefault(self._trial, {}) if self.settings.seeds > 1 else {}
        # Strictly better, as released: of equal ones the first is kept.
        better = [
            kept for kept in (self.kept, own) if (best := kept.get(modality)) is None or value > best.value
        ]
        if better:
            found = Kept(value, self._done, self.settings.seed + self._trial, self._state(number))
            for kept in better:
                kept[modality] = found

    def _state(self, number: int) -> State:
        return {
            key: tensor.detach().cpu().clone() for key, tensor in self.network[number].state_dict().items()
        }


def fresh_networks(settings: CmerSettings, trial: int) -> Networks:
    """Networks of the n-th seed of a run, on the CPU."""
    generator = seeded(settings.seed + trial, WEIGHTS)
    plan = settings.plan
    return build_networks(plan.each, len(plan.parts), generator)


def _plain(kept: Mapping[str, Kept]) -> dict[str, dict[str, Any]]:
    """For a checkpoint."""
    return {
        name: {"value": one.value, "step": one.step, "seed": one.seed, "state": one.state}
        for name, one in kept.items()
    }


def _kept(plain: Mapping[str, Mapping[str, Any]]) -> dict[str, Kept]:
    return {name: Kept(**one) for name, one in plain.items()}


def _constant(_step: int) -> float:
    return 1.0
