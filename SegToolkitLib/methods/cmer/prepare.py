"""From registered volumes to the slices that the networks see, and the way back.

Slices are those across the coarsest axis. The authors start from 8-bit pictures of slices and do not say how
these were made; clipping to percentiles of what is not 0 is ours. Where each slice is standardised later,
only the clipping matters, not the scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.channels import on_one_grid
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.cases import slices_with
from SegToolkitLib.methods.cmer.normalise import volume_standardised
from SegToolkitLib.methods.cmer.plan import InputPlan
from SegToolkitLib.volume import Prepared, Resample, Step, Volume, check_finite, check_label, prepare
from SegToolkitLib.volume.slicewise import FitInPlane, SlicesLast


@dataclass(frozen=True)
class Stack:
    """Slices of all modalities.

    Attributes:
        volume: of the first modality, as given.
        prepared: of the first modality; knows the way back.
        pixels: float32 [Z, M, Y, X]; 0 to 1 where the plan clips and does not standardise the volume.
        constant: slices of one value, bool [Z, M]; nothing can be seen in them, whatever is padded around.
    """

    volume: Volume
    prepared: Prepared
    pixels: NDArray[np.float32]
    constant: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pixels)

    def label(self, label: Volume) -> NDArray[Any]:
        """A label on the input's grid as slices [Z, Y, X].

        Raises:
            SegToolkitError: "label-grid", "label-values".
        """
        return self.prepared.label(label).voxels

    def shown(self, label: Volume, values: Sequence[int]) -> NDArray[np.bool_]:
        """Which slices of a label, as it was drawn, hold one of the values [Z]: scaling may lose a pixel."""
        return slices_with(check_label(label, self.volume), values)

    def restore(self, maps: NDArray[np.float32]) -> Volume:
        """Maps [Z, Y, X] on the input's grid, interpolated; 0 where there were no pixels."""
        found = self.prepared.restore(self.prepared.volume.with_voxels(maps), label=False)
        return found.with_voxels(np.clip(found.voxels, 0, 1).astype(np.float32, copy=False))


def stacked(volumes: Mapping[str, Volume], plan: InputPlan, *, resample: bool = False) -> Stack:
    """Bring the modalities of a case to the plan's slices.

    Args:
        volumes: by modality, in the order of the networks.
        plan: of the model or the training.
        resample: bring the others onto the voxels of the first, where they lie on others.

    Raises:
        SegToolkitError: "colour-volume", "not-finite", "channel-grid", "no-overlap".
    """
    for volume in volumes.values():
        if volume.voxels.ndim != 3:
            raise SegToolkitError(
                "colour-volume",
                f"{volume.name or 'An image'} is a colour picture; one number a voxel is needed.",
                "Convert it to grey values.",
            )
    images = on_one_grid(
        {name: check_finite(one) for name, one in volumes.items()}, "this case", resample=resample
    )
    first = next(iter(images.values()))
    steps = _steps(first, plan)
    scaled = [_scaled(image, plan) for image in images.values()]
    prepared = [prepare(one, steps) for one in scaled]
    pixels = np.stack([one.volume.voxels for one in prepared], axis=1).astype(np.float32, copy=False)
    upright = [SlicesLast().apply(one)[0].voxels for one in scaled]
    constant = np.stack([one.max((1, 2)) == one.min((1, 2)) for one in upright], axis=1)
    return Stack(first, prepared[0], pixels, constant)


def _steps(volume: Volume, plan: InputPlan) -> list[Step]:
    steps: list[Step] = [SlicesLast()]
    if plan.size is None:
        return steps
    grid = SlicesLast().apply(volume)[0].grid
    side = max(grid.size[:2])
    steps.append(FitInPlane((side, side)))
    if side != plan.size:
        x, y = (spacing * side / plan.size for spacing in grid.spacing[:2])
        steps.append(Resample((x, y, None)))
    return steps


def _scaled(volume: Volume, plan: InputPlan) -> Volume:
    voxels = volume.voxels.astype(np.float32)
    shown = voxels != 0
    if plan.percentiles is not None:
        low, high = np.percentile(voxels[shown], plan.percentiles) if shown.any() else (0.0, 0.0)
        if high <= low:
            return volume.with_voxels(np.zeros_like(voxels))
        # In the voxels' own precision: what is clipped is 0, and not a little less than what is padded.
        low, high = np.float32(low), np.float32(high)
        voxels = (np.clip(voxels, low, high) - low) / (high - low)
    if plan.standardise == "volume":
        # In CT, 0 is water, and what is not the body has the least value.
        least = float(volume.voxels.min())
        voxels = volume_standardised(voxels, shown if least >= 0 else volume.voxels > least)
    return volume.with_voxels(voxels)
