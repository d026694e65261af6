"""Settings of the regulariser; importing this imports no torch. The defaults are the paper's, or released.

Source: Liu et al., arXiv 2201.08779, and the released configurations.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.settings import Settings

Count = Annotated[int, Field(ge=1, le=4096)]
Layer2d = Annotated[int, Field(ge=1, le=9)]
Head = Annotated[int, Field(ge=1, le=5)]


class PdcrRules(Settings):
    """How sampled vectors are compared; of any network, in 2-D and 3-D."""

    labels: Literal["hierarchical", "receptive_field"] = Field(
        default="hierarchical", description="patch of a vector: small squares, or the layer's receptive field"
    )
    patch_sizes: tuple[Annotated[int, Field(ge=1, le=512)], ...] = Field(
        default=(5, 7, 9), min_length=1, description="sides of the squares, in pixels"
    )
    mode: Literal["series", "average"] = Field(
        default="series", description="a loss for each patch size; average: one, of the patches' mean share"
    )
    patch_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        default=None, description="of the patch sizes in that mean; null: alike"
    )
    classes: int = Field(
        default=1, ge=1, le=255, description="foreground classes; 1: everything above 0 is foreground"
    )
    ignore: int | None = Field(default=None, description="label value that counts as nothing; null: none")
    denominator: Literal["clipped", "full"] = Field(
        default="clipped", description="of a share: pixels of the patch inside the image, or of all of it"
    )
    temperature: float = Field(default=1.0, gt=0, le=100)
    form: Literal["paper", "released"] = Field(
        default="paper", description="released: affinity and difference change places in 2-D (a mistake)"
    )
    reduction: Literal["mean", "sum"] = Field(
        default="mean", description="over pairs; sum: as released in 2-D, thousands of times as large"
    )
    largest: Literal["found", "constant"] = Field(
        default="found",
        description="taken from similarities: the largest (released) or 1 / temperature",
    )
    over_layers: Literal["sum", "mean"] = Field(
        default="sum", description="of a term's layers; mean: as released in 3-D"
    )
    positions: Literal["right", "released"] = Field(
        default="right",
        description="released: squares are read with rows and columns exchanged, cross-layer ones besides"
        " in the wrong place, fields without their last row, classes by rank (mistakes)",
    )
    sampler: Literal["raster", "jittered"] = Field(
        default="raster", description="of a layer's vectors: the same cells always, or drawn anew"
    )
    cross_sampler: Literal["raster", "jittered"] = Field(
        default="jittered", description="of the cross-layer term; raster: as released, often one column"
    )

    @model_validator(mode="after")
    def _weights_fit(self) -> PdcrRules:
        weights = self.patch_weights
        if weights is not None and (len(weights) != len(self.patch_sizes) or not sum(weights) > 0):
            raise ValueError(f"'patch_weights' needs {len(self.patch_sizes)} numbers, one of them above 0")
        return self

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the patch sizes."""
        return self.patch_weights or (1.0,) * len(self.patch_sizes)


class Weights(Settings):
    """Of the three terms; 0 leaves a term out."""

    encoder: float = Field(default=0.1, ge=0)
    decoder: float = Field(default=0.01, ge=0)
    cross: float = Field(default=0.01, ge=0)


# As in the released 3-D code.
RULES_3D = PdcrRules(
    labels="receptive_field", denominator="full", temperature=0.5, over_layers="mean", classes=3
)
WEIGHTS_3D = Weights(encoder=0.01, decoder=0.0, cross=0.01)


class PdcrSettings(PdcrRules):
    """The regulariser on DeepLabV3+: which layers, and how many vectors of each."""

    weights_of_terms: Weights = Weights()
    encoder_layers: tuple[Layer2d, ...] = (2, 3)
    encoder_samples: tuple[Count, ...] = Field(default=(64, 32), description="one number a layer")
    decoder_samples: dict[Literal["low", "mid"], Count] = Field(
        default={"low": 32, "mid": 8}, description="of the low-level feature and of the joined one"
    )
    cross_layers: tuple[Head, ...] = (2, 3)
    cross_samples: tuple[Count, ...] = (32, 32)
    margin: int = Field(
        default=9, ge=0, le=256, description="cells cut off each side of a feature map (not for cross)"
    )
    damped: bool = Field(
        default=False,
        description="a weighted term above 100 is divided by 1000, as where the published numbers come from",
    )

    @model_validator(mode="after")
    def _counts_fit(self) -> PdcrSettings:
        for name in ("encoder", "cross"):
            layers, counts = getattr(self, f"{name}_layers"), getattr(self, f"{name}_samples")
            if len(layers) != len(counts) or len(set(layers)) < len(layers):
                raise ValueError(f"'{name}_samples' needs one number for each of the {len(layers)} layers")
        if self.weights_of_terms.cross and len(self.cross_layers) < 2:
            raise ValueError("the cross-layer term needs two layers or more")
        return self

    @property
    def enabled(self) -> bool:
        """Whether any term counts."""
        return any(self.weights_of_terms.model_dump().values())
