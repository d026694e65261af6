"""What was drawn of a corruption: all that is needed to apply it, and to apply it again.

Arrays are [slice, row, column]. Source: see ``corruptions``.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydantic import Field

from SegToolkitLib.evaluation import artefacts
from SegToolkitLib.settings import Settings
from SegToolkitLib.volume.grid import Grid, Triple
from SegToolkitLib.volume.volume import image_of

Array = NDArray[np.float32]
# The arrays of the published test set: no place in a patient, voxels as if they were cubes of 1 mm.
PUBLISHED_DIRECTION = np.diag([-1.0, -1.0, 1.0])


class Bias(Settings):
    """A smooth bias field: exp of a polynomial."""

    kind: Literal["bias"] = "bias"
    coefficients: tuple[float, ...]
    order: int = Field(default=3, ge=0, le=6)

    def apply(self, array: Array, grid: Grid) -> Array:
        """[slice, row, column] with the field."""
        return artefacts.biased(array, self.coefficients, self.order)


class Spike(Settings):
    """Bright points in k-space: stripes over the whole volume.

    Attributes:
        positions: of each point in the shifted spectrum [slice, row, column], in parts of its axes.
        intensity: of each, in parts of the spectrum's largest number.
    """

    kind: Literal["spike"] = "spike"
    positions: tuple[Triple, ...]
    intensity: float

    def apply(self, array: Array, grid: Grid) -> Array:
        """[slice, row, column] with the stripes."""
        # Every spike is measured by the spectrum of the clean image.
        changes = [artefacts.spiked(array, one, self.intensity) - array for one in self.positions]
        return cast(Array, array + sum(changes))


class Ghosting(Settings):
    """Faint copies of the object along one axis."""

    kind: Literal["ghosting"] = "ghosting"
    ghosts: int = Field(ge=1)
    axis: int = Field(ge=0, le=2)
    intensity: float

    def apply(self, array: Array, grid: Grid) -> Array:
        """[slice, row, column] with the ghosts."""
        return artefacts.ghosted(array, self.ghosts, self.axis, self.intensity)


class Motion(Settings):
    """A patient who moves while k-space is read.

    Attributes:
        degrees: of each movement, about the axes i, j, k (columns, rows, slices).
        translation: of each, along them.
        times: of each, in parts of the acquisition.
        frame: "volume": axes through the volume's centre, translations in mm. "voxels", as published: the
            three numbers belong to slices, rows and columns, voxels count as cubes of 1 mm, and rotations are
            about the first voxel of the first slice.
    """

    kind: Literal["motion"] = "motion"
    degrees: tuple[Triple, ...]
    translation: tuple[Triple, ...]
    times: tuple[float, ...]
    frame: Literal["volume", "voxels"] = "volume"

    def apply(self, array: Array, grid: Grid) -> Array:
        """[slice, row, column] of the patient who moved."""
        poses = [
            self._posed(array, grid.spacing, *one) for one in zip(self.degrees, self.translation, strict=True)
        ]
        return artefacts.mixed([array, *poses], self.times)

    def _posed(self, array: Array, spacing: Triple, degrees: Triple, translation: Triple) -> Array:
        if self.frame == "voxels":
            # ITK's i, j, k are slices, rows, columns there: the array is taken the other way round.
            turned = np.ascontiguousarray(array.transpose())
            grid = Grid(turned.shape, (1, 1, 1), (0, 0, 0), PUBLISHED_DIRECTION)
            return _moved(turned, grid, (0, 0, 0), degrees, translation).transpose()
        grid = Grid(array.shape, spacing, (0, 0, 0), np.eye(3))
        middle = grid.world([[(n - 1) / 2 for n in grid.size]])[0]
        return _moved(array, grid, cast(Triple, tuple(middle.tolist())), degrees, translation)


AnyDrawn = Bias | Spike | Ghosting | Motion
# The same for fields of settings and files.
Drawn = Annotated[AnyDrawn, Field(discriminator="kind")]


def _moved(array: Array, grid: Grid, centre: Triple, degrees: Triple, translation: Triple) -> Array:
    """An array [k, j, i] on ``grid``, sampled where a rigid transform takes its voxels; else its minimum."""
    image = image_of(array, grid)
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre)
    transform.SetRotation(*np.deg2rad(degrees).tolist())
    transform.SetTranslation(translation)
    moved = sitk.Resample(image, image, transform, sitk.sitkLinear, float(array.min()))
    found: Array = sitk.GetArrayFromImage(moved)
    return found
