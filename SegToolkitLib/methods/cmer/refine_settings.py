"""How maps become masks; see :mod:`refine`. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.settings import Settings

Percent = Annotated[float, Field(ge=0, le=100)]


class RefineSettings(Settings):
    """From the maps of all modalities to one mask: consensus, edges, components."""

    consensus: Literal["mean", "minimum", "maximum", "vote"] = Field(
        default="mean",
        description="of the modalities' maps in each voxel; vote: the share of maps above their thresholds",
    )
    modalities: tuple[str, ...] | None = Field(
        default=None,
        description="whose maps take part, as where one hardly shows the object; null: all that there are",
    )
    smoothing: Literal["none", "random_walker", "geodesic"] = Field(
        default="geodesic",
        description="where the border goes between what is surely object and surely background; random_walker"
        " finds it in all images at once, geodesic moves the border of the cut map to edges",
    )
    region: Literal["auto", "volume", "slice"] = Field(
        default="auto",
        description="whether edges are looked for in 3-D, or in each slice by itself; auto: in 3-D where"
        " slices are at most twice as thick as their pixels are large",
    )
    certain: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="how far from the threshold a voxel is sure, in parts of the way to 1 (object) and to 0"
        " (background)",
    )
    edges: float = Field(
        default=1000.0, gt=0, le=1e6, description="of random_walker (beta): more follows edges more closely"
    )
    percentiles: tuple[Percent, Percent] = Field(
        default=(0.5, 99.5), description="of the voxels of each image that are not 0: it is clipped to them"
    )
    steps: int = Field(default=20, ge=1, le=1000, description="of geodesic")
    margin_mm: float = Field(
        default=10.0, ge=0, le=1000, description="around all that may be object, where edges are looked for"
    )
    most_voxels: int = Field(
        default=1_500_000,
        ge=1000,
        le=100_000_000,
        description="that are looked at together in 3-D; of a larger box the slices are taken one by one, and"
        " a slice that is larger is not smoothed",
    )
    largest_only: bool = Field(default=False, description="keep the largest component")
    smallest_ml: float = Field(
        default=0.1, ge=0, le=1e6, description="components that are smaller are dropped"
    )
    fill_holes: bool = Field(default=True, description="of each slice")
    supported: bool = Field(
        default=True,
        description="drop components that are in no slice tagged as visible, where any slice is",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> RefineSettings:
        if not self.percentiles[0] < self.percentiles[1]:
            raise ValueError(f"the percentiles {self.percentiles} must rise")
        return self
