"""Steps of preparation that move voxels: reorient, resample, crop and pad."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.grid import LETTERS, Grid, Shape, Triple
from SegToolkitLib.volume.lattice import cut, moved, sub_grid
from SegToolkitLib.volume.placing import onto_grid
from SegToolkitLib.volume.volume import Volume

Fill = float | Literal["minimum"]
Found = dict[str, Any]
# Below this part of a voxel, an overhang is rounding and adds no voxel.
OVERHANG = 1e-3


@dataclass(frozen=True)
class Reorient:
    """Permute and flip axes so that i, j, k grow towards the three letters (nearest axes if oblique).

    Args:
        code: such as "LPS", "RAS" or "LAS"; one letter of each pair L/R, P/A, S/I.

    Raises:
        SegToolkitError: "orientation-code".
    """

    code: str
    geometric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if sorted(_row(letter) for letter in self.code) != [0, 1, 2]:
            raise SegToolkitError(
                "orientation-code",
                f'"{self.code}" is no orientation.',
                "Give three letters, one each of L/R, P/A and S/I, such as LPS or RAS.",
            )

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume with its axes in the order of the code; no voxel changes its place in the patient."""
        current = volume.orientation
        permutation = cast(
            Shape, tuple(next(s for s in range(3) if _row(current[s]) == _row(c)) for c in self.code)
        )
        flips = tuple(current[s] != c for s, c in zip(permutation, self.code, strict=True))
        corner = [0, 0, 0]
        for s, flip in zip(permutation, flips, strict=True):
            corner[s] = volume.grid.size[s] - 1 if flip else 0
        signs = np.where(flips, -1.0, 1.0)
        result = Volume(
            np.ascontiguousarray(moved(volume.voxels, permutation, flips)),
            cast(Triple, tuple(volume.spacing[s] for s in permutation)),
            cast(Triple, tuple(volume.world([corner])[0])),
            volume.direction[:, list(permutation)] * signs,
            volume.name,
        )
        return result, {"from": current}


@dataclass(frozen=True)
class Resample:
    """Interpolate to another spacing (mm along i, j, k; None keeps an axis); the centre stays in place.

    The new grid covers the whole old one (the last voxel may overhang) and has at least one voxel an axis.
    Images are interpolated linearly, labels one label at a time (see :func:`onto_grid`).

    Raises:
        SegToolkitError: "bad-spacing".
    """

    spacing: tuple[float | None, float | None, float | None]
    geometric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        given = [s for s in self.spacing if s is not None]
        if len(self.spacing) != 3 or not all(math.isfinite(s) and s > 0 for s in given):
            raise SegToolkitError(
                "bad-spacing",
                f"{self.spacing} is no spacing to resample to.",
                "Give a positive number of mm (or nothing, to keep it) for each of i, j, k.",
            )

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume on the new grid; images become float32 (float64 stays) where interpolated."""
        fill = 0.0 if label else float(volume.voxels.min())
        return onto_grid(volume, self.grid(volume.grid), label=label, fill=fill), {
            "from": list(volume.spacing)
        }

    def grid(self, old: Grid) -> Grid:
        """The grid that results from ``old``."""
        spacing = [o if new is None else float(new) for o, new in zip(old.spacing, self.spacing, strict=True)]
        extents = [n * o / s for n, o, s in zip(old.size, old.spacing, spacing, strict=True)]
        size = [max(1, math.ceil(extent - OVERHANG)) for extent in extents]
        centre = old.world([[(n - 1) / 2 for n in old.size]])[0]
        half = np.array([(n - 1) / 2 * s for n, s in zip(size, spacing, strict=True)])
        origin = centre - old.direction @ half
        shape = cast(Shape, tuple(size[::-1]))
        return Grid(shape, cast(Triple, tuple(spacing)), cast(Triple, tuple(origin)), old.direction, old.name)


@dataclass(frozen=True)
class CropBox:
    """Keep the voxels from ``start`` to before ``stop`` (i, j, k).

    Raises:
        SegToolkitError: "crop-outside" when the box is empty or reaches outside the volume.
    """

    start: Shape
    stop: Shape
    geometric: ClassVar[bool] = True

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The box as a volume of its own."""
        size = cast(Shape, tuple(b - a for a, b in zip(self.start, self.stop, strict=True)))
        inside = all(0 <= a < b <= n for a, b, n in zip(self.start, self.stop, volume.grid.size, strict=True))
        if not inside:
            raise SegToolkitError(
                "crop-outside",
                f"The box {self.start} to {self.stop} does not lie in {volume.name or 'the volume'},"
                f" which has {volume.grid.size} voxels.",
                "Give indices (i, j, k) inside the volume; the end is not included.",
            )
        return boxed(volume, self.start, size, 0.0, label=label)


