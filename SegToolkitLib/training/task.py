"""What a method gives to the loop: a task, and what became of each sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class StepResult:
    """What a method makes of one sample.

    Attributes:
        loss: scalar to be minimised, the mean over what contributed; None where all of it was skipped.
        values: named numbers to log (their means are).
        samples: how many things the sample consists of.
        skipped: those of them that gave no loss.
        reason: why they were skipped.
    """

    loss: Tensor | None
    values: dict[str, float]
    samples: int = 1
    skipped: int = 0
    reason: str = ""


class Task(Protocol):
    """What a method brings to the loop."""

    @property
    def network(self) -> nn.Module:
        """All that is trained; two networks are a ModuleDict."""
        ...

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Its optimiser."""
        ...

    @property
    def scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        """Stepped after every update."""
        ...

    def samples(self, numbers: Sequence[int]) -> Iterator[Any]:
        """The samples of these numbers (a range), in this order; each depends on seed and number alone."""
        ...

    def step(self, sample: Any) -> StepResult:
        """Forward pass and losses of one sample."""
        ...

    def extra_state(self) -> dict[str, Any]:
        """What checkpoints keep besides the states of network, optimiser and scheduler."""
        ...

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`extra_state`."""
        ...


@runtime_checkable
class Validates(Protocol):
    """A task that can be validated."""

    def validate(self) -> dict[str, float]:
        """Named figures of the network as it is; called in evaluation mode, without gradients."""
        ...


@runtime_checkable
class ValidatesBetween(Protocol):
    """A task that is to be validated at further steps than those that the settings ask for."""

    def validates_after(self, done: int) -> bool:
        """Whether to validate after so many finished steps."""
        ...


@runtime_checkable
class Milestones(Protocol):
    """A task whose weights at some steps are wanted after the run."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Numbers of finished steps after which the network is kept for good."""
        ...


@runtime_checkable
class Pictures(Protocol):
    """A task that can show what it has learnt."""

    def pictures(self, folder: Path, step: int) -> list[Path]:
        """Write PNG overlays into ``folder``, after the validation of ``step``; return their paths."""
        ...
