"""Settings of the training's data: cases, slices, and how slices are changed; the defaults are released.

Source: released training configuration, augmentation policy and splits of cooperative training.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from SegToolkitLib.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]
# A split of the published experiments: a number of patients, a part of the pool, or a name.
Setting = (
    Annotated[int, Field(ge=1, le=40)]
    | Annotated[float, Field(gt=0, lt=1)]
    | Literal["standard", "one_shot", "three_shot"]
)


class AugmentSettings(Settings):
    """Drawn anew for each slice, in this order."""

    pad: int = Field(
        default=224, ge=16, le=4096, description="rows and columns that a slice is padded to first"
    )
    flip_columns: Share = Field(default=0.2, description="probability: left and right change places")
    flip_rows: Share = Field(default=0.2, description="probability: top and bottom change places")
    contrast_probability: Share = 0.5
    contrast: Range = Field(default=(0.8, 1.2), description="factor; the slice's range stays its bounds")
    brightness: Range = Field(default=(-0.1, 0.1), description="is added; images lie within 0 and 1")
    rotation_degrees: float = Field(default=15.0, ge=0, le=180, description="largest, to either side")
    shift: Share = Field(default=0.1, description="largest translation, in parts of each axis")
    zoom: Range = Field(default=(0.8, 1.1), description="of each axis by itself; below 1 magnifies")
    turn_degrees: float | None = Field(
        default=45.0, gt=0, le=360, description="a turn by a multiple of this, after the rest; null for none"
    )
    elastic_probability: Share = 0.5
    elastic_alpha: Range = Field(default=(1.5, 2.0), description="strength, in parts of the padded rows")
    elastic_sigma: Range = Field(
        default=(0.075, 0.15), description="smoothness, in parts of the padded rows (0.75 x 0.1 to 0.2)"
    )
    one_interpolation: bool = Field(
        default=False,
        description="ours: all movements in a single linear interpolation; released: up to three, one after"
        " the other, which blur",
    )

    @model_validator(mode="after")
    def _ranges_rise(self) -> AugmentSettings:
        for name in ("contrast", "brightness", "zoom", "elastic_alpha", "elastic_sigma"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"the range of {name} ({low} to {high}) must rise")
        if self.zoom[0] <= 0 or self.elastic_sigma[0] < 0:
            raise ValueError("zoom must be above 0 and elastic_sigma 0 or more")
        return self


class DataSettings(Settings):
    """Which cases, and which of their slices."""

    split: Literal["dataset", "acdc"] = Field(
        default="dataset",
        description="dataset: the data set's own folds, by patient; acdc: the published lists of patients",
    )
    fold: int | None = Field(
        default=0, ge=0, description="fold left out for validation (split dataset); null trains on all"
    )
    setting: Setting = Field(
        default=10, description="of split acdc: patients, part of the 40, standard, one_shot or three_shot"
    )
    cval: int = Field(default=0, ge=0, le=4, description="which draw of split acdc")
    keep_leak: bool = Field(
        default=False,
        description="validate on patients that also train, as released where the lists overlap (a mistake)",
    )
    cases: list[str] | None = Field(
        default=None, description="training cases that are used; null uses all of the split"
    )
    classes: dict[int, int] | None = Field(
        default=None,
        description="label value -> class 1, 2, ...; others are background; null: the labels in their order",
    )
    empty_slices: Literal["replace", "keep", "drop"] = Field(
        default="replace",
        description="training slices without a structure; replace, as released: another slice of the volume",
    )
    originals: bool = Field(
        default=True, description="every augmented slice goes with the slice as it is, in one batch"
    )
    validation: Literal["inference", "released"] = Field(
        default="inference",
        description="slices as inference sees them; released: each brought to [0, 1], empty ones replaced",
    )
    cache_gb: float = Field(default=20.0, gt=0, description="prepared volumes kept on disk")

    @model_validator(mode="after")
    def _classes_count(self) -> DataSettings:
        if self.classes is not None:
            used = set(self.classes.values())
            if not used or used != set(range(1, len(used) + 1)) or min(self.classes) < 1:
                raise ValueError(f"the classes {self.classes} must be 1, 2, ... of label values from 1 on")
        return self
