"""Counts of a run: what was skipped, what was updated, and the means that are logged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from SegToolkitLib.errors import SegToolkitError

SKIP_WINDOW = 100


@dataclass(frozen=True)
class Taken:
    """One sample after its step, as plain values that other processes can be told.

    Attributes:
        weight: how much of it contributed to the gradient; 0 where it gave no loss.
        finite: whether its loss was a number.
        loss: the loss; 0 where there was none.
        values, samples, skipped, reason: see :class:`SegToolkitLib.training.task.StepResult`.
    """

    weight: int
    finite: bool
    loss: float
    values: dict[str, float]
    samples: int
    skipped: int
    reason: str


@dataclass
class Progress:
    """Counts that a resumed run needs to log what an uninterrupted one would have logged."""

    skipped: int = 0
    samples: int = 0
    updates: int = 0
    values: list[dict[str, float]] = field(default_factory=list)
    recent_skips: list[list[int]] = field(default_factory=list)

    def add(self, taken: Sequence[Taken]) -> None:
        """Take in the samples of one step, of every process."""
        skipped, samples = sum(t.skipped for t in taken), sum(t.samples for t in taken)
        self.skipped += skipped
        self.samples += samples
        self.recent_skips = [*self.recent_skips[1 - SKIP_WINDOW :], [skipped, samples]]
        for one in taken:
            if one.weight and all(map(math.isfinite, one.values.values())):
                self.values.append(one.values)

    def means(self) -> dict[str, float]:
        """Means of the logged values since the last call."""
        values, self.values = self.values, []
        return {name: sum(v[name] for v in values) / len(values) for name in values[0]} if values else {}

    def check_skips(self, limit: float, reason: str, step: int, last: bool = False) -> None:
        """Stop a run that mostly skips, instead of letting it end with an untrained network."""
        if len(self.recent_skips) < SKIP_WINDOW and not last:
            return
        skipped, samples = (sum(column) for column in zip(*self.recent_skips, strict=True))
        if skipped > limit * samples:
            raise SegToolkitError(
                "too-many-skips",
                f"{skipped} of the last {samples} samples (to step {step}) gave no loss: {reason}.",
                "Look at the preview of the superpixels: they may be too small or too large for the pooling"
                " window, or the patient mask may be wrong.",
            )

    def check_updates(self) -> None:
        """Refuse to call a run finished that changed nothing."""
        if not self.updates:
            raise SegToolkitError(
                "no-update",
                "The run made no update at all, so the network is as untrained as it was.",
                "Take more steps (optimiser.steps), or train in float32 (precision=float32).",
            )
