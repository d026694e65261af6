"""What is done to the scores before they become labels: our own steps, each of which can be switched off.

Local prototypes compare appearance only, and the background that they know is that of the outlined slice.
So tissue of other slices that resembles neither gets the structure's label by a hair. Two checks mend
most of it: a voxel has to resemble the structure as much as the outline resembles itself, and in an
outlined volume a structure has to continue from slice to slice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

# Feature cells are 8 pixels wide, so borders jitter by a pixel or two whatever the slice distance.
LEAST_GROWTH_PIXELS = 1.5


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


def follow_structure(
    found: NDArray[np.bool_],
    slices: Sequence[int],
    outlines: Mapping[int, NDArray],
    reach: float,
) -> NDArray[np.bool_]:
    """Keep what continues from an outlined slice, slice by slice outwards.

    Args:
        found: voxels of the structure on the slices [n, H, W].
        slices: their numbers, ascending.
        outlines: outlined slice -> mask [H, W].
        reach: pixels by which the structure may grow from a slice to the next.

    Returns:
        The part of ``found`` that is left; a chain ends where nothing is left.
    """
    kept = np.zeros_like(found)
    anchors = sorted(outlines)
    nearest = {z: min(anchors, key=lambda anchor, z=z: (abs(anchor - z), anchor)) for z in slices}  # type: ignore[misc]
    place = {z: index for index, z in enumerate(slices)}
    for anchor in anchors:
        own = [z for z in slices if nearest[z] == anchor]
        if anchor in place:
            kept[place[anchor]] = found[place[anchor]]
        for chain in ([z for z in own if z > anchor], [z for z in reversed(own) if z < anchor]):
            before, mask = anchor, outlines[anchor] > 0
            for z in chain:
                if not mask.any():
                    break
                mask = found[place[z]] & (distance_transform_edt(~mask) <= reach * abs(z - before))
                kept[place[z]] = mask
                before = z
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
