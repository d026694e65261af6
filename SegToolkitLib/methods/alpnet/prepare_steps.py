"""The steps of SSL-ALPNet's preparation, as functions of arrays.

Arrays are [k, j, i] (slice, row, column); spacing is (i, j, k) in mm. Source: the
authors' preparation notebooks for CHAOS-T2 and for SABS (released with Ouyang et al., ECCV 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import validated

Array = NDArray[Any]
Spacing = Sequence[float] | NDArray[Any]


class PrepareSettings(BaseModel):
    """The steps of a preparation, in the order in which they are done; None leaves a step out.

    Attributes:
        modality: "MR" or "CT"; recorded, the steps depend on the other fields alone.
        clip_top: per cent of the brightest voxels that are clipped (0.5: at the 99.5th percentile).
        window: (low, high) in HU to clip to, before the result is mapped to 0..255.
        border: pixels cut from each in-plane border.
        spacing: (x, y, z) in mm to resample to.
        spacing_factor: (x, y, z) by which the spacing grows; excludes ``spacing``.
        size: rows and columns after the centre crop or padding.
        authors_geometry: keep the origin of the uncropped volume, as the authors' code does. The
            result then lies beside the patient by the pixels that were cut.
        ranks: CHAOS only: number the grey values of the ground truth by rank (the authors' rule).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: Literal["MR", "CT"] = "MR"
    clip_top: float | None = Field(default=None, ge=0, lt=100)
    window: tuple[float, float] | None = None
    border: int = Field(default=0, ge=0)
    spacing: tuple[float, float, float] | None = None
    spacing_factor: tuple[float, float, float] | None = None
    size: int | None = Field(default=None, ge=8)
    authors_geometry: bool = False
    ranks: bool = False

    @model_validator(mode="after")
    def _one_way_to_resample(self) -> PrepareSettings:
        if self.spacing is not None and self.spacing_factor is not None:
            raise ValueError("give either 'spacing' or 'spacing_factor', not both")
        for triple in (self.spacing, self.spacing_factor):
            if triple is not None and not all(0 < one < float("inf") for one in triple):
                raise ValueError(f"{triple} must be positive numbers")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"the window {self.window} must rise")
        return self

    @classmethod
    def parse(cls, values: dict[str, Any]) -> PrepareSettings:
        """Build settings from plain values; SegToolkitError names the field that is wrong."""
        return validated(cls, values, "The preparation's settings")


MR_SETTINGS = PrepareSettings(modality="MR", clip_top=0.5, spacing=(1.25, 1.25, 7.70), size=256)
# 1.75 = 448 / 256: what is left of 512 pixels after the cut is shrunk to 256.
CT_SETTINGS = PrepareSettings(modality="CT", window=(-125, 275), border=32, spacing_factor=(1.75, 1.75, 1.0))


def clip_top(image: Array, percent: float = 0.5) -> Array:
    """Clip ``image`` from above at its (100 - ``percent``)th percentile; the pixel type stays.

    In an integer image the threshold is truncated where it is written, as numpy does on assignment.
    """
    threshold = np.percentile(image, 100 - percent)
    clipped = image.copy()
    clipped[image > threshold] = image.dtype.type(threshold)
    return clipped


def window_to_255(image: Array, low: float = -125, high: float = 275) -> NDArray[np.float64]:
    """Clip ``image`` to [low, high] HU and map what is left, its own minimum to maximum, to 0..255.

    Raises:
        SegToolkitError: everything lies on one side of the window (or it is empty): not CT in HU.
    """
    clipped = np.clip(image.astype(np.float64), low, high)
    least, most = clipped.min(), clipped.max()
    if not most > least:
        raise SegToolkitError(
            "window",
            f"The image has a single value ({least:g}) within the window from {low:g} to {high:g} HU.",
            "Is it a CT scan in Hounsfield units? Otherwise choose another window, or MR preparation.",
        )
    return (clipped - least) / (most - least) * 255.0


def cut_border(array: Array, pixels: int = 32) -> Array:
    """Cut ``pixels`` rows and columns from each in-plane border of [k, j, i].

    Raises:
        SegToolkitError: nothing would be left.
    """
    if min(array.shape[1:]) <= 2 * pixels:
        raise SegToolkitError(
            "border",
            f"A border of {pixels} pixels cannot be cut from {array.shape[2]} x {array.shape[1]} pixels.",
            "Choose a smaller border.",
        )
    return array[:, pixels : array.shape[1] - pixels, pixels : array.shape[2] - pixels]


