"""Settings of a training; the defaults are the released ones where they are no mistakes.

Source: released training configuration of cooperative training.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from SegToolkitLib.methods.cooperative.data_settings import AugmentSettings, DataSettings
from SegToolkitLib.methods.cooperative.mask_settings import MaskSettings
from SegToolkitLib.methods.cooperative.plan import InferencePlan, InputPlan, ModelPlan, NetworkPlan
from SegToolkitLib.settings import Settings
from SegToolkitLib.training.settings import TrainingSettings

LossKind = Literal["ce", "ce_dice"]


class MaskingSettings(Settings):
    """Which codes are masked, and how; null decodes no hard examples from that code."""

    image: MaskSettings | None = MaskSettings()
    shape: MaskSettings | None = MaskSettings()


class StepSettings(Settings):
    """What one update does."""

    mode: Literal["cooperative", "standard"] = Field(
        default="cooperative", description="standard: clean images alone, the baseline"
    )
    loss: LossKind = Field(
        default="ce", description="of segmentations; ce_dice: ours: and the Dice loss, for short runs"
    )
    noise: float = Field(default=0.05, ge=0, le=1, description="standard deviation of the inputs' noise")
    separate: bool = Field(
        default=False, description="losses of the shape networks teach the shape networks alone"
    )
    image_decoder_norms: Literal["released", "as_others"] = Field(
        default="released",
        description="released: hard images update the image decoder's norms, unlike all others",
    )
    masking: MaskingSettings = MaskingSettings()


class OptimiserSettings(Settings):
    """Optimiser and length; a run has epochs x steps_per_epoch updates."""

    name: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    schedule: Literal["constant", "cosine"] = Field(
        default="constant", description="cosine: ours: the rate falls to 0 over the run, for short ones"
    )
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(
        default=0.0, ge=0, le=1, description="adam: L2 penalty, added to the gradient; adamw: decoupled"
    )
    epochs: int = Field(default=600, ge=1, le=1_000_000)
    steps_per_epoch: int = Field(
        default=19, ge=1, description="batches; the authors: one round through all slices (10 patients: 19)"
    )
    batch: int = Field(
        default=20, ge=1, le=1024, description="images a step; with originals, half of them are augmented"
    )
    warm_up: int = Field(
        default=0, ge=0, description="ours: first steps without hard examples, which look poor so early"
    )


class CooperativeSettings(TrainingSettings):
    """Everything a training needs besides the data."""

    network: NetworkPlan = NetworkPlan()
    input: InputPlan = InputPlan()
    inference: InferencePlan = InferencePlan()
    step: StepSettings = StepSettings()
    augment: AugmentSettings = AugmentSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    norm_statistics: Literal["running", "measured"] = Field(
        default="running",
        description="of validations and of the model; measured: ours: anew, on training slices and predicted"
        " shapes, for short runs; running: as the training left them",
    )
    data: DataSettings = DataSettings()

    @property
    def total_steps(self) -> int:
        return self.optimiser.epochs * self.optimiser.steps_per_epoch

    @property
    def plan(self) -> ModelPlan:
        """What the model's card says."""
        return ModelPlan(network=self.network, input=self.input, inference=self.inference)
