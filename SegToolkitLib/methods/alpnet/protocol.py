"""The authors' test protocol: which slices are shown, which example a slice is given, how a scan is scored.

Source: Ouyang et al., ECCV 2020, section 4.1, and the released validation script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError


@dataclass(frozen=True)
class ScanScores:
    """Scores of one structure in one scan, 0 to 1; NaN where the measure has no value.

    Attributes:
        dice: 2TP / (2TP + FP + FN); NaN if both are empty.
        precision: TP / (TP + FP); NaN if nothing was predicted.
        recall: TP / (TP + FN); NaN if the truth is empty.
    """

    dice: float
    precision: float
    recall: float


def support_slices(slices_with_organ: Sequence[int], parts: int = 3) -> list[int]:
    """Choose one example slice for each part of the organ: the middle of each third, for three parts.

    Args:
        slices_with_organ: slice indices of the support scan that hold the organ.
        parts: number of parts (chunks); odd.

    Returns:
        ``parts`` slice indices, from the first part to the last; slices repeat in a short organ.

    Raises:
        SegToolkitError: an even number of parts, or no slice with the organ.
    """
    if parts < 1 or parts % 2 == 0:
        raise SegToolkitError("parts", f"{parts} parts were asked for.", "Choose an odd number, such as 3.")
    ascending = sorted(int(one) for one in slices_with_organ)
    if not ascending:
        raise SegToolkitError(
            "empty-support", "The support scan does not hold the organ.", "Choose a support scan that does."
        )
    step = (1 - 1 / parts) / (parts - 1) if parts > 1 else 0.0
    # The order of operations is the authors': a rounding error here would choose another slice.
    return [ascending[int((1 / (parts * 2) + step * part) * len(ascending))] for part in range(parts)]


def chunk_of(z: int, zmin: int, zmax: int, parts: int = 3) -> int:
    """Return the part (chunk), 0 to ``parts - 1``, of query slice ``z``.

    Args:
        z: slice index; may lie outside the range and then belongs to the nearest part.
        zmin: first slice of the structure.
        zmax: last slice of the structure; equal to ``zmin`` puts every slice in part 0.
        parts: number of parts.
    """
    if zmax == zmin:
        return 0
    return min(max(math.floor((z - zmin) / ((zmax - zmin) / parts)), 0), parts - 1)


def scan_scores(pred: NDArray[Any], truth: NDArray[Any]) -> ScanScores:
    """Score one structure in one scan, counting voxels over all slices given.

    Args:
        pred: binary prediction, any shape, usually [z, row, column] of the scored slices.
        truth: binary truth of the same shape.

    Raises:
        SegToolkitError: the shapes differ.
    """
    if pred.shape != truth.shape:
        raise SegToolkitError(
            "shape", f"Prediction {pred.shape} and truth {truth.shape} differ in shape.", "Score on one grid."
        )
    positive, real = pred.astype(bool), truth.astype(bool)
    hits = int(np.count_nonzero(positive & real))
    predicted, present = int(np.count_nonzero(positive)), int(np.count_nonzero(real))
    return ScanScores(
        dice=_ratio(2 * hits, predicted + present),
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, present),
    )


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
