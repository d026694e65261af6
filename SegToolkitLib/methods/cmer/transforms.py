"""The transform pi between both views: drawn once, as data, then applied to images and maps alike.

Gradients flow through all of them. x is the column, y the row, the first row is the top.
Source: Patel and Dolz 2022 and the released code, whose rotation is that of kornia 0.3.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.cmer.plan import MULTIPLE
from SegToolkitLib.methods.cmer.settings import TransformSettings

QUARTER = 90.0
# Slices that the authors' sizes are meant for.
RELEASED_INPUTS = (240, 256)

T = TypeVar("T")


class Transform(Protocol):
    """What is applied to [N, C, Y, X]; N is that of the batch it was drawn for, C is free."""

    def __call__(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Identity:
    """Changes nothing."""

    def __call__(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True)
class Flip:
    """Mirror the whole batch, left to right (``horizontal``) or top to bottom."""

    horizontal: bool

    def __call__(self, x: Tensor) -> Tensor:
        return x.flip(-1 if self.horizontal else -2)


@dataclass(frozen=True)
class Turns:
    """Exact turns, counter-clockwise, of each sample by itself.

    Attributes:
        quarters: of each sample; odd numbers need square slices.
    """

    quarters: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stack(
            [torch.rot90(one, turns, (-2, -1)) for one, turns in zip(x, self.quarters, strict=True)]
        )


@dataclass(frozen=True)
class ReleasedRotation:
    """Turns as released: about half a pixel beside the centre, with a scale that cancels but for its edges.

    Attributes:
        degrees: of each sample, counter-clockwise.
    """

    degrees: tuple[float, ...]

    def __call__(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2:]
        angle = torch.deg2rad(torch.tensor(self.degrees, dtype=x.dtype, device=x.device)).reshape(-1, 1, 1)
        # Pixel centres on a grid that has lost a pixel's width, relative to the centre of the lattice.
        dx = (_numbers(columns, x) + 0.5) * ((columns - 1) / columns) - columns / 2
        dy = (_numbers(rows, x) + 0.5)[:, None] * ((rows - 1) / rows) - rows / 2
        u = angle.cos() * dx - angle.sin() * dy + columns / 2
        v = angle.sin() * dx + angle.cos() * dy + rows / 2
        return sampled(x, u * columns / max(columns - 1, 1) - 0.5, v * rows / max(rows - 1, 1) - 0.5)


@dataclass(frozen=True)
class Shifts:
    """Move each sample by itself, by parts of pixels; what comes in is 0.

    Attributes:
        pixels: (to the right, down) of each sample.
    """

    pixels: tuple[tuple[float, float], ...]

    def __call__(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2:]
        dx, dy = torch.tensor(self.pixels, dtype=x.dtype, device=x.device).reshape(-1, 2, 1, 1).unbind(1)
        whole = torch.zeros(len(self.pixels), rows, columns, dtype=x.dtype, device=x.device)
        return sampled(x, whole + _numbers(columns, x) - dx, whole + _numbers(rows, x)[:, None] - dy)


@dataclass(frozen=True)
class Resize:
    """Bring the whole batch to one size; the corners stay corners."""

    rows: int
    columns: int

    def __call__(self, x: Tensor) -> Tensor:
        return F.interpolate(x, (self.rows, self.columns), mode="bilinear", align_corners=True)


def draw(
    settings: TransformSettings, samples: int, rows: int, columns: int, generator: torch.Generator
) -> Transform:
    """Draw the transform of a batch.

    Args:
        settings: kinds and ranges.
        samples: slices in the batch.
        rows, columns: of the slices.
        generator: the only source of chance; on the CPU.
    """
    if not settings.kinds:
        return Identity()
    kind = _one_of(settings.kinds, generator)
    if kind == "flipping":
        return Flip(_one_of((True, False), generator))
    if kind == "rotation":
        if settings.rotation == "released":
            turns = torch.randint(1, 4, (samples,), generator=generator)
            return ReleasedRotation(tuple((QUARTER * turns).tolist()))
        odd = rows == columns
        turns = torch.randint(1, 4, (samples,), generator=generator) if odd else torch.full((samples,), 2)
        return Turns(tuple(turns.tolist()))
    if kind == "translation":
        most = settings.shift * torch.tensor([columns, rows])
        drawn = (2 * torch.rand(samples, 2, generator=generator) - 1) * most
        return Shifts(tuple((float(dx), float(dy)) for dx, dy in drawn.tolist()))
    return _one_of(scalings(settings, rows, columns), generator)


def scalings(settings: TransformSettings, rows: int, columns: int) -> list[Resize]:
    """Sizes that slices of a size may be scaled to.

    Relative ones are multiples of 8 along both axes, with about the same scale; where the range holds no
    multiple of 8, the slice's own size is all there is.
    """
    released = rows == columns and rows in RELEASED_INPUTS
    if settings.scaling == "sizes" or (settings.scaling == "auto" and released):
        return [Resize(size, size) for size in settings.sizes]
    low, high = settings.scale_range
    first, last = math.ceil(low * rows / MULTIPLE), math.floor(high * rows / MULTIPLE)
    sizes = [MULTIPLE * number for number in range(max(first, 1), last + 1)]
    found = [Resize(size, MULTIPLE * max(1, round(columns * size / rows / MULTIPLE))) for size in sizes]
    return found or [Resize(rows, columns)]


def sampled(x: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Read planes at places between their pixels: bilinear, 0 beyond the last pixels.

    Args:
        x: [N, C, Y, X].
        columns, rows: where to read, in pixels from the centre of the first, [N, Y', X'].

    Returns:
        [N, C, Y', X'].
    """
    height, width = x.shape[-2:]
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _numbers(count: int, like: Tensor) -> Tensor:
    return torch.arange(count, dtype=like.dtype, device=like.device)


def _one_of(choices: Sequence[T], generator: torch.Generator) -> T:
    return choices[int(torch.randint(len(choices), (), generator=generator))]
