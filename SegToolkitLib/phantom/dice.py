"""The random choices that make one patient differ from another."""

from __future__ import annotations

import numpy as np

from SegToolkitLib.phantom.shapes import Point


class Dice:
    """Random numbers in the forms that the anatomy needs."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def between(self, low: float, high: float) -> float:
        """A number between ``low`` and ``high``, all equally likely."""
        return float(self.rng.uniform(low, high))

    def near(self, point: Point, spread: float) -> Point:
        """A point whose coordinates scatter around ``point`` by ``spread`` mm, and by at most twice that."""
        x, y, z = np.asarray(point) + np.clip(self.rng.normal(0, spread, 3), -2 * spread, 2 * spread)
        return float(x), float(y), float(z)

    def sized(self, radii: Point, spread: float = 0.05) -> Point:
        """Half axes in mm scaled by a common factor of standard deviation ``spread``, and a little each."""
        common = 1 + float(np.clip(self.rng.normal(0, spread), -2 * spread, 2 * spread))
        x, y, z = np.asarray(radii) * common * (1 + self.rng.uniform(-0.05, 0.05, 3))
        return float(x), float(y), float(z)