@dataclass(frozen=True)
class CropPad:
    """Crop or pad around the centre voxel (size // 2) to a number of voxels (i, j, k; None keeps an axis).

    Args:
        size: voxels along i, j, k.
        fill: value of new voxels, or "minimum" of the volume; labels get 0.

    Raises:
        SegToolkitError: "crop-size".
    """

    size: tuple[int | None, int | None, int | None]
    fill: Fill = "minimum"
    geometric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if len(self.size) != 3 or any(n is not None and n < 1 for n in self.size):
            raise SegToolkitError(
                "crop-size",
                f"{self.size} is no size to crop to.",
                "Give a number of voxels >= 1 for i, j, k.",
            )

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume cropped and padded."""
        old = volume.grid.size
        size = cast(Shape, tuple(o if n is None else n for o, n in zip(old, self.size, strict=True)))
        # Centre index on centre index: for an odd difference the extra voxel goes as in the authors' code.
        start = cast(Shape, tuple(o // 2 - n // 2 for o, n in zip(old, size, strict=True)))
        return boxed(volume, start, size, self.fill, label=label)


@dataclass(frozen=True)
class PadToMultiple:
    """Pad on both sides to the next multiple of a number of voxels (i, j, k; 1 keeps an axis).

    Raises:
        SegToolkitError: "crop-size".
    """

    multiple: Shape
    fill: Fill = "minimum"
    geometric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if len(self.multiple) != 3 or any(n < 1 for n in self.multiple):
            raise SegToolkitError(
                "crop-size", f"{self.multiple} are no multiples to pad to.", "Give numbers >= 1 for i, j, k."
            )

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume padded."""
        old = volume.grid.size
        size = cast(Shape, tuple(-(-o // m) * m for o, m in zip(old, self.multiple, strict=True)))
        start = cast(Shape, tuple(-((n - o) // 2) for o, n in zip(old, size, strict=True)))
        return boxed(volume, start, size, self.fill, label=label)


def boxed(volume: Volume, start: Shape, size: Shape, fill: Fill, *, label: bool) -> tuple[Volume, Found]:
    """Crop and pad at once; images take a wider number type if the fill value needs one."""
    value = 0.0 if label else float(volume.voxels.min()) if fill == "minimum" else float(fill)
    voxels = volume.voxels
    if not label and voxels.dtype.kind != "f" and float(voxels.dtype.type(0)) != value:
        number = int(value) if value.is_integer() else value
        needed = np.min_scalar_type(number) if isinstance(number, int) else np.dtype(np.float32)
        voxels = voxels.astype(np.result_type(voxels.dtype, needed), copy=False)
    array, grid = cut(voxels, start, size, value), sub_grid(volume.grid, start, size)
    result = Volume(array, grid.spacing, grid.origin, grid.direction, volume.name)
    return result, {"start": list(start), "fill": value}


def _row(letter: str) -> int:
    """Which of the three LPS axes a letter belongs to; -1 for none."""
    return next((row for row, pair in enumerate(LETTERS) if letter in pair), -1)
