"""Volumes and pictures as 8-bit slices of three channels, and results back onto their own grid.

Slices of a volume lie as a radiologist sees them, however the volume is stored: axial ones with the front
above and the right on the left, coronal and sagittal ones with the head above. A picture stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan
from SegToolkitLib.volume import Reorient, Volume, check_finite, check_label, onto_grid
from SegToolkitLib.volume.grid import Grid
from SegToolkitLib.volume.slicewise import slice_axis

Pixels = NDArray[np.uint8]

# What the columns, the rows and the slices grow towards; the plane by what its slices grow towards.
PLANES = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIL"}
PLANE_OF = {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal", "L": "sagittal", "R": "sagittal"}
# Where no percentiles are given: of intensities that do not fit into 8 bits.
USUAL = (0.5, 99.5)


@dataclass(frozen=True)
class Stack:
    """Slices of a volume, or the one of a picture.

    Attributes:
        volume: the input.
        upright: its grid with the slices along k.
        pixels: [slices, rows, columns, 3].
    """

    volume: Volume
    upright: Grid
    pixels: Pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def label(self, label: Volume) -> NDArray[Any]:
        """A label on the input's grid as slices [slices, rows, columns].

        Raises:
            SegToolkitError: "label-grid", "label-values".
        """
        return onto_grid(check_label(label, self.volume), self.upright, label=True).voxels

    def restore(self, values: NDArray[Any], *, label: bool = True) -> Volume:
        """Values [slices, rows, columns] on the input's grid."""
        grid = self.upright
        upright = Volume(values, grid.spacing, grid.origin, grid.direction, self.volume.name)
        return onto_grid(upright, self.volume, label=label)


def stacked(volume: Volume, plan: InputPlan) -> Stack:
    """Bring a volume or picture into slices.

    Args:
        volume: [k, j, i] of any spacing, orientation and range, or a picture [1, j, i, c].
        plan: which slices, and which intensities become 0 and 255.

    Raises:
        SegToolkitError: "not-finite", "channels".
    """
    check_finite(volume)
    if volume.voxels.ndim == 4:
        return Stack(volume, volume.grid, eight_bit(_colours(volume), plan))
    upright = Reorient(PLANES[plane_of(volume, plan)]).apply(volume)[0]
    grey = eight_bit(upright.voxels, plan)
    return Stack(volume, upright.grid, np.repeat(grey[..., np.newaxis], 3, axis=-1))


def plane_of(volume: Volume, plan: InputPlan) -> str:
    """The plane of the slices of a volume [k, j, i]; a single slice is taken as it lies."""
    if plan.slices != "auto" and 1 not in volume.grid.size:
        return plan.slices
    return PLANE_OF[volume.orientation[slice_axis(volume.grid)]]


def eight_bit(values: NDArray[Any], plan: InputPlan) -> Pixels:
    """Intensities of any shape as 0 to 255."""
    if plan.percentiles is None and values.dtype == np.uint8:
        return values
    exact = values.astype(np.float32)
    low, high = np.percentile(exact, plan.percentiles or USUAL)
    scaled = (exact - np.float32(low)) * np.float32(255 / max(high - low, 1e-20))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Slices [n, rows, columns, 3] in another size (rows, columns); bicubic, averaged where it shrinks."""
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(size[::-1], Image.Resampling.BICUBIC)) for one in pixels]
    )


def resized_classes(classes: Pixels, size: tuple[int, int]) -> Pixels:
    """Classes [n, rows, columns] in another size, each pixel the nearest one."""
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(size[::-1], Image.Resampling.NEAREST)) for one in classes]
    )


def resized_as_released(masks: Pixels, size: tuple[int, int]) -> Pixels:
    """Masks [n, rows, columns] of 0 to 255 as the released code resizes them: Lanczos, then 1 above 0.

    That adds a rim, where the filter overshoots.
    """
    found = [
        np.asarray(Image.fromarray(one).resize(size[::-1], Image.Resampling.LANCZOS)) > 0 for one in masks
    ]
    return np.stack(found).astype(np.uint8)


def normalised(pixels: Pixels, plan: InputPlan) -> Tensor:
    """Slices [n, rows, columns, 3] as the network takes them: float32 [n, 3, rows, columns]."""
    images = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(one).reshape(1, 3, 1, 1) for one in (plan.mean, plan.std))
    return (images / plan.intensity_scale - mean) / std


def _colours(volume: Volume) -> NDArray[Any]:
    """[1, rows, columns, 3]; transparency is dropped, grey copied."""
    channels = volume.voxels.shape[3]
    if channels not in (1, 2, 3, 4):
        raise SegToolkitError(
            "channels",
            f"{volume.name or 'The picture'} has {channels} channels.",
            "Give a picture in colour (RGB) or grey.",
        )
    return volume.voxels[..., :3] if channels > 2 else np.repeat(volume.voxels[..., :1], 3, axis=3)
