"""The grid on which the phantom is painted, structure by structure, later ones over earlier ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.phantom.fields import FloatArray, smooth_field
from SegToolkitLib.phantom.shapes import Point, Shape

REFERENCE_FIELD_OF_VIEW = (320.0, 320.0, 246.4)  # mm in x, y, z: 256 x 256 x 32 voxels of 1.25 x 1.25 x 7.7
DEFORMATION_LENGTH = 65.0  # mm between the knots of the patient's deformation
DEFORMATION = 3.5  # mm, its standard deviation along each axis
DEFORMATION_LIMIT = 9.0  # mm, no point moves further
ROUGHNESS_LENGTH = 16.0  # mm between the knots of the unevenness of surfaces


class Canvas:
    """Image and label under construction, with the deformed patient coordinates of every voxel.

    The reference field of view is stretched over the grid, whatever that measures, so that a small grid holds
    the whole abdomen.

    Attributes:
        image: [k, j, i] float32, 1 being the brightest tissue; None where only labels are wanted.
        label: [k, j, i] uint8.
        textures: two fields [k, j, i] float32 of variance 1, coarse and fine; empty without an image.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        anatomy: np.random.Generator,
        intensity: np.random.Generator | None,
        stature: Point = (1.0, 1.0, 1.0),
    ) -> None:
        """Lay out coordinates and deformation.

        Args:
            shape: [k, j, i].
            anatomy: randomness of the deformation.
            stature: size of the patient along x, y, z relative to the reference patient.
            intensity: randomness of the textures; None to paint labels only.
        """
        self.label: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        self.image: FloatArray | None = None if intensity is None else np.zeros(shape, dtype=np.float32)
        field_of_view = np.asarray(REFERENCE_FIELD_OF_VIEW) / np.asarray(stature)
        self.step = field_of_view / np.asarray(shape[::-1])
        self._first = 0.5 * (self.step - field_of_view)
        coordinates: list[FloatArray] = []
        for axis in range(3):
            line = (self._first[axis] + self.step[axis] * np.arange(shape[2 - axis])).astype(np.float32)
            line = line.reshape([-1 if a == 2 - axis else 1 for a in range(3)])
            shift = self._field(anatomy, DEFORMATION_LENGTH) * np.float32(DEFORMATION)
            np.clip(shift, -DEFORMATION_LIMIT, DEFORMATION_LIMIT, out=shift)
            coordinates.append(shift + line)
        self.x, self.y, self.z = coordinates
        self.roughness = self._field(anatomy, ROUGHNESS_LENGTH)
        self.textures = (
            [] if intensity is None else [self._field(intensity, 9.0), self._field(intensity, 2.6)]
        )

    def _field(self, rng: np.random.Generator, length: float) -> FloatArray:
        k, j, i = (length / self.step[::-1]).tolist()
        return smooth_field(rng, self.label.shape, (k, j, i))

    def _box(self, shape: Shape, margin: float) -> tuple[slice, slice, slice]:
        reach = DEFORMATION_LIMIT + margin
        low = np.floor((shape.low - reach - self._first) / self.step).astype(int)
        high = np.ceil((shape.high + reach - self._first) / self.step).astype(int) + 1
        size = np.asarray(self.label.shape[::-1])
        low, high = np.clip(low, 0, size), np.clip(high, 0, size)
        i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return k, j, i

    def paint(
        self,
        shape: Shape,
        value: float,
        *,
        label: int | None = None,
        rough: float = 0.0,
        coarse: float = 0.0,
        fine: float = 0.0,
        soft: float = 1.0,
        opacity: float = 1.0,
        only: int | None = None,
    ) -> None:
        """Paint one solid over what is there.

        Args:
            shape: the solid, in undeformed patient mm.
            value: its intensity, 1 being the brightest tissue.
            label: code to write inside it (0 erases); None leaves labels alone.
            rough: standard deviation in mm of the unevenness of its surface.
            coarse: relative standard deviation of texture of about 9 mm.
            fine: relative standard deviation of texture of about 2.6 mm.
            soft: half width in mm of its edge in the image.
            opacity: 1 hides what was there before.
            only: change the image only where the label has this code.
        """
        if self.image is None and label is None:
            return
        box = self._box(shape, margin=3 * rough + soft)
        x, y, z = self.x[box], self.y[box], self.z[box]
        if x.size == 0:
            return
        distance = shape.distance(x, y, z)
        if rough:
            distance = distance + np.float32(rough) * np.clip(self.roughness[box], -3, 3)
        if label is not None:
            self.label[box][distance < 0] = label
        if self.image is None:
            return
        cover = np.clip(0.5 - distance / np.float32(2 * soft), 0, 1) * np.float32(opacity)
        if only is not None:
            cover *= self.label[box] == only
        tissue: FloatArray | np.float32 = np.float32(value)
        for amount, texture in zip((coarse, fine), self.textures, strict=True):
            if amount:
                tissue = tissue * (1 + np.float32(amount) * texture[box])
        target = self.image[box]
        target += cover * (tissue - target)
