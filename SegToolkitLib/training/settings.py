"""What every method's training can be told; a method adds its own to it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from SegToolkitLib.settings import Settings


class TrainingSettings(Settings):
    """Settings that the engine itself reads. A method derives its own settings from this class."""

    seed: int = Field(default=1234, ge=0, le=2**32 - 1, description="of everything that is drawn at random")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto: mixed precision on a GPU, float32 on a CPU"
    )
    accumulate: int = Field(
        default=1, ge=1, le=1024, description="samples (micro-batches) whose gradients make one update"
    )
    clip_gradient: float | None = Field(
        default=None, gt=0, description="largest norm of the gradient; null does not clip"
    )
    workers: int = Field(default=0, ge=0, le=64, description="processes that draw samples ahead")
    snapshot_every: int = Field(default=1000, ge=1, description="steps between two checkpoints")
    keep_checkpoints: int = Field(default=2, ge=1, le=1000, description="newest checkpoints that are kept")
    log_every: int = Field(default=100, ge=1, description="steps between two logged means")
    validate_every: int = Field(default=0, ge=0, description="steps between two validations; 0 is never")
    patience: int | None = Field(
        default=None, ge=1, description="validations without improvement that end the run; null is never"
    )
    use_best: bool = Field(
        default=True, description="the result takes the weights of the best validation, where there was one"
    )
    max_skip_share: float = Field(
        default=0.2, gt=0, le=1, description="of the last 100 steps' samples, that may give no loss"
    )
    tensorboard: bool = Field(default=False, description="also write curves for TensorBoard")

    @property
    def total_steps(self) -> int:
        """Updates of the whole run; every method says where its settings have it."""
        raise NotImplementedError(f"{type(self).__name__} does not say how many steps a run has")
