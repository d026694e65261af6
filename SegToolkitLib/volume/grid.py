"""Where voxels lie in the patient: size, spacing, origin and axis directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, cast

import numpy as np

from SegToolkitLib.errors import SegToolkitError

Triple = tuple[float, float, float]
Shape = tuple[int, int, int]

# A direction whose determinant is below this has (nearly) parallel axes: indices cannot be recovered.
SINGULAR_BELOW = 1e-4
# Header formats keep directions as 32-bit floats or with few digits; more than this is not rounding.
UNIT_LENGTH_TOLERANCE = 1e-3
# First letter: the index grows towards +LPS; second: towards -LPS.
LETTERS = ("LR", "PA", "SI")


@dataclass(frozen=True, eq=False)
class Grid:
    """The lattice of a volume in LPS millimetres; axis 0, 1, 2 of ``spacing`` etc. are i, j, k.

    Args:
        shape: number of voxels [k, j, i], the order of the array.
        spacing: mm along i, j, k.
        origin: LPS mm of the centre of voxel (0, 0, 0).
        direction: 3x3, column a = LPS unit vector along which index a grows.
        name: what messages call it.

    Raises:
        SegToolkitError: "bad-spacing", "bad-origin", "singular-direction" or "bad-direction".
    """

    shape: Shape
    spacing: Triple
    origin: Triple
    direction: np.ndarray
    name: str = ""

    def __post_init__(self) -> None:
        what = self.name or "The volume"
        spacing, origin = np.array(self.spacing, float).ravel(), np.array(self.origin, float).ravel()
        direction = np.array(self.direction, float).reshape(3, 3)
        mend = "Correct its header, or export the image again from the original data."
        if spacing.shape != (3,) or not np.isfinite(spacing).all() or (spacing <= 0).any():
            raise SegToolkitError(
                "bad-spacing",
                f"{what} has the voxel spacing {spacing.tolist()} mm; three positive numbers are needed.",
                mend,
            )
        if origin.shape != (3,) or not np.isfinite(origin).all():
            raise SegToolkitError("bad-origin", f"{what} has the origin {origin.tolist()}.", mend)
        if not np.isfinite(direction).all() or abs(np.linalg.det(direction)) < SINGULAR_BELOW:
            raise SegToolkitError(
                "singular-direction",
                f"{what} has a singular direction matrix {direction.tolist()}:"
                " its three axes do not span space.",
                mend,
            )
        if np.abs(np.linalg.norm(direction, axis=0) - 1).max() > UNIT_LENGTH_TOLERANCE:
            raise SegToolkitError(
                "bad-direction",
                f"{what} has a direction matrix whose columns are not of length one: {direction.tolist()}.",
                "Keep lengths in the spacing and unit vectors in the direction.",
            )
        direction.setflags(write=False)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "spacing", _triple(spacing))
        object.__setattr__(self, "origin", _triple(origin))
        object.__setattr__(self, "direction", direction)

    @property
    def size(self) -> Shape:
        """Number of voxels along i, j, k: ``shape`` the other way round."""
        return self.shape[2], self.shape[1], self.shape[0]

    @property
    def affine(self) -> np.ndarray:
        """4x4 from homogeneous (i, j, k, 1) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * np.array(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def orientation(self) -> str:
        """Three letters, the direction that i, j, k grow towards ("LPS" for identity); nearest if oblique."""
        # Best pairing of axes over all six, because column by column two oblique axes can claim one letter.
        order = max(
            permutations(range(3)),
            key=lambda rows: sum(abs(self.direction[r, a]) for a, r in enumerate(rows)),
        )
        return "".join(LETTERS[row][int(self.direction[row, axis] < 0)] for axis, row in enumerate(order))

    @property
    def sheared(self) -> bool:
        """Whether the axes are not at right angles (a tilted gantry); many formats cannot say that."""
        return bool(np.abs(self.direction.T @ self.direction - np.eye(3)).max() > UNIT_LENGTH_TOLERANCE)

    def world(self, ijk: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """LPS mm [N, 3] of the (continuous) indices (i, j, k) [N, 3]."""
        points = np.atleast_2d(np.asarray(ijk, dtype=float))
        return cast(np.ndarray, points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def index(self, lps: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """Continuous indices (i, j, k) [N, 3] of LPS mm [N, 3]; round them for the nearest voxel."""
        points = np.atleast_2d(np.asarray(lps, dtype=float)) - self.affine[:3, 3]
        return cast(np.ndarray, np.linalg.solve(self.affine[:3, :3], points.T).T)

    def corners(self) -> np.ndarray:
        """LPS mm [8, 3] of the centres of the eight corner voxels."""
        ends = [(0, n - 1) for n in self.size]
        return self.world([(i, j, k) for i in ends[0] for j in ends[1] for k in ends[2]])

    def distance(self, other: Grid) -> float:
        """Largest distance in mm between corresponding corner voxels of two grids of one shape."""
        return float(np.linalg.norm(self.corners() - other.corners(), axis=1).max())

    def same(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether both have the shape and, within the tolerance, the place of every voxel in common."""
        if self.shape != other.shape or self.distance(other) > tolerance_mm:
            return False
        # One voxel has no corners to compare, and a thin axis none in that direction: compare the steps too.
        return bool(np.abs(self.affine[:3, :3] - other.affine[:3, :3]).max() <= max(tolerance_mm, 1e-3))

    def describe(self) -> dict[str, Any]:
        """The grid as plain numbers for JSON."""
        return {
            "size_ijk": list(self.size),
            "spacing_mm": list(self.spacing),
            "origin_lps_mm": list(self.origin),
            "direction": self.direction.tolist(),
            "orientation": self.orientation,
        }


def _triple(values: np.ndarray) -> Triple:
    return float(values[0]), float(values[1]), float(values[2])
