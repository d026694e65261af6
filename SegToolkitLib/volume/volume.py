"""A volume: voxels, and where they lie in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import SimpleITK as sitk

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.grid import UNIT_LENGTH_TOLERANCE, Grid, Shape, Triple

# Moves a voxel a metre away by a picometre.
NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels [k, j, i] with their place in the patient (LPS mm).

    A colour picture is a volume of one slice with its channels last: [1, j, i, c].

    Args:
        voxels: array [k, j, i] of any number type; big-endian arrays become native.
        spacing: mm along i, j, k (SimpleITK's x, y, z).
        origin: LPS mm of the centre of voxel (0, 0, 0).
        direction: 3x3, column a = LPS unit vector of axis i, j, k.
        name: where it came from, for messages.

    Raises:
        SegToolkitError: "not-3d", "no-voxels", "complex-voxels", or what :class:`Grid` raises.

    Example:
        >>> import numpy as np
        >>> volume = Volume(np.zeros((3, 4, 5)), (1, 1, 2), (0, 0, 0), np.eye(3))
        >>> volume.orientation, volume.world([[4, 3, 2]]).tolist()
        ('LPS', [[4.0, 3.0, 4.0]])
    """

    voxels: np.ndarray
    spacing: Triple
    origin: Triple
    direction: np.ndarray
    name: str = ""
    grid: Grid = field(init=False, repr=False)

    def __post_init__(self) -> None:
        voxels, what = np.asarray(self.voxels), self.name or "The volume"
        if voxels.ndim != 3 and not (voxels.ndim == 4 and voxels.shape[0] == 1):
            raise SegToolkitError(
                "not-3d",
                f"{what} has an array of the shape {voxels.shape}; [k, j, i] is needed"
                " (or [1, j, i, c] for a colour picture).",
                "Take one frame or channel of it.",
            )
        if voxels.size == 0:
            raise SegToolkitError(
                "no-voxels", f"{what} has no voxels ({voxels.shape}).", "Check how it was cut."
            )
        if voxels.dtype.kind not in "iufb":
            raise SegToolkitError(
                "complex-voxels",
                f"{what} has voxels of the type {voxels.dtype}; plain numbers are needed.",
                "Export the magnitude (one real number a voxel).",
            )
        if not voxels.dtype.isnative:
            voxels = voxels.astype(voxels.dtype.newbyteorder("="))
        grid = Grid(cast(Shape, voxels.shape[:3]), self.spacing, self.origin, self.direction, self.name)
        for key, value in [("voxels", voxels), ("grid", grid)]:
            object.__setattr__(self, key, value)
        for key in ("spacing", "origin", "direction"):
            object.__setattr__(self, key, getattr(grid, key))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array: [k, j, i], or [1, j, i, c] in colour."""
        return cast(tuple[int, ...], self.voxels.shape)

    @property
    def affine(self) -> np.ndarray:
        """4x4 from homogeneous (i, j, k, 1) to LPS mm."""
        return self.grid.affine

    @property
    def orientation(self) -> str:
        """Nearest three-letter code; each letter is what the index grows towards ("LPS" for identity)."""
        return self.grid.orientation

    def with_voxels(self, array: np.ndarray, name: str | None = None) -> Volume:
        """Another array [k, j, i] on the same grid.

        Raises:
            SegToolkitError: "grid-shape" if the array has another number of voxels along an axis.
        """
        if np.shape(array)[:3] != self.grid.shape:
            raise SegToolkitError(
                "grid-shape",
                f"An array of the shape {np.shape(array)} does not fit the grid {self.grid.shape}"
                f" of {self.name or 'the volume'}.",
                "Give one value for each voxel, in the order [k, j, i].",
            )
        title = self.name if name is None else name
        return Volume(np.asarray(array), self.spacing, self.origin, self.direction, title)

    def world(self, ijk: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """LPS mm [N, 3] of the (continuous) indices (i, j, k) [N, 3]."""
        return self.grid.world(ijk)

    def index(self, lps: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """Continuous indices (i, j, k) [N, 3] of LPS mm [N, 3]."""
        return self.grid.index(lps)

    def same_grid(self, other: Volume, tolerance_mm: float = 1e-3) -> bool:
        """Whether both have the same shape and, within the tolerance, every voxel at the same place."""
        return self.grid.same(other.grid, tolerance_mm)

    def to_sitk(self) -> sitk.Image:
        """The same as a SimpleITK image (bool as uint8, float16 as float32, colour as vector pixels)."""
        return image_of(self.voxels, self.grid)

    @classmethod
    def from_sitk(cls, image: sitk.Image, name: str = "") -> Volume:
        """The same as a Volume; a 2D image becomes one slice, vector pixels are kept for one slice only.

        Raises:
            SegToolkitError: "not-3d", "vector-voxels", "complex-voxels", or what :class:`Grid` raises.
        """
        what, dimension = name or "The image", image.GetDimension()
        if dimension not in (2, 3):
            raise SegToolkitError(
                "not-3d", f"{what} has {dimension} dimensions; 3 are needed.", "Take one frame of it."
            )
        array = sitk.GetArrayFromImage(image)
        if dimension == 2:
            array = array[np.newaxis]
        channels = image.GetNumberOfComponentsPerPixel()
        if channels > 1 and array.shape[0] > 1:
            raise SegToolkitError(
                "vector-voxels",
                f"{what} has {channels} values in each voxel of a 3D volume; one is needed.",
                "Export one channel, component or time point as a volume of its own.",
            )
        spacing, origin, direction = np.ones(3), np.zeros(3), np.eye(3)
        spacing[:dimension], origin[:dimension] = image.GetSpacing(), image.GetOrigin()
        direction[:dimension, :dimension] = np.reshape(image.GetDirection(), (dimension, dimension))
        lengths = np.linalg.norm(direction, axis=0)
        if np.abs(lengths - 1).max() > UNIT_LENGTH_TOLERANCE and lengths.min() > 0:
            # SimpleITK multiplies both, so moving the length keeps every voxel where it is.
            spacing, direction = spacing * lengths, direction / lengths
        return cls(array, cast(Triple, tuple(spacing)), cast(Triple, tuple(origin)), direction, name)


def image_of(voxels: np.ndarray, grid: Grid) -> sitk.Image:
    """A SimpleITK image of an array [k, j, i] or [1, j, i, c] placed on a grid."""
    if voxels.dtype == bool:
        voxels = voxels.astype(np.uint8)
    elif voxels.dtype.kind == "f" and voxels.dtype.itemsize not in (4, 8):
        # SimpleITK knows neither float16 nor long double.
        voxels = voxels.astype(np.float32 if voxels.dtype.itemsize < 4 else np.float64)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels), isVector=voxels.ndim == 4)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    # ITK inverts the matrix and prints about entries like 1e-18 that rotations leave behind.
    image.SetDirection(np.where(np.abs(grid.direction) < NOTHING, 0, grid.direction).ravel().tolist())
    return image
