"""Implicit shapes: a signed distance (approximate, negative inside) and the box that holds it.

Coordinates are those of the reference patient in mm: x to the patient's left, y to the front, z to the head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.phantom.fields import FloatArray

Distance = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Shape:
    """A solid: ``distance(x, y, z)`` in mm, below 0 inside, and the corners of a box around it in mm."""

    distance: Distance
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def without(self, other: Shape, gap: float = 0.0, blend: float = 0.0) -> Shape:
        """This solid minus ``other`` grown by ``gap`` mm, its new edges rounded by about ``blend`` mm."""
        return Shape(
            lambda x, y, z: -_smooth_min(-self.distance(x, y, z), other.distance(x, y, z) - gap, blend),
            self.low,
            self.high,
        )

    def within(self, other: Shape, gap: float = 0.0, blend: float = 0.0) -> Shape:
        """The part at least ``gap`` mm inside ``other``, its new edges rounded by about ``blend`` mm."""
        return Shape(
            lambda x, y, z: -_smooth_min(-self.distance(x, y, z), -other.distance(x, y, z) - gap, blend),
            np.maximum(self.low, other.low),
            np.minimum(self.high, other.high),
        )

    def joined(self, other: Shape, blend: float) -> Shape:
        """The union of both, with a fillet of about ``blend`` mm where they meet."""
        return Shape(
            lambda x, y, z: _smooth_min(self.distance(x, y, z), other.distance(x, y, z), blend),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    def grown(self, by: float) -> Shape:
        """This solid with its surface moved outwards by ``by`` mm (inwards when negative)."""
        return Shape(lambda x, y, z: self.distance(x, y, z) - by, self.low - by, self.high + by)


def _smooth_min(a: FloatArray, b: FloatArray, blend: float) -> FloatArray:
    """The smaller of both, made smooth (from below) where they differ by less than ``blend``."""
    low = np.minimum(a, b)
    if blend <= 0:
        return np.asarray(low)
    overlap = np.maximum(np.float32(blend) - np.abs(a - b), 0)
    return np.asarray(low - overlap * overlap / np.float32(4 * blend))


def ellipsoid(centre: Point, radii: Point, turn: float = 0.0, tilt: float = 0.0) -> Shape:
    """An ellipsoid with half axes ``radii`` mm.

    Args:
        centre: x, y, z in mm.
        radii: half axes along x, y, z in mm, before the rotations.
        turn: degrees in the axial plane, from x (left) towards y (front).
        tilt: degrees in the coronal plane, applied first, from x (left) towards z (head).
    """
    a, b = np.deg2rad([turn, tilt])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    rotation = about_z @ about_y
    r = np.asarray(radii, dtype=np.float64)
    to_unit = (rotation.T / r[:, None]).astype(np.float32)
    c = np.asarray(centre, dtype=np.float64)
    extent = np.sqrt(((rotation * r) ** 2).sum(axis=1))
    # |q| - 1 is dimensionless; the smallest half axis turns it into mm where the surface is flattest.
    scale = np.float32(r.min())

    def distance(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        dx, dy, dz = x - np.float32(c[0]), y - np.float32(c[1]), z - np.float32(c[2])
        square = np.zeros(np.broadcast(dx, dy, dz).shape, dtype=np.float32)
        for row in to_unit:
            square += (row[0] * dx + row[1] * dy + row[2] * dz) ** 2
        return np.asarray((np.sqrt(square) - 1) * scale)

    return Shape(distance, c - extent, c + extent)


def tube(points: Sequence[Point], radius: float) -> Shape:
    """A round tube of ``radius`` mm along a chain of points; one point makes a ball."""
    chain = np.asarray(points, dtype=np.float64)
    pairs = list(pairwise(chain)) or [(chain[0], chain[0])]

    def distance(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        nearest: FloatArray | None = None
        for a, b in pairs:
            ax, ay, az = (np.float32(v) for v in a)
            dx, dy, dz = (np.float32(v) for v in b - a)
            px, py, pz = x - ax, y - ay, z - az
            norm = max(float(dx * dx + dy * dy + dz * dz), 1e-6)
            t = np.clip((px * dx + py * dy + pz * dz) / np.float32(norm), 0, 1)
            square = (px - t * dx) ** 2 + (py - t * dy) ** 2 + (pz - t * dz) ** 2
            nearest = square if nearest is None else np.minimum(nearest, square)
        assert nearest is not None
        return np.asarray(np.sqrt(nearest) - np.float32(radius))

    return Shape(distance, chain.min(axis=0) - radius, chain.max(axis=0) + radius)
