"""Checks that turn unusable input into one sentence before work starts."""

from __future__ import annotations

import numpy as np

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.grid import Grid
from SegToolkitLib.volume.header_errors import not_finite
from SegToolkitLib.volume.volume import Volume

# Values of a label saved as float may have been interpolated or scaled by a hair.
WHOLE_TOLERANCE = 1e-3
# A label drawn on an image may differ from it by header rounding: this part of the smallest spacing.
GRID_TOLERANCE_VOXELS = 0.05
# Hounsfield units of air are -1000, and no CT of a body is without air; MR signal is never so negative.
CT_LOWEST_AT_MOST = 0.0
MR_LOWEST_AT_LEAST = -500.0


def check_finite(volume: Volume) -> Volume:
    """The volume itself, if every voxel is a number.

    Raises:
        SegToolkitError: "not-finite" with the count of NaN and infinite voxels.
    """
    voxels = volume.voxels
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        missing = int(np.isnan(voxels).sum())
        endless = int(np.isinf(voxels).sum())
        raise not_finite(_named(volume), missing, endless, voxels.size)
    return volume


def as_label(volume: Volume) -> Volume:
    """The volume with integer voxels, if its values are whole (within 1e-3) and one a voxel.

    Returns:
        The same volume if it is of an integer type (bool as uint8), else the smallest of uint8, int16,
        int32 and int64 that holds its values.

    Raises:
        SegToolkitError: "label-values" or "label-colour".
    """
    voxels = volume.voxels
    if voxels.ndim == 4:
        if not all((voxels[..., 0] == voxels[..., c]).all() for c in range(1, min(voxels.shape[3], 3))):
            raise SegToolkitError(
                "label-colour",
                f"{_named(volume)} is a colour picture, but a label needs one number a pixel.",
                "Save it as a grey picture whose values are the labels (0 for background).",
            )
        voxels = voxels[..., 0]
    if voxels.dtype == bool:
        return volume.with_voxels(voxels.astype(np.uint8))
    if voxels.dtype.kind in "iu":
        return volume.with_voxels(voxels)
    check_finite(volume)
    whole = np.rint(voxels)
    off = np.abs(voxels - whole) > WHOLE_TOLERANCE
    if off.any():
        raise SegToolkitError(
            "label-values",
            f"{_named(volume)} is used as a label but {int(off.sum())} of its voxels are not whole numbers"
            f" (for example {float(voxels[off][0]):g}).",
            "Give a label map, not an image or a probability map; resample labels without mixing them.",
        )
    lowest, highest = float(whole.min()), float(whole.max())
    kinds = (np.uint8, np.int16, np.int32, np.int64)
    kind = next((k for k in kinds if np.iinfo(k).min <= lowest and highest <= np.iinfo(k).max), np.int64)
    return volume.with_voxels(whole.astype(kind))


def check_label(label: Volume, image: Volume | Grid) -> Volume:
    """The label with integer voxels, exactly on the grid of the image, if it lay there but for rounding.

    Raises:
        SegToolkitError: "label-grid" if shape or place differ (by over 5 % of a voxel), or what
            :func:`as_label` raises.
    """
    hint = (
        "Give the label that was drawn on this image, or resample the label onto the image's grid"
        " (in Slicer: the image as reference volume when you export it)."
    )
    grid = image if isinstance(image, Grid) else image.grid
    if label.grid.shape != grid.shape:
        raise SegToolkitError(
            "label-grid",
            f"The label {_named(label)} has {_size(label.grid)} voxels but its image {_named(grid)}"
            f" has {_size(grid)}.",
            hint,
        )
    if not label.grid.same(grid, GRID_TOLERANCE_VOXELS * min(grid.spacing)):
        raise SegToolkitError(
            "label-grid",
            f"The label {_named(label)} lies up to {label.grid.distance(grid):.3g} mm beside its image"
            f" {_named(grid)} (spacing, origin or directions differ; orientations {label.orientation}"
            f" and {grid.orientation}).",
            hint,
        )
    whole = as_label(label)
    return Volume(whole.voxels, grid.spacing, grid.origin, grid.direction, label.name)


def check_not_empty(label: Volume, what: str) -> Volume:
    """The label itself, if any voxel is not 0.

    Args:
        label: the mask or label map.
        what: what the message calls it ("the support mask of slice 12").

    Raises:
        SegToolkitError: "empty-mask".
    """
    if not np.any(label.voxels):
        name = f" ({label.name})" if label.name else ""
        raise SegToolkitError(
            "empty-mask",
            f"{what[:1].upper()}{what[1:]}{name} is empty: no voxel is outlined.",
            "Outline the structure and save again, or choose the right slice and label.",
        )
    return label


def check_range(volume: Volume, modality: str) -> Volume:
    """The volume itself, if its values can be what the modality gives ("CT", "MR"; others pass).

    Raises:
        SegToolkitError: "modality-range".
    """
    lowest, highest = float(volume.voxels.min()), float(volume.voxels.max())
    values = f"values from {lowest:g} to {highest:g}"
    if modality.upper() == "CT" and lowest >= CT_LOWEST_AT_MOST:
        raise SegToolkitError(
            "modality-range",
            f"{_named(volume)} is said to be CT but has {values}: not Hounsfield units.",
            "Check the modality; if it is CT, export it with rescaling to Hounsfield units (air = -1000).",
        )
    if modality.upper() in ("MR", "MRI") and lowest < MR_LOWEST_AT_LEAST:
        raise SegToolkitError(
            "modality-range",
            f"{_named(volume)} is said to be MR but has {values}: it looks like CT.",
            "Check the modality that you chose for this volume.",
        )
    return volume


def _named(volume: Volume | Grid) -> str:
    return volume.name or "(unnamed volume)"


def _size(grid: Grid) -> str:
    return " x ".join(str(n) for n in grid.size)
