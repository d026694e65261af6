"""How far two label maps overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError


@dataclass(frozen=True)
class Overlaps:
    """Voxels of each label in two maps; arrays [labels], in the order asked for.

    Attributes:
        a, b: voxels of the label in either map.
        both: voxels that have the label in both.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    both: NDArray[np.int64]

    def dice(self, both_empty: float = 1.0) -> NDArray[np.float64]:
        """DSC = 2 both / (a + b) of each label [labels]; ``both_empty`` where neither map has it."""
        whole = self.a + self.b
        scores: NDArray[np.float64] = np.where(whole > 0, 2 * self.both / np.maximum(whole, 1), both_empty)
        return scores


def overlaps(a: NDArray[Any], b: NDArray[Any], labels: Sequence[int]) -> Overlaps:
    """Count the labels of two maps, all in one pass.

    Args:
        a, b: whole numbers from 0 on, of one shape, any axis order.
        labels: values to count.

    Raises:
        SegToolkitError: "shape": the maps differ in shape; "bad-labels": values below 0.
    """
    if a.shape != b.shape:
        raise SegToolkitError(
            "shape", f"Label maps of the shapes {a.shape} and {b.shape} cannot be compared.", "Use one grid."
        )
    for one in (a, b):
        if one.dtype.kind not in "uib" or (one.dtype.kind == "i" and one.size and int(one.min()) < 0):
            raise SegToolkitError(
                "bad-labels", "Labels must be whole numbers from 0 on.", "Check the label map."
            )
    least = max(labels, default=0) + 1
    wanted = np.asarray(labels, dtype=np.int64)
    same = a[a == b]
    counts = (np.bincount(one.ravel(), minlength=least)[wanted] for one in (a, b, same))
    return Overlaps(*counts)
