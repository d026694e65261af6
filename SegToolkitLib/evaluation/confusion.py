"""One table of which class was taken for which, over many images, and the measures that rest on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError


@dataclass
class Confusion:
    """Counts of pixels by true and found class, gathered image by image.

    Unlike a mean over images, it weighs every pixel alike, and no image needs to show every class.

    Args:
        classes: their number, the background (class 0) included.

    Attributes:
        counts: [true class, found class].
    """

    classes: int
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.classes, self.classes), np.int64)

    def add(self, reference: NDArray[Any], result: NDArray[Any]) -> None:
        """Count an image, or many.

        Args:
            reference, result: whole numbers 0 to ``classes - 1`` of one shape.

        Raises:
            SegToolkitError: "shape", "bad-labels".
        """
        if reference.shape != result.shape:
            raise SegToolkitError(
                "shape",
                f"Label maps of the shapes {reference.shape} and {result.shape} cannot be compared.",
                "Use one grid.",
            )
        for one in (reference, result):
            if one.size and not 0 <= int(one.min()) <= int(one.max()) < self.classes:
                raise SegToolkitError(
                    "bad-labels",
                    f"Classes 0 to {self.classes - 1} are counted, but a label map has values from"
                    f" {int(one.min())} to {int(one.max())}.",
                    "Check the label map.",
                )
        pairs = reference.astype(np.int64).ravel() * self.classes + result.ravel()
        self.counts += np.bincount(pairs, minlength=self.classes**2).reshape(self.counts.shape)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class [classes]; NaN where neither reference nor result has it."""
        both = np.diag(self.counts)
        union = self.counts.sum(0) + self.counts.sum(1) - both
        return np.where(union > 0, both / np.maximum(union, 1), np.nan)

    @property
    def dice(self) -> NDArray[np.float64]:
        """DSC of each class [classes]; NaN where neither reference nor result has it."""
        both = np.diag(self.counts)
        sizes = self.counts.sum(0) + self.counts.sum(1)
        return np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the classes that occur, the background included; NaN where nothing was added."""
        found = self.iou
        there = ~np.isnan(found)
        return float(found[there].mean()) if there.any() else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of pixels that have their true class; NaN where nothing was added."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts) / total) if total else float("nan")
