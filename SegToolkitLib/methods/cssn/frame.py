"""The orientation that the networks know, and the way back: permuted and flipped views, without a copy.

Source: released code of SemiSeg-CSSN, which flips only; permuted and oblique volumes are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.prepare import CANONICAL, Box, Spacing
from SegToolkitLib.volume import Volume
from SegToolkitLib.volume.grid import LETTERS, Grid, Shape
from SegToolkitLib.volume.lattice import moved


@dataclass(frozen=True)
class Frame:
    """How the array of one grid becomes canonical.

    Attributes:
        permutation: for each canonical axis x, y, z the axis i, j, k of the grid.
        flips: whether that axis runs the other way.
        spacing: (z, y, x) in mm of the canonical array.
    """

    permutation: Shape
    flips: tuple[bool, ...]
    spacing: Spacing

    @classmethod
    def of(cls, grid: Grid) -> Frame:
        """The frame of a grid of any orientation."""
        rows = [next(pair for pair in LETTERS if letter in pair) for letter in grid.orientation]
        pairs = [next(pair for pair in LETTERS if letter in pair) for letter in CANONICAL]
        permutation = tuple(rows.index(pair) for pair in pairs)
        flips = tuple(grid.orientation[a] != c for a, c in zip(permutation, CANONICAL, strict=True))
        z, y, x = (grid.spacing[axis] for axis in reversed(permutation))
        return cls(cast(Shape, permutation), flips, (z, y, x))

    def view(self, voxels: np.ndarray) -> np.ndarray:
        """The canonical view [z, y, x] of an array [k, j, i]; writing into it writes into the array."""
        return moved(voxels, self.permutation, self.flips)

    def box(self, canonical: Box, grid: Grid) -> tuple[Shape, Shape]:
        """Start and size (i, j, k) in the grid of a box of the canonical view."""
        start, size = [0, 0, 0], [0, 0, 0]
        for place, (axis, flip) in enumerate(zip(self.permutation, self.flips, strict=True)):
            low, high = canonical.start[2 - place], canonical.stop[2 - place]
            start[axis] = grid.size[axis] - high if flip else low
            size[axis] = high - low
        return cast(Shape, tuple(start)), cast(Shape, tuple(size))


def canonical_view(volume: Volume) -> tuple[np.ndarray, Frame]:
    """View of a volume's voxels as the networks know them, [z, y, x], and how it was made.

    Raises:
        SegToolkitError: "colour-volume".
    """
    if volume.voxels.ndim != 3:
        raise SegToolkitError(
            "colour-volume",
            f"{volume.name or 'The volume'} is a colour picture; the networks take one number a voxel.",
            "Give the CT or MR volume itself.",
        )
    frame = Frame.of(volume.grid)
    return frame.view(volume.voxels), frame
