"""What a model of this method is, as data: modalities, networks, input, maps. It stands in the model's card.

Of a model that tags have taught there is one network a modality, all alike; the order of the modalities is
that of the networks. One that masks have taught has a single network, which sees all modalities at once as
its channels: what tells two tissues apart may be seen in no modality alone, and it costs half as much.
Imports no torch.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from SegToolkitLib.settings import Settings

# Channels of the first stage at width factor 1.
BASE_WIDTH = 64
# Rows and columns that the network takes without cutting any off: it halves them three times.
MULTIPLE = 8
DEFAULT_THRESHOLD = 0.5
# The mean of all modalities' maps, where maps have names; the only map of a model that masks have taught.
FUSED = "fused"
Supervision = Literal["tags", "masks"]

Modality = Annotated[str, Field(min_length=1, max_length=64)]
Modalities = Annotated[tuple[Modality, ...], Field(min_length=2, max_length=16)]
Threshold = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]


class NetworkPlan(Settings):
    """One network; each modality has its own."""

    width_factor: int = Field(
        default=4, ge=1, le=BASE_WIDTH, description="divides all widths; the authors: 1 BraTS, 4 prostate"
    )
    image_channels: int = Field(default=1, ge=1, le=64, description="of one modality")
    classes: int = Field(default=2, ge=2, le=64, description="0 absent, 1 present; only class 1 is mapped")
    dropout: bool = Field(default=False, description="of half the channels before the classifier")
    bias: bool = Field(
        default=False,
        description="of the classifier, where masks teach (ours); without one, features that are all 0 mean"
        " 0.5, and a narrow network may never say more",
    )
    pooling: Literal["mean", "top"] = Field(
        default="mean",
        description="of a map to the logit of its slice; mean: over all pixels, as released; top: over the"
        " highest of the foreground (what is above the slice's least value), and the map is 0 elsewhere, so"
        " that no pixel of a slice without the object may stand out (ours)",
    )
    pooled: float = Field(
        default=0.1, gt=0, le=1, description="part of the foreground's pixels that 'top' takes the mean of"
    )

    @field_validator("width_factor")
    @classmethod
    def _divides(cls, factor: int) -> int:
        if BASE_WIDTH % factor:
            raise ValueError(f"{factor} does not divide {BASE_WIDTH}; use 1, 2, 4, 8, 16, 32 or 64")
        return factor

    @property
    def width(self) -> int:
        """Channels of the first stage."""
        return BASE_WIDTH // self.width_factor

    @model_validator(mode="after")
    def _two_classes(self) -> NetworkPlan:
        if self.pooling == "top" and self.classes != 2:
            raise ValueError(f"pooling 'top' sets two classes against each other, not {self.classes}")
        return self


class InputPlan(Settings):
    """From a volume to what the network sees; slices are those across its coarsest axis."""

    percentiles: tuple[Percent, Percent] | None = Field(
        default=(0.5, 99.5),
        description="of the voxels of a volume that are not 0: it is clipped to them (ours; the authors do"
        " not say how they came to 8 bits); null: as it is",
    )
    size: int | None = Field(
        default=None,
        ge=MULTIPLE,
        le=4096,
        description="slices are padded to squares and scaled to so many rows and columns (prostate: 256);"
        " null: as they are (BraTS: 240)",
    )
    standardise: Literal["slice", "foreground", "volume"] = Field(
        default="slice",
        description="mean 0 and standard deviation 1 of each slice and modality, background too; foreground:"
        " of what is above the least value of the slice, and all else is 0, so that the outline of a head has"
        " no contrast of its own; volume: of the voxels of the whole volume that are not 0 (CT: not the"
        " least), so that a bright object does not darken the rest of its slice, which would give it away"
        " (both ours)",
    )
    fit: Literal["pad", "crop"] = Field(
        default="pad",
        description=f"pad: to multiples of {MULTIPLE}, and the maps are cut back; crop: as released, the"
        " network cuts off what it cannot halve, so that maps are smaller than slices",
    )

    @model_validator(mode="after")
    def _percentiles_rise(self) -> InputPlan:
        if self.percentiles is not None and not self.percentiles[0] < self.percentiles[1]:
            raise ValueError(f"the percentiles {self.percentiles} must rise")
        return self


class MapPlan(Settings):
    """Which map of a slice is shown and thresholded."""

    source: Literal["class1", "difference"] = Field(
        default="class1", description="difference: the map of class 1 less that of class 0 (ours)"
    )
    kind: Literal["cam", "gradcam", "gradcam++"] = "cam"
    gate: bool = Field(default=True, description="a slice that is classified as absent has a blank map")
    scale: Literal["slice", "volume"] = Field(
        default="slice",
        description="what reaches 1: slice: the largest evidence of each slice, however weak, as released;"
        " volume: that of all slices that are taken to show the object (ours)",
    )


class ModelPlan(Settings):
    """``settings`` of a model's card. Weights are named "<number of the network>.<key>", and those of the
    networks of each seed "seed<number>.<number of the network>.<key>".

    Attributes:
        modalities: names, in the order of the networks, or of the channels of the one network.
        supervision: what has taught it. After masks a map is the probability of each pixel.
        seeds: whose networks are kept for their agreement; 1 keeps none but those that are used.
        thresholds: by modality; a map above it (not at it) is object. Where none was chosen: 0.5.
        fused_threshold: of the mean of all modalities' maps.
    """

    modalities: Modalities = ("T2", "ADC")
    supervision: Supervision = "tags"
    network: NetworkPlan = NetworkPlan()
    input: InputPlan = InputPlan()
    maps: MapPlan = MapPlan()
    seeds: int = Field(default=1, ge=1, le=100)
    thresholds: dict[Modality, Threshold] = Field(default_factory=dict)
    fused_threshold: Threshold = DEFAULT_THRESHOLD

    @model_validator(mode="after")
    def _names_fit(self) -> ModelPlan:
        check_modalities(self.modalities)
        strange = sorted(set(self.thresholds) - set(self.modalities))
        if strange:
            raise ValueError(
                f"there is a threshold for {strange[0]!r}; the modalities are {', '.join(self.modalities)}"
            )
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """What the networks are of, in their order: the modalities, or all of them together."""
        return self.modalities if self.supervision == "tags" else (FUSED,)

    @property
    def gated(self) -> bool:
        """Whether slices that are said not to show the object have blank maps."""
        return self.maps.gate and self.supervision == "tags"

    @property
    def map_names(self) -> tuple[str, ...]:
        """Maps that the model makes; the fused one is the last."""
        return (*self.modalities, FUSED) if self.supervision == "tags" else (FUSED,)

    @property
    def each(self) -> NetworkPlan:
        """One of the networks, with as many channels as come to it; one that masks teach pools nothing."""
        changes: dict[str, object] = {
            "image_channels": self.network.image_channels * len(self.modalities) // len(self.parts)
        }
        if self.supervision == "masks":
            changes["pooling"] = "mean"
        return self.network.model_copy(update=changes)

    def threshold(self, modality: str) -> float:
        """Of a modality's maps, or of the fused one."""
        if modality == FUSED:
            return self.fused_threshold
        return self.thresholds.get(modality, DEFAULT_THRESHOLD)


def check_modalities(names: tuple[str, ...]) -> None:
    """Complain (``ValueError``) of a name that stands twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the modality {twice[0]!r} stands twice in {', '.join(names)}")
    if FUSED in names:
        raise ValueError(f"{FUSED!r} is the map of all modalities; give the modality another name")
