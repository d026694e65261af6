"""What is done to the scores before they become labels: our own steps, each of which can be switched off.

Local prototypes compare appearance only, and the background that they know is that of the outlined slice.
So tissue of other slices that resembles neither gets the structure's label by a hair. Two checks mend
most of it: a voxel has to resemble the structure as much as the outline resembles itself, and in an
outlined volume a structure has to continue from slice to slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

# Feature cells are 8 pixels wide, so borders jitter by a pixel or two whatever the slice distance.
LEAST_GROWTH_PIXELS = 1.5
# Where a structure ends; chosen on CHAOS volumes, see docs/few-shot.md and Testing/own_outlines.py.
END_STEP_MM = 6.0
END_CHANGE_PER_MM = 0.045
END_DOUBT = 0.1
LEAST_REDRAWN = 0.8


def reject_unlike(scores: Tensor, floor: float) -> Tensor:
    """Let the background win where the foreground score is below what the outline itself scores.

    Args:
        scores: background and foreground score [B, 2, H, W].
        floor: least foreground score.

    Returns:
        Scores in which the foreground is below the background by as much as it is below the floor.
    """
    background, foreground = scores[:, 0], scores[:, 1]
    rejected = torch.minimum(foreground, background) - (floor - foreground)
    return torch.stack([background, torch.where(foreground < floor, rejected, foreground)], dim=1)


@dataclass(frozen=True)
class Ends:
    """Tells where a structure ends beyond its outermost outlines: other tissue that looks like it takes over
    little by little, but then shape and place change faster, and the network is less sure.

    All of it rests on what the network finds on the outlined slice; where that is not the outline, on images
    unlike those that it was trained on, it tells nothing.

    Attributes:
        probability: of the structure against its background on the slices, 0..1 [n, H, W].
        slice_mm: distance of neighbouring slices.
        step_mm: a slice is compared with the last one that is at least so far nearer to the outline.
        change_per_mm: share of both (intersection over union) that may get lost a mm.
        doubt: that the mean probability of the structure's voxels may fall below that on the outlined slice.
        redrawn: least share of outline and result (intersection over union) on one of the outlined slices.
    """

    probability: NDArray[np.float16]
    slice_mm: float
    step_mm: float = END_STEP_MM
    change_per_mm: float = END_CHANGE_PER_MM
    doubt: float = END_DOUBT
    redrawn: float = LEAST_REDRAWN

    def known(self, found: Iterable[NDArray[np.bool_]], outlines: Iterable[NDArray[np.bool_]]) -> bool:
        """Whether the network finds the structure well enough to tell where it ends.

        Args:
            found: on the outlined slices, by the network [H, W].
            outlines: drawn there [H, W].
        """
        pairs = zip(found, outlines, strict=True)
        return any(_shared(one, outline) >= self.redrawn for one, outline in pairs)

    def reached(self, steps: Sequence[tuple[int, NDArray[np.bool_]]], index: int, outlined: float) -> bool:
        """Whether the last step is beyond the end.

        Args:
            steps: slices and masks [H, W], from the outlined slice outwards.
            index: of the last one.
            outlined: :meth:`sure` of what is found on the outlined slice.
        """
        z, mask = steps[-1]
        if self.sure(index, mask) < outlined - self.doubt:
            return True
        for before, other in reversed(steps[:-1]):
            distance = abs(z - before) * self.slice_mm
            if distance >= self.step_mm:
                return _shared(mask, other) < 1 - self.change_per_mm * distance
        return False

    def sure(self, index: int, mask: NDArray[np.bool_]) -> float:
        """Mean probability of a mask; NaN without a voxel."""
        return float(self.probability[index][mask].mean(dtype=np.float64)) if mask.any() else np.nan


def _shared(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum()) / max(1, int((one | other).sum()))


def follow_structure(
    found: NDArray[np.bool_],
    slices: Sequence[int],
    outlines: Mapping[int, NDArray],
    reach: float,
    ends: Ends | None = None,
) -> NDArray[np.bool_]:
    """Keep what continues from an outlined slice, slice by slice outwards.

    Args:
        found: voxels of the structure on the slices [n, H, W].
        slices: their numbers, ascending; a preview may lack the outlined ones, and is followed to no end.
        outlines: outlined slice -> mask [H, W].
        reach: pixels by which the structure may grow from a slice to the next.
        ends: tells where it ends; asked beyond the first and the last outline alone, since between two
            outlines it goes on. None follows it as far as something is found.

    Returns:
        The part of ``found`` that is left; a chain ends where nothing is left.
    """
    kept = np.zeros_like(found)
    anchors = sorted(outlines)
    nearest = {z: min(anchors, key=lambda anchor, z=z: (abs(anchor - z), anchor)) for z in slices}  # type: ignore[misc]
    place = {z: index for index, z in enumerate(slices)}
    there = [z for z in anchors if z in place]
    if ends and not ends.known((found[place[z]] for z in there), (outlines[z] > 0 for z in there)):
        ends = None
    for anchor in anchors:
        own, start, sure = [z for z in slices if nearest[z] == anchor], place.get(anchor), np.nan
        if start is not None:
            kept[start] = found[start]
            sure = ends.sure(start, found[start]) if ends else np.nan
        for chain in ([z for z in own if z > anchor], [z for z in reversed(own) if z < anchor]):
            outside = bool(chain) and not anchors[0] <= chain[0] <= anchors[-1]
            steps = [(anchor, outlines[anchor] > 0)]
            for z in chain:
                before, mask = steps[-1]
                if not mask.any():
                    break
                mask = found[place[z]] & (distance_transform_edt(~mask) <= reach * abs(z - before))
                steps.append((z, mask))
                if ends and outside and ends.reached(steps, place[z], sure):
                    break
                kept[place[z]] = mask
    return kept


def growth_reach(spacing: Sequence[float], slope: float) -> float:
    """Pixels of growth a slice for a slope in mm in plane per mm between slices; spacing (i, j, k) in mm."""
    return max(slope * spacing[2] / min(spacing[0], spacing[1]), LEAST_GROWTH_PIXELS)


def resolve(foreground: NDArray, masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """One label map from masks that may overlap: the highest foreground score wins.

    Args:
        foreground: scores of the structures [K, n, H, W].
        masks: where each may be [K, n, H, W].

    Returns:
        Index of the structure + 1, or 0 [n, H, W].
    """
    labels = np.zeros(masks.shape[1:], dtype=np.uint8)
    best = np.full(masks.shape[1:], -np.inf, dtype=np.float32)
    for index in range(len(masks)):
        better = masks[index] & (foreground[index] > best)
        labels[better] = index + 1
        best[better] = foreground[index][better]
    return labels