def resample_like_authors(image: Array, spacing: Spacing, new_spacing: Spacing) -> Array:
    """Resample [k, j, i] linearly; the first voxel's centre stays, the pixel type stays.

    The size of each axis is floor(size * old / new + 1), usually one more than is covered; what lies
    outside is 0.

    Args:
        image: voxels.
        spacing: present spacing (i, j, k) in mm.
        new_spacing: wanted spacing (i, j, k) in mm.
    """
    source = sitk.GetImageFromArray(np.ascontiguousarray(image))
    source.SetSpacing([float(one) for one in spacing])
    resampled = sitk.Resample(
        source,
        [resampled_size(n, *steps) for n, *steps in zip(source.GetSize(), spacing, new_spacing, strict=True)],
        sitk.Transform(),
        sitk.sitkLinear,
        source.GetOrigin(),
        [float(one) for one in new_spacing],
        source.GetDirection(),
        0.0,
        source.GetPixelID(),
    )
    return np.asarray(sitk.GetArrayFromImage(resampled))


def resampled_size(n: int, spacing: float, new_spacing: float) -> int:
    """Return the authors' number of samples: floor(n * old / new + 1)."""
    # 448 * a / (1.75 * a) is 256 but for rounding errors: without the small term, floor would lose a sample.
    return int(np.floor(n * float(spacing) / float(new_spacing) + 1 + 1e-6))


def resample_label_like_authors(label: Array, spacing: Spacing, new_spacing: Spacing) -> Array:
    """Resample each label value's mask linearly, round half to even; later values overwrite earlier ones."""
    result: Array | None = None
    for value in np.unique(label):
        mask = np.rint(resample_like_authors((label == value).astype(np.float32), spacing, new_spacing)) == 1
        result = np.zeros(mask.shape, label.dtype) if result is None else result
        result[mask] = value
    assert result is not None
    return result


def centre_crop_pad(array: Array, size: int = 256, fill: float = 0) -> Array:
    """Crop or pad each slice of [k, j, i] to ``size`` x ``size`` around (rows // 2, columns // 2)."""
    result = np.full((array.shape[0], size, size), fill, array.dtype)
    (row, rows, top), (column, columns, left) = (_overlap(n, size) for n in array.shape[1:])
    result[:, top : top + rows, left : left + columns] = array[:, row : row + rows, column : column + columns]
    return result


def crop_start(n: int, size: int) -> int:
    """Return which of ``n`` samples becomes the first of ``size``; negative where padding comes first.

    The authors' 257-wide canvas around index 128, cut to 256, comes down to this shift.
    """
    return n // 2 - size // 2


def _overlap(n: int, size: int) -> tuple[int, int, int]:
    """Return the first sample taken of ``n``, how many, and where the first one goes in ``size``."""
    start = crop_start(n, size)
    first = max(start, 0)
    return first, min(n, start + size) - first, first - start


def prepare_arrays(
    image: Array, label: Array | None, spacing: Spacing, settings: PrepareSettings
) -> tuple[Array, Array | None]:
    """Do the steps that ``settings`` name to an image [k, j, i] and its label; spacing (i, j, k) in mm.

    Returns:
        The image (float32 after a window, else in its own pixel type) and the label in its own type.
    """
    if settings.clip_top is not None:
        image = clip_top(image, settings.clip_top)
    windowed = settings.window is not None
    if settings.window is not None:
        image = window_to_255(image, *settings.window)
    if settings.border:
        image = cut_border(image, settings.border)
        label = None if label is None else cut_border(label, settings.border)
    wanted = new_spacing(spacing, settings)
    if wanted is not None:
        image = resample_like_authors(image, spacing, wanted)
        label = None if label is None else resample_label_like_authors(label, spacing, wanted)
    if settings.size is not None:
        image = centre_crop_pad(image, settings.size, image.min())
        label = None if label is None else centre_crop_pad(label, settings.size)
    return image.astype(np.float32) if windowed else image, label


def prepare_mr_arrays(image: Array, label: Array | None, spacing: Spacing) -> tuple[Array, Array | None]:
    """Prepare a CHAOS-T2 scan (clip, resample, crop): arrays [k, j, i], spacing (i, j, k) in mm."""
    return prepare_arrays(image, label, spacing, MR_SETTINGS)


def prepare_ct_arrays(image: Array, label: Array | None, spacing: Spacing) -> tuple[Array, Array | None]:
    """Prepare a SABS scan (window, cut, resample): arrays [k, j, i] in HU, spacing (i, j, k) in mm."""
    return prepare_arrays(image, label, spacing, CT_SETTINGS)


def new_spacing(spacing: Spacing, settings: PrepareSettings) -> tuple[float, float, float] | None:
    """Return the spacing (i, j, k) in mm that ``settings`` ask for, or None to keep it."""
    if settings.spacing_factor is not None:
        # float(): a float32 spacing times 1.75 would be rounded to float32, which moves edges of labels.
        x, y, z = (float(old) * factor for old, factor in zip(spacing, settings.spacing_factor, strict=True))
        return x, y, z
    return settings.spacing
