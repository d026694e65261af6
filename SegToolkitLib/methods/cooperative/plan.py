"""What a model of this method is, as data: networks, input and inference. It stands in the model's card.

Everything that a constructor or the inference needs is here but the number of classes, which follows from the
card's labels. The defaults are those of the release.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.methods.cooperative.typicality import Typicality
from SegToolkitLib.settings import Settings

Width = Annotated[int, Field(ge=1, le=4096)]
Percentile = Annotated[float, Field(ge=0, le=100)]

UNCERTAINTY, DISAGREEMENT, RESIDUAL = "uncertainty", "disagreement", "residual"
# Maps that tell where to look, float32 from 0 to 1: name -> what people read.
MAPS = {
    UNCERTAINTY: "Uncertainty",
    DISAGREEMENT: "Disagreement of first guess and shape correction",
    RESIDUAL: "Difference from the reconstruction",
}

# Rows and columns of an input must be multiples of this: encoders halve them four times.
MULTIPLE = 16


# shared: images are decoded from the shape code; unfiltered: shapes from the image code.
CodeKind = Literal["separate", "shared", "unfiltered"]


class NetworkPlan(Settings):
    """The five networks.

    Attributes:
        channels: of the encoders' stages, from full resolution down; the last is that of the codes. Decoders
            mirror them.
    """

    channels: tuple[Width, Width, Width, Width, Width] = (16, 32, 64, 128, 128)
    image_channels: int = Field(default=1, ge=1, le=64)
    decoupler_bias: bool = Field(
        default=True, description="of the convolutions between the codes; the first release had none"
    )
    reconstruction: Literal["sigmoid", "none"] = Field(
        default="sigmoid", description="last activation of the image decoder; the first release had none"
    )
    code: CodeKind = Field(
        default="separate",
        description="shared: images are decoded from the shape code; unfiltered: shapes from the image code",
    )
    encoder_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="of whole channels, after each block of the encoders"
    )
    decoder_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="of whole channels, after each block of the decoders"
    )


class InputPlan(Settings):
    """From a volume to the slices that the networks see."""

    spacing_mm: float | None = Field(
        default=1.36719, gt=0, le=100, description="of the pixels in a slice; null keeps the volume's"
    )
    crop: int = Field(
        default=192, ge=MULTIPLE, le=4096, multiple_of=MULTIPLE, description="rows and columns of a slice"
    )
    percentiles: tuple[Percentile, Percentile] = Field(
        default=(2.0, 98.0), description="of the whole volume, which become 0 and 1"
    )
    rescale: Literal["volume", "slice"] = Field(
        default="volume",
        description="slice: each slice is brought to [0, 1] besides, as released for volumes of one frame",
    )
    n4: bool = Field(default=False, description="correct the bias field of the volume first")

    @model_validator(mode="after")
    def _percentiles_rise(self) -> InputPlan:
        if not self.percentiles[0] < self.percentiles[1]:
            raise ValueError(f"the percentiles {self.percentiles} must rise")
        return self


class InferencePlan(Settings):
    """How the networks are used on new volumes."""

    passes: int = Field(
        default=2, ge=1, le=20, description="1: no shape correction; each further pass corrects the last one"
    )
    temperature: float = Field(
        default=2.0, gt=0, le=100, description="divides logits before the shape networks see them"
    )
    stop_rms: float | None = Field(
        default=None, gt=0, description="a pass that changes logits by less is not taken; null takes all"
    )
    average: bool = Field(
        default=False, description="ours: the mean of the first and the last pass's probabilities"
    )
    largest_component: bool = Field(
        default=False, description="keep the largest part of each structure alone"
    )
    chunk: int = Field(default=10, ge=1, le=1024, description="slices at a time")


class ModelPlan(Settings):
    """``settings`` of a model's card. Weights are named "<network>.<key>".

    Attributes:
        typicality: tells slices that look unlike those of the training; None for models that do not know.
    """

    network: NetworkPlan = NetworkPlan()
    input: InputPlan = InputPlan()
    inference: InferencePlan = InferencePlan()
    typicality: Typicality | None = None

    @model_validator(mode="after")
    def _codes_agree(self) -> ModelPlan:
        width = self.network.channels[-1]
        if self.typicality is not None and len(self.typicality.code_mean) != width:
            raise ValueError(
                f"typicality knows codes of {len(self.typicality.code_mean)} channels, not {width}"
            )
        return self

    @property
    def maps(self) -> dict[str, str]:
        """Those of :data:`MAPS` that the model can make: a single pass has nothing to disagree with."""
        alone = self.inference.passes == 1
        return {name: title for name, title in MAPS.items() if not (alone and name == DISAGREEMENT)}
