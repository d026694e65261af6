"""A volume as a stack of slices [slice, row, column]: which axis, a common size, a range of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.geometry_steps import Fill, Reorient, boxed
from SegToolkitLib.volume.grid import Grid, Shape
from SegToolkitLib.volume.volume import Volume

Found = dict[str, Any]
# Spacings that differ by less are equal but for rounding, and tell nothing of how the slices were acquired.
CLEARLY_COARSER = 1.01


def slice_axis(grid: Grid) -> int:
    """Axis (0 = i, 1 = j, 2 = k) along which slices are counted: the clearly coarsest one, else k.

    A volume of a single slice is a picture, whatever its spacing says.
    """
    single = [axis for axis in (2, 1, 0) if grid.size[axis] == 1]
    if single:
        return single[0]
    coarsest = int(np.argmax(grid.spacing))
    return coarsest if grid.spacing[coarsest] > CLEARLY_COARSER * grid.spacing[2] else 2


@dataclass(frozen=True)
class SlicesLast:
    """Make the slice axis k, and keep the order and the sense of the other two; nothing is flipped.

    Raises:
        SegToolkitError: "colour-volume".
    """

    geometric: ClassVar[bool] = True

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume with its slices along k."""
        if volume.voxels.ndim != 3:
            raise SegToolkitError(
                "colour-volume",
                f"{volume.name or 'The volume'} is a colour picture; one number a voxel is needed.",
                "Give the volume itself, or convert it to grey values.",
            )
        axis, letters = slice_axis(volume.grid), volume.orientation
        others = [letters[a] for a in range(3) if a != axis]
        return Reorient("".join([*others, letters[axis]])).apply(volume, label=label)[0], {"slice_axis": axis}


@dataclass(frozen=True)
class FitInPlane:
    """Crop or pad each slice around its centre to (rows, columns).

    Of an odd number of pixels to take away the smaller half goes in front; of one to add, the larger half.

    Args:
        size: (rows, columns).
        fill: value of new pixels, or "minimum" of the volume; labels get 0.

    Raises:
        SegToolkitError: "crop-size".
    """

    size: tuple[int, int]
    fill: Fill = 0.0
    geometric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise SegToolkitError(
                "crop-size", f"{self.size} is no size to crop to.", "Give the rows and columns, 1 or more."
            )

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume with slices along k, cropped and padded."""
        columns, rows, slices = volume.grid.size
        # Rounding down makes the start of a crop the smaller half and the pad in front the larger one.
        start = ((columns - self.size[1]) // 2, (rows - self.size[0]) // 2, 0)
        size: Shape = (self.size[1], self.size[0], slices)
        return boxed(volume, start, size, self.fill, label=label)


def rescaled_slices(slices: NDArray[np.floating], epsilon: float = 1e-20) -> NDArray[np.float32]:
    """Each slice of [n, rows, columns] brought to [0, 1] by its own minimum and maximum; float32.

    Args:
        slices: of any range.
        epsilon: is added to the divisor; a slice without contrast becomes 0.
    """
    # The range in float64: float32 would lose the smallest of epsilons.
    low = slices.min(axis=(1, 2), keepdims=True)
    span = slices.max(axis=(1, 2), keepdims=True).astype(np.float64) - low + epsilon
    return ((slices - low) / span).astype(np.float32)
