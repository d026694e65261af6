"""What a model of this method is, as data: both stages and how they are used. It stands in the model's card.

Everything that a constructor or the inference needs is here, so that weights are never used with another
network, size, window or set of labels than they were trained with.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.settings import Settings

Width = Annotated[int, Field(ge=1, le=4096)]
Voxels = Annotated[int, Field(ge=16, le=1024)]

# Voxels (z, y, x) of a network's input.
Size = tuple[Voxels, Voxels, Voxels]


class Intensity(Settings):
    """How voxels are made comparable, after the resampling to the network's size.

    CT is clipped to a window in HU; MR, whose scale means nothing, to percentiles of the whole volume. Then
    every volume is z-scored by itself.
    """

    mode: Literal["window", "percentile", "auto"] = Field(
        default="window", description="auto (in a training's settings): window for CT, percentile for MR"
    )
    window: tuple[float, float] = Field(default=(-325.0, 325.0), description="HU to clip to (mode window)")
    percentiles: tuple[float, float] = Field(
        default=(0.5, 99.5), description="of the resampled volume, to clip to (mode percentile)"
    )

    @model_validator(mode="after")
    def _both_rise(self) -> Intensity:
        if not self.window[0] < self.window[1]:
            raise ValueError(f"the window {self.window} must rise")
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise ValueError(f"the percentiles {self.percentiles} must rise within 0 and 100")
        return self


class NetworkPlan(Settings):
    """One network.

    Attributes:
        kind: "unet" is the base residual U-Net (coarse), "efficient" EfficientSegNet (fine).
        channels: of the stages from full resolution down; five in all released models. The input's size
            must be a multiple of 2 ** (stages - 1).
        blocks: encoder blocks of EfficientSegNet: the first number holds for the first two stages, the
            others for one stage each (so one number fewer than stages).
    """

    kind: Literal["unet", "efficient"] = "efficient"
    channels: tuple[Width, ...] = Field(default=(16, 32, 64, 128, 256), min_length=4, max_length=5)
    blocks: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(
        default=(2, 2, 2, 2), min_length=3, max_length=4
    )
    dropout: float = Field(default=0.2, ge=0, lt=1, description="channel dropout before the activation")

    @model_validator(mode="after")
    def _blocks_fit(self) -> NetworkPlan:
        if self.kind == "efficient" and len(self.blocks) != len(self.channels) - 1:
            raise ValueError(f"{len(self.channels)} stages need {len(self.channels) - 1} numbers of 'blocks'")
        return self


class StagePlan(Settings):
    """A network with the size of its input and the scale of its voxels."""

    network: NetworkPlan
    size: Size
    intensity: Intensity = Intensity()

    @model_validator(mode="after")
    def _size_can_be_halved(self) -> StagePlan:
        multiple = 2 ** (len(self.network.channels) - 1)
        if any(n % multiple for n in self.size):
            raise ValueError(f"each number of the size {self.size} must be a multiple of {multiple}")
        # Instance norm needs more than one voxel in every map, the smallest of the context block (a quarter
        # of the deepest stage) included: one voxel along every axis, and two along one of them.
        least = 4 * multiple if self.network.kind == "efficient" else multiple
        short = [axis for axis, n in zip("zyx", self.size, strict=True) if n < least]
        needs = [f"{', '.join(short)} must be at least {least}"] if short else []
        if max(self.size) < 2 * least:
            needs.append(f"one of z, y, x {'' if short else 'must be '}at least {2 * least}")
        if needs:
            raise ValueError(
                f"the size {self.size} leaves too little at the deepest stage: {', '.join(needs)}"
            )
        return self


class InferencePlan(Settings):
    """Rules of the inference; the defaults are the released ones for FLARE22, which a card means that is
    silent. Own trainings have others: see ``settings.OwnRules``."""

    threshold: float = Field(default=0.5, gt=0, lt=1, description="probability that makes a voxel an organ's")
    exclusive: bool = Field(
        default=False,
        description="each voxel to the organ of the largest logit; false: the later organ wins, as released",
    )
    margin_mm: float = Field(default=20.0, ge=0, description="around the organs that the coarse stage found")
    half_height_mm: float | None = Field(
        default=240.0,
        gt=0,
        description="largest distance in z from the largest organ's centre; null: no limit",
    )
    coarse_least_mm3: float = Field(
        default=1000.0, ge=0, description="smaller components of the coarse stage are dropped, true mm3"
    )
    fine_least_mm3: float = Field(
        default=2000.0, ge=0, description="the same in the fine stage; what it means says least_rule"
    )
    least_rule: Literal["released", "literal"] = Field(
        default="released",
        description="literal: fine_least_mm3 are true mm3; released (a mistake): times the network's voxels"
        " for one of the crop's, so small crops lose organs",
    )
    components: dict[int, int | None] = Field(
        default_factory=dict, description="label -> largest components kept; 1 where not named; null: all"
    )
    on_empty: Literal["whole", "empty"] = Field(
        default="whole", description="coarse stage finds nothing: segment the whole volume, or return nothing"
    )


class ModelPlan(Settings):
    """``settings`` of a model's card: the stages that it has, and the rules.

    Weights are named "coarse.<key>" and "fine.<key>". A model with one stage is usable, too: the coarse one
    labels the whole volume at its size, the fine one takes the whole volume for its region.
    """

    coarse: StagePlan | None = None
    fine: StagePlan | None = None
    inference: InferencePlan = InferencePlan()
    coarse_inference: InferencePlan | None = Field(
        default=None,
        description="rules of the coarse stage, where it was trained with others; null: the same",
    )

    def rules(self, stage: Literal["coarse", "fine"]) -> InferencePlan:
        """What holds for a stage."""
        return (self.coarse_inference if stage == "coarse" else None) or self.inference

    @model_validator(mode="after")
    def _has_a_stage(self) -> ModelPlan:
        if self.coarse is None and self.fine is None:
            raise ValueError("'coarse' or 'fine' must be there")
        if any(stage is not None and stage.intensity.mode == "auto" for stage in (self.coarse, self.fine)):
            raise ValueError("'intensity.mode' must be 'window' or 'percentile'")
        return self
