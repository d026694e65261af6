"""What few-shot segmentation gives back, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.volume import Segmentation, Volume

# Smaller probabilities are no doubt: the many background voxels of a slice would drown the rest.
LEAST_DOUBT = 0.1
# The thin ends of a structure, and of what was mistaken for it, are unsure: outlining those helps little.
WORTH_OUTLINING = 0.25


@dataclass(frozen=True)
class FewShotResult:
    """What comes back for one query.

    Attributes:
        segmentation: labels 1..K on the query's grid, named after the structures.
        make_confidence: makes ``confidence``, which is a volume of work that not everybody needs.
        confidence: probability (0..1, float32) of the label shown at each voxel. Below 0.5 where the
            network found a structure and our rules (``reject``, ``follow``, ``keep_largest``) took it
            away; 0 where nothing was computed (outside the slice range).
        slice_confidence: of each computed slice, 0..1; see :func:`slice_confidence`.
        next_slice: the least certain slice without an outline, among those that show a good part of a
            structure; None where there is none. If no structure is there in truth, give its range.
        axis: 0, 1 or 2: the axis i, j or k of the query along which slices are counted.
        notes: sentences about choices the person should know of.
    """

    segmentation: Segmentation
    make_confidence: Callable[[], Volume]
    slice_confidence: dict[int, float]
    next_slice: int | None
    axis: int
    notes: tuple[str, ...] = ()

    @cached_property
    def confidence(self) -> Volume:
        """The confidence map on the query's grid; made when it is first asked for."""
        return self.make_confidence()

    @property
    def labels(self) -> Volume:
        """The label map on the query's grid."""
        return self.segmentation.labels


def slice_confidence(
    probability: NDArray, masks: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How sure each slice is, and whether it shows enough to be worth an outline.

    The doubt of a slice is the number of voxels that are expected to be wrong, were the probabilities
    true; what our own rules took away counts in full. It is weighed against the structure's area there
    (or on the neighbouring slices), so that 0.5 means as much doubt as structure.

    Args:
        probability: of each structure against its background, 0..1 [K, n, H, W].
        masks: where each was labelled [K, n, H, W].

    Returns:
        Lowest confidence over the structures, 0..1 [n]; and whether some structure has at least a
        quarter of its largest area there [n].
    """
    depth = masks.shape[1]
    lowest, worth = np.ones(depth), np.zeros(depth, dtype=bool)
    for likely, mask in zip(probability, masks, strict=True):
        area = mask.sum((1, 2)).astype(float)
        around = np.maximum(area, np.maximum(np.append(area[1:], 0), np.append(0, area[:-1])))
        doubt = np.array([_doubt(likely[z].astype(np.float32), mask[z]) for z in range(depth)])
        usual = float(np.median(area[area > 0])) if area.any() else 1.0
        reference = np.where(around > 0, around, usual)
        lowest = np.minimum(lowest, reference / (reference + doubt))
        worth |= (area > 0) & (area >= WORTH_OUTLINING * area.max())
    return lowest, worth


def _doubt(likely: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Expected number of wrong voxels of a slice; the far background's small change is left out."""
    wrong = np.where(mask, 1 - likely, likely)
    return float(wrong[wrong > LEAST_DOUBT].sum())


def as_drawn(
    result: FewShotResult,
    drawn: Sequence[Mapping[str, Mapping[int, NDArray]]],
    numbers: Mapping[str, int],
) -> FewShotResult:
    """Put outlines back as they were drawn, on the slices where they were drawn.

    Args:
        result: for the outlined volume.
        drawn: for each source, structure -> slice -> mask in the volume's own voxels.
        numbers: label of each structure.
    """
    if not drawn:
        return result
    voxels = result.labels.voxels.copy()
    by_slice = np.moveaxis(voxels, 2 - result.axis, 0)
    settled: list[tuple[int, NDArray]] = []
    for outlines in drawn:
        for name, number in numbers.items():
            for z, mask in outlines.get(name, {}).items():
                plane = by_slice[z]
                undone = (plane == number) & ~mask
                plane[undone] = 0
                plane[mask] = number
                settled.append((z, mask | undone))

    def sure() -> Volume:
        values = result.confidence.voxels.copy()
        sure_by_slice = np.moveaxis(values, 2 - result.axis, 0)
        for z, where in settled:
            sure_by_slice[z][where] = 1
        return result.confidence.with_voxels(values)

    return replace(
        result,
        segmentation=Segmentation(result.labels.with_voxels(voxels), result.segmentation.segments),
        make_confidence=sure,
    )
