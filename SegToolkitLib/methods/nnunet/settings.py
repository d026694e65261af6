"""Settings of a training; the defaults are nnU-Net's own.

Source: Isensee et al., Nat. Methods 18 (2021); nnU-Net 2.8.1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from SegToolkitLib.settings import Settings
from SegToolkitLib.training.settings import TrainingSettings

# Names of nnU-Net's trainers; all but the first are those of the plug-in.
TRAINERS = {
    "plain": "nnUNetTrainer",
    "pdcr": "nnUNetTrainerPDCR",
    "uafr": "nnUNetTrainerUAFR",
    "pdcr_uafr": "nnUNetTrainerPDCR_UAFR",
}


class PlanSettings(Settings):
    """What nnU-Net is asked to plan; patch, batch and network follow from the data."""

    configuration: Literal["2d", "3d_fullres", "3d_lowres"] = Field(
        default="3d_fullres", description="3d_lowres is there where volumes are far larger than a patch"
    )
    planner: Literal["default", "residual_m", "residual_l", "residual_xl"] = Field(
        default="default", description="residual_*: residual encoders, planned for 8, 24 or 40 GB of a GPU"
    )
    memory_gb: float | None = Field(
        default=None, gt=0, le=1000, description="of the GPU that is planned for; null: as the planner has it"
    )
    batch: int | None = Field(default=None, ge=2, le=1024, description="patches a step; null: as planned")
    features: int = Field(
        default=32,
        ge=4,
        le=320,
        description="channels of the first stage; each further stage has twice as many",
    )


class DataSettings(Settings):
    """Which cases."""

    fold: int | None = Field(default=0, ge=0, description="fold left out for validation; null trains on all")
    cases: tuple[str, ...] | None = Field(default=None, description="use these training cases alone")
    fraction: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="of the patients on the training side, drawn by the seed; the list is written",
    )


class OptimiserSettings(Settings):
    """Length and rate; a run has epochs x steps_per_epoch updates, and the rate falls with each epoch."""

    learning_rate: float = Field(default=1e-2, gt=0, le=10, description="of the first epoch")
    epochs: int = Field(default=1000, ge=1, le=1_000_000)
    steps_per_epoch: int = Field(default=250, ge=1, le=1_000_000)


class AugmentSettings(Settings):
    """nnU-Net's augmentation."""

    mirror: bool = Field(
        default=True,
        description="mirror patches in training, and when the model is used; off where left and right are"
        " structures of their own",
    )


class ValidationSettings(Settings):
    """What the validations within the run look at."""

    by: Literal["cases", "patches"] = Field(
        default="cases", description="cases: whole, by sliding window without mirroring; patches: as nnU-Net"
    )
    patches: int = Field(default=50, ge=1, le=10_000, description="batches of patches, always the same ones")


class NnunetSettings(TrainingSettings):
    """Everything a training needs besides the data."""

    trainer: Literal["plain", "pdcr", "uafr", "pdcr_uafr"] = Field(
        default="plain", description="plain: nnU-Net; pdcr and uafr: the plug-in's parts (see its document)"
    )
    plan: PlanSettings = Field(default=PlanSettings(), json_schema_extra={"advanced": False})
    data: DataSettings = DataSettings()
    optimiser: OptimiserSettings = Field(default=OptimiserSettings(), json_schema_extra={"advanced": False})
    augment: AugmentSettings = AugmentSettings()
    validation: ValidationSettings = ValidationSettings()
    clip_gradient: float | None = Field(
        default=12.0, gt=0, description="largest norm of the gradient; null does not clip"
    )

    @property
    def total_steps(self) -> int:
        """Updates of the whole run."""
        return self.optimiser.epochs * self.optimiser.steps_per_epoch

    @property
    def trainer_name(self) -> str:
        """Name of the trainer's class."""
        return TRAINERS[self.trainer]
