"""Settings of a training; the defaults are the released ones where they are no mistakes.

Those that the two released configurations have different are of the prostate. What is called "released" below
and is not the default is a mistake of the release. Imports no torch.
Source: released configurations and code of WSS-CMER.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.methods.cmer.plan import (
    MULTIPLE,
    InputPlan,
    MapPlan,
    Modalities,
    ModelPlan,
    NetworkPlan,
    Supervision,
    check_modalities,
)
from SegToolkitLib.settings import Settings
from SegToolkitLib.training.settings import TrainingSettings

Kind = Literal["flipping", "rotation", "translation", "scaling"]
KINDS: tuple[Kind, ...] = ("flipping", "rotation", "translation", "scaling")
RELEASED_SIZES = tuple(range(192, 289, MULTIPLE))
# Batches of a round through the slices of one of the authors' folds of the prostate; an estimate.
ROUND = 26
Name = Annotated[str, Field(min_length=1, max_length=200)]
Size = Annotated[int, Field(ge=MULTIPLE, le=4096)]


class LossSettings(Settings):
    """The four terms of a modality's loss, and their weights; of masks, cross-entropy and Dice."""

    ce_weight: float = Field(default=1.0, ge=0, le=1e6, description="cross-entropy of the tags")
    er_weight: float = Field(default=1.0, ge=0, le=1e6, description="equivariance within a modality")
    kl_weight: float = Field(default=0.5, ge=0, le=1e6, description="agreement on the classes (lmda)")
    cmer_weight: float = Field(default=1.0, ge=0, le=1e6, description="equivariance across modalities")
    dice_weight: float = Field(
        default=1.0, ge=0, le=1e6, description="of masks: Dice, beside the cross-entropy of each pixel"
    )
    temperature: float = Field(default=10.0, gt=0, le=1000, description="of KL (temp)")
    cmer_reduction: Literal["mean", "sum"] = Field(
        default="mean",
        description="over pixels; maps have unit length, so the mean is 3e-5 at most at 256 x 256 and all but"
        " unheard; the sum is 2 at most",
    )
    kl: Literal["stable", "released"] = Field(
        default="stable", description="released: in single precision, off by 5e-4 of it where networks agree"
    )


class TransformSettings(Settings):
    """The transform pi between the two views; one kind for a batch, all kinds alike in probability."""

    kinds: Annotated[tuple[Kind, ...], Field(max_length=len(KINDS))] = Field(
        default=KINDS, description="that are drawn from; none leaves the second view as the first"
    )
    rotation: Literal["exact", "released"] = Field(
        default="exact",
        description="exact: quarter turns (half turns of slices that are not square); released: off by about"
        " a pixel, blurred, one line lost",
    )
    shift: float = Field(default=0.3, ge=0, le=1, description="largest translation, in parts of the axis")
    scaling: Literal["auto", "sizes", "relative"] = Field(
        default="auto",
        description="sizes: one of those given, square; relative: within scale_range of the slice; auto:"
        " sizes for square slices of 240 or 256 pixels, else relative",
    )
    sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = Field(
        default=RELEASED_SIZES, description="rows and columns that a batch may be scaled to"
    )
    scale_range: tuple[float, float] = Field(
        default=(0.8, 1.2), description=f"least and largest scale; sizes are multiples of {MULTIPLE}"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> TransformSettings:
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"a kind stands twice in {', '.join(self.kinds)}")
        if not 0 < self.scale_range[0] <= self.scale_range[1] <= 4:
            raise ValueError(f"the scales {self.scale_range} must rise within 0 and 4")
        return self


class AugmentSettings(Settings):
    """What changes a training slice before the step."""

    shift: float = Field(
        default=0.1, ge=0, le=1, description="largest shift, in parts of the axis; always drawn"
    )
    modalities: Literal["together", "released"] = Field(
        default="together", description="released: each modality is shifted by itself, against registration"
    )
    scale: float = Field(
        default=0.0,
        ge=0,
        le=0.9,
        description="ours: largest part by which a slice shrinks or grows, so that the size of a head does"
        " not tell its slices; 0 leaves it",
    )
    turned: bool = Field(
        default=False,
        description="ours: mirror and turn each slice at random (quarter turns, of slices that are not square"
        " half turns), so that where something lies in the image tells nothing",
    )


