"""What few-shot segmentation gives back, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.volume import Segmentation, Volume


@dataclass(frozen=True)
class FewShotResult:
    """What comes back for one query.

    Attributes:
        segmentation: labels 1..K on the query's grid, named after the structures.
        confidence: probability (0..1, float32) of the label shown at each voxel; 0 where nothing was
            computed (outside the slice range).
        slice_confidence: expected Dice (0..1) of each computed slice.
        next_slice: the slice that would profit most from an outline, or None where every computed
            slice is outlined.
        axis: 0, 1 or 2: the axis i, j or k of the query along which slices are counted.
        notes: sentences about choices the person should know of.
    """

    segmentation: Segmentation
    confidence: Volume
    slice_confidence: dict[int, float]
    next_slice: int | None
    axis: int
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> Volume:
        """The label map on the query's grid."""
        return self.segmentation.labels


def expected_dice(probability: NDArray, labels: NDArray) -> float:
    """Expected Dice of a slice, were the probabilities true: 2 sum_S p / (|S| + sum p).

    Args:
        probability: of each structure [K, H, W].
        labels: 0..K [H, W].

    Returns:
        Lowest value over the structures; 1 for one that is absent with certainty.
    """
    worst = 1.0
    for index, likely in enumerate(probability.astype(np.float32)):
        chosen = labels == index + 1
        mass = float(likely.sum())
        # One pixel on both sides: a slice with nothing found and no doubt counts as certain.
        worst = min(worst, (2 * float(likely[chosen].sum()) + 1) / (float(chosen.sum()) + mass + 1))
    return worst
