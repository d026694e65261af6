"""Settings of a training; the defaults are the released ones where they are no mistakes.

Source: Liu et al., arXiv 2201.08779, and the README of the released code (ISIC 2016).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings
from SegToolkitLib.methods.pdcr_uafr.plan import InferencePlan, InputPlan, ModelPlan, NetworkPlan
from SegToolkitLib.settings import Settings
from SegToolkitLib.training.settings import TrainingSettings

Share = Annotated[float, Field(ge=0, le=1)]


class LossSettings(Settings):
    """The supervised loss."""

    class_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        default=None, description="of the cross-entropy, background first; null: alike"
    )


class AugmentSettings(Settings):
    """Drawn anew for each image, in this order; always normalised afterwards. Grey images stay grey."""

    zoom: tuple[float, float] = Field(default=(0.8, 1.2), description="factor, of each axis by itself")
    shift: Share = Field(default=0.1, description="largest translation, in parts of each axis")
    rotation_degrees: float = Field(default=90.0, ge=0, le=180, description="largest, to either side")
    shear_degrees: float = Field(default=20.0, ge=0, le=60, description="largest, to either side")
    flip_columns: Share = Field(default=0.5, description="probability: left and right change places")
    flip_rows: Share = Field(default=0.5, description="probability: top and bottom change places")
    hue: int = Field(default=50, ge=0, le=255, description="largest shift; 255 is a whole turn")
    saturation: int = Field(default=50, ge=0, le=255, description="largest shift, of 255")

    @model_validator(mode="after")
    def _zoom_rises(self) -> AugmentSettings:
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError(f"the range of zoom {self.zoom} must rise from above 0")
        return self


class OptimiserSettings(Settings):
    """Optimiser and length; a run has epochs x steps_per_epoch updates."""

    name: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(default=1e-5, ge=0, le=1, description="L2 penalty, added to the gradient")
    larc: bool = Field(default=False, description="scale each tensor's gradient to its weights (trust 0.001)")
    batch: int = Field(default=4, ge=2, le=1024, description="images a step; one norm needs two")
    epochs: int = Field(default=300, ge=1, le=1_000_000)
    steps_per_epoch: int = Field(
        default=225, ge=1, description="batches; the authors: one round through all images (ISIC 2016: 900)"
    )


class ScheduleSettings(Settings):
    """The learning rate over the run."""

    kind: Literal["cosine", "step", "exponential"] = "cosine"
    warm_up: int = Field(default=2, ge=0, description="epochs in which the rate rises")
    warm_up_from: float = Field(default=0.0, ge=0, le=10)
    final: float = Field(default=1e-5, ge=0, le=10, description="smallest rate")
    step_epochs: tuple[Annotated[int, Field(ge=1)], ...] = (30, 50, 80)
    step_factor: float = Field(default=0.1, gt=0, le=1)
    decay: float = Field(default=0.97, gt=0, le=1, description="of exponential, an epoch")
    order: Literal["before", "released"] = Field(
        default="before", description="released: the rate is set after the step it is meant for (a mistake)"
    )


class DataSettings(Settings):
    """Which images, and how their masks are read."""

    fold: int | None = Field(default=0, ge=0, description="fold left out for validation; null trains on all")
    cases: tuple[str, ...] | None = Field(default=None, description="use these training cases alone")
    fraction: float = Field(
        default=1.0, gt=0, le=1, description="of the patients on the training side, drawn by the seed; listed"
    )
    classes: dict[int, Annotated[int, Field(ge=1, le=255)]] | None = Field(
        default=None, description="label value -> class, 1 and on; null: the labels in their order"
    )
    empty_slices: Literal["keep", "drop"] = Field(
        default="keep", description="slices of volumes that show no structure"
    )
    mask_rule: Literal["threshold", "released"] = Field(
        default="threshold",
        description="threshold: foreground above 127 (above 0 where a mask has two values), then nearest;"
        " released: Lanczos, then above 0, which adds a rim (a mistake)",
    )
    cache_gb: float = Field(default=20.0, gt=0, description="prepared images kept on disk")

    @model_validator(mode="after")
    def _classes_have_no_gap(self) -> DataSettings:
        if self.classes is not None and set(self.classes.values()) != set(
            range(1, max(self.classes.values(), default=0) + 1)
        ):
            raise ValueError("the classes must be 1, 2, ... without a gap")
        return self


class PdcrUafrSettings(TrainingSettings):
    """Everything a training needs besides the data."""

    seed: int = Field(default=666, ge=0, le=2**32 - 1, description="of everything that is drawn at random")
    network: NetworkPlan = NetworkPlan()
    input: InputPlan = InputPlan()
    inference: InferencePlan = InferencePlan()
    loss: LossSettings = LossSettings()
    pdcr: PdcrSettings = PdcrSettings()
    augment: AugmentSettings | None = Field(default=AugmentSettings(), description="null changes no image")
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    data: DataSettings = DataSettings()

    @property
    def total_steps(self) -> int:
        return self.optimiser.epochs * self.optimiser.steps_per_epoch

    @property
    def plan(self) -> ModelPlan:
        """What the model's card says."""
        return ModelPlan(network=self.network, input=self.input, inference=self.inference)

    @model_validator(mode="after")
    def _parts_fit(self) -> PdcrUafrSettings:
        _ = self.plan
        missing = set(self.pdcr.cross_layers) - set(self.network.cross_heads)
        if self.pdcr.weights_of_terms.cross and missing:
            raise ValueError(
                f"network.cross_heads lacks {', '.join(map(str, sorted(missing)))} of pdcr.cross_layers"
            )
        return self
