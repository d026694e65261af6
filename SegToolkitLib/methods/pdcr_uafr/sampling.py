"""Which cells of a feature map are compared, and where in the image they lie.

Cells and pixels are counted from 0, axes are (y, x) or (z, y, x). Everything is arithmetic: the authors
measure receptive fields by gradients, which fails where a field touches the border of the image.
Source: Liu et al., arXiv 2201.08779, and the released code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError


@dataclass(frozen=True)
class Cells:
    """How the cells of a feature map lie in the image, along one axis.

    Attributes:
        stride: pixels between two cells.
        field: pixels that a cell depends on.
        centre: pixel that cell 0 is centred on; a half where the field is even.
    """

    stride: int = 1
    field: int = 1
    centre: float = 0.0

    def after(self, kernel: int, stride: int = 1, dilation: int = 1, padding: int | None = None) -> Cells:
        """The same behind another convolution; ``padding`` None keeps the size at stride 1."""
        reach = (kernel - 1) * dilation
        padding = reach // 2 if padding is None else padding
        return Cells(
            self.stride * stride,
            self.field + reach * self.stride,
            self.centre + (reach / 2 - padding) * self.stride,
        )

    @property
    def offset(self) -> float:
        """First pixel of the field of cell 0; negative where it begins outside the image."""
        return self.centre - (self.field - 1) / 2

    def fits(self, size: Sequence[int]) -> bool:
        """Whether the field is smaller than an image of so many pixels on each axis."""
        return self.field <= min(size) - 1


def raster(grid: Sequence[int], count: int) -> Tensor:
    """Positions at a constant step along the flattened grid, the same ones every time, as released.

    Args:
        grid: cells on each axis.
        count: wanted; all cells where there are fewer. A step of one cell gives ``count - 1``, as released.

    Returns:
        int64 [N, axes].

    Raises:
        SegToolkitError: "empty-grid".
    """
    cells = _cells(grid, count)
    step = cells // count
    # At least one: a single cell is its own raster.
    flat = torch.arange(0, max(1, step * count - 1), step) if step else torch.arange(cells)
    return torch.stack(torch.unravel_index(flat, tuple(grid)), dim=1)


def jittered(grid: Sequence[int], count: int, generator: torch.Generator) -> Tensor:
    """Positions drawn one from each field of a coarse raster, so that they spread over the whole grid.

    Args:
        grid: cells on each axis.
        count: wanted; all cells where there are no more.
        generator: on the CPU, so that a seed means the same on every device.

    Returns:
        int64 [N, axes].

    Raises:
        SegToolkitError: "empty-grid".
    """
    if _cells(grid, count) <= count:
        return every(grid, [1] * len(grid))
    parts = _parts(grid, count)
    fields = torch.cartesian_prod(*(torch.arange(n) for n in parts)).reshape(-1, len(parts))
    if len(fields) > count:
        fields = fields[torch.randperm(len(fields), generator=generator)[:count].sort().values]
    sizes, split = torch.tensor(tuple(grid)), torch.tensor(parts)
    low, high = fields * sizes // split, (fields + 1) * sizes // split
    drawn = torch.rand(fields.shape, generator=generator)
    return low + (drawn * (high - low)).long()


def every(grid: Sequence[int], steps: Sequence[int]) -> Tensor:
    """Every ``steps``-th cell on each axis, beginning with the first: int64 [N, axes]."""
    _cells(grid, 1)
    axes = [torch.arange(0, size, step) for size, step in zip(grid, steps, strict=True)]
    return torch.cartesian_prod(*axes).reshape(-1, len(axes))


def steps_for(size: Sequence[int], strides: Sequence[int], apart: int = 32) -> tuple[int, ...]:
    """Steps for :func:`every`, as in 3-D: vectors about ``apart`` voxels apart.

    Args:
        size: voxels of the image on each axis; a step is a quarter of it at most.
        strides: voxels a cell on each axis.
        apart: voxels.
    """
    return tuple(
        max(1, min(round(apart / stride), n // (4 * stride))) for n, stride in zip(size, strides, strict=True)
    )


def centres(positions: Tensor, cells: Sequence[Cells], margin: int = 0) -> Tensor:
    """Pixels that cells are centred on.

    Args:
        positions: int64 [N, axes], counted without a margin that was cut off.
        cells: of each axis.
        margin: cells that were cut off.

    Returns:
        int64 [N, axes]; halves are rounded down.
    """
    stride = torch.tensor([one.stride for one in cells])
    first = torch.tensor([math.floor(one.centre) for one in cells])
    return (positions + margin) * stride + first


def _cells(grid: Sequence[int], count: int) -> int:
    cells = math.prod(max(0, n) for n in grid)
    if cells < 1 or count < 1:
        raise SegToolkitError(
            "empty-grid",
            f"A feature map of {' x '.join(map(str, grid))} cells (less its margin) is too small to sample.",
            "Use larger images, a smaller margin, or a layer of higher resolution.",
        )
    return cells


def _parts(grid: Sequence[int], count: int) -> list[int]:
    """How many fields each axis is divided into, so that there are ``count`` or a few more."""
    side = math.ceil(round(count ** (1 / len(grid)), 6))
    parts = [min(side, n) for n in grid]
    while math.prod(parts) < count:
        # A short axis gives less than its share: the longest fields of the others are divided further.
        longest = max((n / p, axis) for axis, (n, p) in enumerate(zip(grid, parts, strict=True)))[1]
        parts[longest] += 1
    return parts
