"""Length, cadence and precision of a run, as the loop takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from SegToolkitLib.training.settings import TrainingSettings


@dataclass(frozen=True)
class LoopOptions:
    """See :class:`SegToolkitLib.training.settings.TrainingSettings` for their meaning.

    ``metric`` is the figure of the validation that decides what is best.
    """

    steps: int
    snapshot_every: int
    log_every: int
    precision: str = "auto"
    max_skip_share: float = 0.2
    keep_checkpoints: int = 2
    accumulate: int = 1
    clip_gradient: float | None = None
    validate_every: int = 0
    patience: int | None = None
    tensorboard: bool = False
    metric: tuple[str, Literal["max", "min"]] | None = None

    @classmethod
    def of(cls, settings: TrainingSettings, metric: tuple[str, Literal["max", "min"]] | None) -> LoopOptions:
        """The options that a run's settings ask for."""
        return cls(
            steps=settings.total_steps,
            snapshot_every=settings.snapshot_every,
            log_every=settings.log_every,
            precision=settings.precision,
            max_skip_share=settings.max_skip_share,
            keep_checkpoints=settings.keep_checkpoints,
            accumulate=settings.accumulate,
            clip_gradient=settings.clip_gradient,
            validate_every=settings.validate_every,
            patience=settings.patience,
            tensorboard=settings.tensorboard,
            metric=metric,
        )
