"""Settings of a training; the defaults are the released ones where they are no mistakes.

Source: released training configurations and launchers of SemiSeg-CSSN. The presets say what differs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.methods.cssn.plan import InferencePlan, Intensity, NetworkPlan, Size, StagePlan
from SegToolkitLib.settings import Settings
from SegToolkitLib.training.settings import TrainingSettings

# Below the smallest organs of the abdomen (an adrenal gland has 1000 mm3 and more), above most false finds.
LEAST_MM3 = 500.0


class OwnRules(InferencePlan):
    """Rules for the models of own trainings: limits in true mm3, the same in both stages.

    A coarse limit that drops a structure costs it the region, and so the fine stage.
    """

    coarse_least_mm3: float = Field(
        default=LEAST_MM3, ge=0, description="smaller components of the coarse stage are dropped, true mm3"
    )
    fine_least_mm3: float = Field(
        default=LEAST_MM3, ge=0, description="the same in the fine stage; what it means says least_rule"
    )
    least_rule: Literal["released", "literal"] = Field(
        default="literal",
        description="literal: fine_least_mm3 are true mm3; released (a mistake): times the network's voxels"
        " for one of the crop's, so small crops lose organs",
    )


class LossSettings(Settings):
    """Supervised and pseudo-supervised loss alike."""

    kind: Literal["dice", "dice_bce", "dice_focal"] = "dice_bce"
    focal_mode: Literal["elementwise", "released"] = Field(
        default="elementwise",
        description="released: the mean over all voxels weights every voxel (a mistake)",
    )


class CrossSettings(Settings):
    """Cross supervision: two networks teach each other."""

    enabled: bool = Field(default=True, description="two networks; false trains one on labels alone")
    pseudo_labels: Literal["corrected", "released"] = Field(
        default="corrected", description="released: every pseudo-label is shifted by one organ (a mistake)"
    )
    threshold: float = Field(default=0.5, gt=0, lt=1, description="probability below which it is background")
    weight: float = Field(default=1.0, ge=0, description="of the pseudo-supervised loss")
    ramp_steps: int = Field(default=0, ge=0, description="steps over which that weight grows")
    labelled_too: bool = Field(default=True, description="pseudo-labels teach on labelled images as well")
    ema: float | None = Field(
        default=None, gt=0, lt=1, description="decay of averaged weights, which then validate and are kept"
    )


class AugmentSettings(Settings):
    """Drawn anew for each sample; of the released fine training unless said otherwise."""

    crop_probability: float = Field(default=0.5, ge=0, le=1, description="random crop around the organs")
    crop_mm: float = Field(default=40.0, ge=0, description="how far a random crop reaches beyond the organs")
    crop_rule: Literal["corrected", "released"] = Field(
        default="corrected", description="released: the lower faces cut into the organs (a mistake)"
    )
    organ_shift_probability: float = Field(default=0.5, ge=0, le=1, description="of each organ's intensity")
    organ_shift: int = Field(
        default=200, ge=0, description="largest shift, in a window of 650 HU; others scale it"
    )
    global_shift: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="largest shift of an unlabelled image, in parts of the window (CT); none with percentiles"
        " (MR), which move with the image",
    )
    flips: tuple[bool, bool, bool] = Field(
        default=(False, False, False), description="axes z, y, x that may flip; x swaps left and right"
    )
    swapped: list[tuple[int, int]] = Field(
        default_factory=list, description="pairs of labels (left, right) that change places when x flips"
    )
    rotation_degrees: float = Field(default=0.0, ge=0, le=45, description="largest rotation about one axis")
    shift_share: float = Field(default=0.0, ge=0, le=0.5, description="largest translation, in parts of it")
    noise_variance: float = Field(default=0.0, ge=0, le=1, description="largest, after the z-score")
    elastic: bool = Field(default=False, description="elastic deformation (alpha 1, sigma 20)")


class OptimiserSettings(Settings):
    """Optimiser and schedule; a run has epochs x steps_per_epoch updates."""

    name: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    betas: tuple[float, float] = (0.9, 0.99)
    momentum: float = Field(default=0.99, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(default=5e-5, ge=0, le=1, description="L2 penalty, added to the gradient")
    schedule: Literal["released", "cosine"] = Field(
        default="released", description="released: x 0.1 after 66 % and x 0.05 after 86 % of the epochs"
    )
    epochs: int = Field(default=500, ge=1, le=1_000_000)
    steps_per_epoch: int = Field(
        default=2000, ge=1, description="the authors: labelled cases (coarse), unlabelled cases (fine)"
    )
    batch: int = Field(default=1, ge=1, le=64, description="labelled, and as many unlabelled, images a step")


class DataSettings(Settings):
    """Which cases."""

    fold: int | None = Field(default=0, ge=0, description="fold left out for validation; null trains on all")
    split: Literal["dataset", "released"] = Field(
        default="dataset",
        description="dataset: the data set's own folds, by patient; released: the authors' rule",
    )
    labelled: list[str] | None = Field(
        default=None, description="training cases whose labels are used; the others count as unlabelled"
    )
    labelled_count: int | None = Field(
        default=None, ge=1, description="so many of the training cases, drawn by the seed, keep their labels"
    )
    unlabelled: list[str] | None = Field(default=None, description="unlabelled cases to use; null uses all")
    region: Literal["auto", "organs", "whole"] = Field(
        default="auto",
        description="of labelled images in the fine stage: the organs' surroundings, or the whole volume;"
        " auto: the organs' where a coarse model is given",
    )
    region_margin_mm: float = Field(default=20.0, ge=0, description="around the organs (fine stage)")
    cache_gb: float = Field(default=20.0, gt=0, description="prepared arrays kept on disk")


class CssnSettings(TrainingSettings):
    """Everything a training of one stage needs besides the data."""

    stage: Literal["coarse", "fine"] = "fine"
    network: NetworkPlan = NetworkPlan()
    size: Size = Field(default=(192, 192, 192), description="voxels z, y, x of the network's input")
    intensity: Intensity = Intensity(mode="auto")
    loss: LossSettings = LossSettings()
    cross: CrossSettings = CrossSettings()
    augment: AugmentSettings = AugmentSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    data: DataSettings = DataSettings()
    inference: OwnRules = OwnRules()
    keep_shares: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=[0.36, 0.66, 1.0], description="of the run, whose weights are kept to judge unlabelled images"
    )

    @property
    def total_steps(self) -> int:
        return self.optimiser.epochs * self.optimiser.steps_per_epoch

    def for_modality(self, modality: Literal["MR", "CT"]) -> CssnSettings:
        """The same with ``intensity.mode`` decided, where it is "auto"."""
        if self.intensity.mode != "auto":
            return self
        mode = "window" if modality == "CT" else "percentile"
        return self.model_copy(update={"intensity": self.intensity.model_copy(update={"mode": mode})})

    @property
    def plan(self) -> StagePlan:
        """What the model's card says of this stage."""
        return StagePlan(network=self.network, size=self.size, intensity=self.intensity)

    @model_validator(mode="after")
    def _size_fits(self) -> CssnSettings:
        _ = self.plan
        return self