class DataSettings(Settings):
    """Which slices, and how they come."""

    modalities: Modalities = Field(default=("T2", "ADC"), description="names, in the order of the networks")
    fold: int | None = Field(default=0, ge=0, description="fold left out for validation; null trains on all")
    cases: tuple[Name, ...] | None = Field(
        default=None,
        description="that take part at all; the folds are then cut of their patients, each patient a fold"
        " where folds is null; null: all",
    )
    folds: int | None = Field(
        default=None, ge=2, le=1000, description="where the data set has no splits.json; null: as it says"
    )
    structures: tuple[Name, ...] | None = Field(
        default=None,
        description="labels of the data set that are the object, where tags come from masks; null: all",
    )
    object_name: Name | None = Field(
        default=None, description="of what the maps show; null: the name of the structure, if it is one"
    )
    resample: bool = Field(
        default=False,
        description="bring modalities onto the voxels of the first; nothing is registered",
    )
    cache_gb: float = Field(default=20.0, gt=0, description="most disk that prepared slices may take")
    balanced: bool = Field(
        default=False, description="ours: as many slices with as without the object in each batch, on average"
    )
    smallest_batch: int = Field(
        default=2, ge=1, le=1024, description="a smaller last batch of an epoch is dropped; released: 1"
    )
    augment: AugmentSettings = AugmentSettings()


class OptimiserSettings(Settings):
    """AdamW for each network, at a constant rate; a run has epochs x steps_per_epoch updates of all."""

    learning_rate: float = Field(default=1e-4, gt=0, le=1, description="the authors: 5e-5 for BraTS")
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    weight_decay: float = Field(default=0.5, ge=0, le=10, description="decoupled, of every parameter")
    epochs: int = Field(default=100, ge=1, le=1_000_000, description="the authors: 30 for BraTS")
    steps_per_epoch: int | None = Field(
        default=ROUND,
        ge=1,
        description="batches; null: one round through all slices, as the authors have it (their prostate:"
        f" about {ROUND}), counted when the run reads them",
    )
    batch: int = Field(default=16, ge=1, le=1024, description="slices a step, with all their modalities")


class ScheduleSettings(Settings):
    """What happens at validations besides the validation."""

    at_epoch_ends: bool = Field(default=True, description="ours: validate after each epoch, too")
    norms: Literal["train", "released"] = Field(
        default="train",
        description="released: a validation leaves the norms as at inference until the next epoch starts",
    )


class SelectionSettings(Settings):
    """Which weights are kept, for each modality by itself."""

    by: Literal["accuracy", "loss", "dsc"] = Field(
        default="accuracy",
        description="accuracy of the tags (it saturates early), the loss of the tags, or DSC of the maps at"
        " their best threshold, where validation cases have masks",
    )
    average: Literal["slices", "released"] = Field(
        default="slices", description="released: every batch counts alike, the small last one, too"
    )
    cases: Literal["held_out", "training"] = Field(
        default="held_out",
        description="ours: training, for where no patient can be spared: weights and thresholds are chosen on"
        " the training cases themselves (where tags teach, their masks serve for nothing else)",
    )


class CmerSettings(TrainingSettings):
    """Everything a training needs besides the data."""

    seed: int = Field(default=1337, ge=0, le=2**32 - 1, description="of everything that is drawn at random")
    seeds: int = Field(
        default=1,
        ge=1,
        le=100,
        description="trainings in one run, with seeds that follow each other; the best is kept",
    )
    validate_every: int = Field(default=200, ge=0, description="steps between two validations; 0 is never")
    supervision: Supervision = Field(
        default="tags",
        description="masks: the second stage (ours); one network of the same widths that sees all modalities"
        " learns the masks, pixel by pixel, and DSC decides which weights are kept",
    )
    network: NetworkPlan = NetworkPlan()
    input: InputPlan = InputPlan()
    maps: MapPlan = MapPlan()
    loss: LossSettings = LossSettings()
    transform: TransformSettings = TransformSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    selection: SelectionSettings = SelectionSettings()
    data: DataSettings = DataSettings()

    @property
    def steps_per_epoch(self) -> int:
        """Updates of an epoch; where that is a round, the authors' :data:`ROUND` until it is counted."""
        return self.optimiser.steps_per_epoch or ROUND

    @property
    def steps_per_seed(self) -> int:
        """Updates of one training."""
        return self.optimiser.epochs * self.steps_per_epoch

    @property
    def total_steps(self) -> int:
        return self.steps_per_seed * self.seeds

    def with_round(self, steps: int) -> CmerSettings:
        """The same with so many updates an epoch."""
        optimiser = self.optimiser.model_copy(update={"steps_per_epoch": steps})
        return self.model_copy(update={"optimiser": optimiser})

    @property
    def plan(self) -> ModelPlan:
        """What the model's card says, before thresholds are chosen."""
        return ModelPlan(
            modalities=self.data.modalities,
            supervision=self.supervision,
            network=self.network,
            input=self.input,
            maps=self.maps,
            seeds=self.seeds,
        )

    @property
    def selects_by(self) -> str:
        """What decides which weights are kept; see :class:`SelectionSettings`."""
        return "dsc" if self.supervision == "masks" else self.selection.by

    @model_validator(mode="after")
    def _names_differ(self) -> CmerSettings:
        check_modalities(self.data.modalities)
        return self

    @model_validator(mode="after")
    def _maps_are_sums(self) -> CmerSettings:
        if self.network.bias and self.supervision == "tags":
            raise ValueError("'network.bias' is for supervision=masks: maps of tags are sums of features")
        return self
