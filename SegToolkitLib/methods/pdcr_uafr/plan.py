"""What a model of this method is, as data: network, input and inference. It stands in the model's card.

Everything that a constructor or the inference needs is here but the number of classes, which follows from the
card's labels. The defaults are the released ones where they are no mistakes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from SegToolkitLib.settings import Settings

Width = Annotated[int, Field(ge=1, le=8192)]
Number3 = tuple[float, float, float]

# Where features can be weighed, in the order of the authors' list of twelve 0 and 1.
Position = Literal[
    "conv1", "conv2", "conv3", "conv4", "conv5",
    "aspp1", "aspp2", "aspp3", "aspp4", "aspp",
    "low_level", "decoder",
]  # fmt: skip
POSITIONS: tuple[Position, ...] = get_args(Position)
DEFAULT_POSITIONS: tuple[Position, ...] = (*POSITIONS[:5], *POSITIONS[10:])
CROSS_LAYERS = (1, 2, 3, 4, 5)


class Widths(Settings):
    """Channels of the parts of the network, in the order in which an image passes them.

    Attributes:
        middle_blocks: number of blocks between block 3 and the last one.
    """

    conv1: Width = 32
    conv2: Width = 64
    block1: Width = 128
    block2: Width = 256
    middle: Width = 728
    last_block: Width = 1024
    conv3: Width = 1536
    conv4: Width = 1536
    conv5: Width = 2048
    middle_blocks: int = Field(default=16, ge=4, le=64)
    aspp: Width = Field(default=256, description="of the pyramid and of the decoder")
    low_level: Width = 48
    cross: Width = Field(default=32, description="of the heads of the cross-layer term")


# Maps that a model can make besides: what they are called, and the title that a person reads.
UNCERTAINTY = "uncertainty"
CONFIDENCE = "confidence_"
POSITION_TITLES: dict[Position, str] = {
    "conv1": "first layer", "conv2": "second layer", "conv3": "third last layer",
    "conv4": "second last layer", "conv5": "last layer", "aspp1": "pyramid 1", "aspp2": "pyramid 2",
    "aspp3": "pyramid 3", "aspp4": "pyramid 4", "aspp": "pyramid", "low_level": "fine features",
    "decoder": "decoder",
}  # fmt: skip

PUBLISHED = Widths()
# Ours: a sixtieth of the weights, for small data sets, CPUs and tests. Features stay as deep as published.
SMALL = Widths(
    conv1=16, conv2=24, block1=32, block2=48, middle=96, last_block=128, conv3=160, conv4=160, conv5=192,
    middle_blocks=4, aspp=64, low_level=24, cross=16,
)  # fmt: skip


class UafrPlan(Settings):
    """The heads that weigh features."""

    positions: tuple[Position, ...] = Field(
        default=DEFAULT_POSITIONS, description="names, or the authors' list of twelve 0 and 1"
    )
    hidden: Width = 16
    kernel: int = Field(default=3, ge=1, le=15, description="of the first convolution; odd")
    norm: Literal["batch", "instance"] = "batch"

    @field_validator("positions", mode="before")
    @classmethod
    def _from_flags(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and value and all(type(one) in (int, bool) for one in value):
            if len(value) != len(POSITIONS) or not set(map(int, value)) <= {0, 1}:
                raise ValueError(f"{len(POSITIONS)} numbers 0 or 1 are needed")
            return [name for name, flag in zip(POSITIONS, value, strict=True) if flag]
        return value

    @model_validator(mode="after")
    def _well_formed(self) -> UafrPlan:
        if len(set(self.positions)) < len(self.positions):
            raise ValueError("'positions' names a place twice")
        if self.kernel % 2 == 0:
            raise ValueError("'kernel' must be odd")
        return self

    @property
    def flags(self) -> tuple[int, ...]:
        """The authors' list of twelve 0 and 1."""
        return tuple(int(name in self.positions) for name in POSITIONS)


# Ours, for the small widths: published heads would add 27 % to the small network's operations; these add 1 %
# (and processors reckon 3 x 3 products of 2 channels as slowly as of 16).
SMALL_HEADS = UafrPlan(hidden=4, kernel=1)


class NetworkPlan(Settings):
    """DeepLabV3+ on an aligned Xception."""

    widths: Widths = PUBLISHED
    channels: int = Field(default=3, ge=1, le=64, description="of the images")
    output_stride: Literal[8, 16] = Field(default=16, description="pixels a cell of the deepest features")
    uafr: UafrPlan = UafrPlan()
    cross_heads: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(
        default=CROSS_LAYERS, description="layers with a head for the cross-layer term; released: all five"
    )
    dropout: float = Field(default=0.5, ge=0, lt=1, description="after the pyramid and the decoder's first")
    last_dropout: float = Field(default=0.1, ge=0, lt=1, description="after the decoder's second convolution")
    uafr_dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="in the heads of pyramid and decoder; those of Xception have none",
    )

    @field_validator("cross_heads")
    @classmethod
    def _once_each(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(value)))


class InputPlan(Settings):
    """From an image to what the network sees: scaled, then brought to zero mean and unit deviation."""

    size: tuple[Annotated[int, Field(ge=32, le=4096)], Annotated[int, Field(ge=32, le=4096)]] = Field(
        default=(512, 512), description="rows and columns; the authors' lists give columns first"
    )
    intensity_scale: Literal[1, 255] = Field(
        default=255,
        description="intensities are divided by it; 1 suits weights of the authors' code, which forgets it",
    )
    mean: Number3 = (0.485, 0.456, 0.406)
    std: Number3 = (0.229, 0.224, 0.225)
    percentiles: tuple[float, float] | None = Field(
        default=None,
        description="ours: of a volume or picture, which become 0 and 255; null: 8-bit ones stay as they are,"
        " others take 0.5 and 99.5",
    )
    slices: Literal["auto", "axial", "coronal", "sagittal"] = Field(
        default="auto", description="ours: of a volume; auto: along its coarsest axis"
    )
    grey: Literal["copy"] = Field(default="copy", description="a grey picture is copied to three channels")

    @model_validator(mode="after")
    def _in_range(self) -> InputPlan:
        if min(self.std) <= 0:
            raise ValueError("'std' must be above 0")
        if self.percentiles is not None and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise ValueError(f"the percentiles {self.percentiles} must rise within 0 and 100")
        return self


class InferencePlan(Settings):
    """How the network's answer gets the size of the image, and how much is done at a time."""

    resize: Literal["first", "after"] = Field(
        default="first",
        description="first: bilinear on logits, then the best class; after: the best class, then nearest",
    )
    chunk: int = Field(default=4, ge=1, le=1024, description="slices at a time")


class ModelPlan(Settings):
    """``settings`` of a model's card."""

    network: NetworkPlan = NetworkPlan()
    input: InputPlan = InputPlan()
    inference: InferencePlan = InferencePlan()

    @model_validator(mode="after")
    def _channels_fit(self) -> ModelPlan:
        if self.network.channels != len(self.input.mean):
            raise ValueError(f"images have {len(self.input.mean)} channels, not {self.network.channels}")
        return self

    @property
    def maps(self) -> dict[str, str]:
        """Name -> title of the maps that the model makes besides."""
        return {UNCERTAINTY: "Uncertainty"} | {
            f"{CONFIDENCE}{name}": f"Feature confidence ({POSITION_TITLES[name]})"
            for name in POSITIONS
            if name in self.network.uafr.positions
        }
