"""Settings of ALPNet; the defaults are the authors', presets for other purposes stand at the end.

Source of the numbers: Ouyang et al., ECCV 2020, and the released training scripts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from SegToolkitLib.methods.alpnet.augment_ranges import AUGMENTATIONS
from SegToolkitLib.settings import Settings
from SegToolkitLib.training.settings import TrainingSettings

Width = Annotated[int, Field(ge=1, le=4096)]


class NetworkSettings(Settings):
    """Which encoder, and how prototypes are pooled."""

    encoder: Literal["resnet101", "compact"] = "resnet101"
    compact_widths: tuple[Width, Width, Width, Width] = Field(
        default=(32, 64, 128, 256), description="channels of the compact encoder's four layers"
    )
    channels: int = Field(default=256, ge=8, le=2048, description="channels of the prototype space")
    train_window: int = Field(default=4, ge=1, le=64, description="window in training, in feature cells")
    test_window: int = Field(default=2, ge=1, le=64, description="pooling window at use, in feature cells")
    threshold: float = Field(default=0.95, ge=0, lt=1, description="mask coverage that makes a window count")


class OptimiserSettings(Settings):
    """Optimiser, schedule and length of the run."""

    name: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(default=5e-4, ge=0, le=1)
    schedule: Literal["steps", "cosine"] = "steps"
    decay: float = Field(default=0.95, gt=0, le=1, description='factor of schedule "steps"')
    decay_every: int = Field(default=1000, ge=1, description='steps between two decays of schedule "steps"')
    steps: int = Field(default=100_100, ge=1)
    pairs_per_step: int = Field(default=1, ge=1, le=64, description="slices (support and query view) a step")


class EpisodeSettings(Settings):
    """What the training episodes are made of."""

    structures: int = Field(default=1, ge=1, le=64, description="superpixels drawn on each slice")
    draw_rule: Literal["present", "authors"] = "present"
    augmentation: str = Field(default="sabs_aug", description="name of the augmentation ranges")
    background_weight: float = Field(default=0.05, gt=0, le=1, description="class weight of the background")
    epoch_length: int | None = Field(
        default=None,
        ge=1,
        description="slices in a pass over MR (the authors' 1000); null, like CT, takes every one once",
    )

    @field_validator("augmentation")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in AUGMENTATIONS:
            raise ValueError(f"known augmentations are {', '.join(AUGMENTATIONS)}")
        return value


class DataSettings(Settings):
    """Which volumes, and how their pseudo-labels are made."""

    fold: int | None = Field(default=0, ge=0, description="fold left out; null trains on every volume")
    setting: Literal[1, 2] = Field(default=1, description="2 leaves out slices that hold a tested organ")
    exclude: list[int] = Field(
        default_factory=list, description="label ids of the structures that setting 2 leaves out"
    )
    n_support: int = Field(default=1, ge=1, description="validation scans that serve as support")
    superpixel_scale: float = Field(default=1.0, gt=0)
    superpixel_sigma: float = Field(default=1.0, ge=0)
    superpixel_min_sizes: list[Annotated[int, Field(ge=1)]] = Field(
        default=[400], min_length=1, description="pixels; several sizes are drawn from evenly"
    )
    superpixel_rule: Literal["present", "compat"] = "present"
    window: tuple[float, float] | None = Field(
        default=None,
        description="CT: Hounsfield units that volumes with values from 0 to 255 were cut to; null asks the"
        " prepare.json beside them",
    )
    threshold: str | float | None = Field(
        default=None,
        description='patient-mask threshold: number, "otsu", "percentile:N"; null asks the data set',
    )


class AlpnetSettings(TrainingSettings):
    """Everything a training run needs besides the data."""

    network: NetworkSettings = NetworkSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    episodes: EpisodeSettings = EpisodeSettings()
    data: DataSettings = DataSettings()

    @property
    def total_steps(self) -> int:
        return self.optimiser.steps


PRESETS: dict[str, AlpnetSettings] = {
    "authors": AlpnetSettings(
        episodes=EpisodeSettings(draw_rule="authors", epoch_length=1000),
        data=DataSettings(superpixel_rule="compat"),
        workers=4,
        snapshot_every=25_000,
    ),
    # For two CPU cores: a small encoder, and many superpixels to an encoder pass, because the
    # prototypes cost next to nothing beside the encoder.
    "compact": AlpnetSettings(
        network=NetworkSettings(encoder="compact"),
        optimiser=OptimiserSettings(
            name="adamw",
            learning_rate=1e-3,
            weight_decay=1e-4,
            schedule="cosine",
            steps=1000,
            pairs_per_step=4,
        ),
        episodes=EpisodeSettings(structures=4),
        snapshot_every=100,
        log_every=20,
    ),
}
