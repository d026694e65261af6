"""Settings of the toy."""

from __future__ import annotations

from pydantic import Field

from SegToolkitLib.training.settings import TrainingSettings


class ToySettings(TrainingSettings):
    """A few numbers to turn."""

    steps: int = Field(default=40, ge=1, le=1_000_000, description="updates of the weights")
    learning_rate: float = Field(default=0.2, gt=0, le=10)
    batch: int = Field(default=2, ge=1, le=64, description="pictures in a sample")
    size: int = Field(default=16, ge=8, le=256, description="pixels along each side of a picture")
    channels: int = Field(default=4, ge=1, le=256)
    dropout: float = Field(default=0.1, ge=0, lt=1, description="drawn from the global generator")
    delay: float = Field(default=0.0, ge=0, le=60, description="seconds that each sample takes at least")
    preparing: float = Field(default=0.0, ge=0, le=600, description="seconds of preparation")
    skip: list[int] = Field(default_factory=list, description="numbers of the samples that give no loss")
    peak: int | None = Field(default=None, ge=1, description="step after which the validation gets worse")

    @property
    def total_steps(self) -> int:
        return self.steps
