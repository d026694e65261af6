"""From a volume to the slices that the networks see, and results back onto the volume's own grid.

Slices lie along the coarsest axis and keep the order in which they were stored; pixels get the plan's
spacing, the slice distance stays.
Source: released preparation script and loader of cooperative training; permuted volumes and the way back are
ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from SegToolkitLib.methods.cooperative.plan import InputPlan
from SegToolkitLib.volume import ClipPercentile, Prepared, Step, Volume, check_finite, onto_grid, prepare
from SegToolkitLib.volume.grid import Grid
from SegToolkitLib.volume.lattice import sub_grid
from SegToolkitLib.volume.slicewise import FitInPlane, SlicesLast, rescaled_slices

Found = dict[str, Any]
# Of the range that a volume is divided by.
EPSILON = 1e-10


@dataclass(frozen=True)
class RemoveBias:
    """N4 bias field correction of all that is brighter than ``above``; the release has it, switched off.

    The field is smooth: about ``pixels`` x ``pixels`` of each slice show it, and all would take minutes.
    """

    above: float = 1e-3
    pixels: int = 56
    geometric: ClassVar[bool] = False

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume without its bias field, float32; as it is where nothing is bright enough."""
        image = volume.with_voxels(volume.voxels.astype(np.float32)).to_sitk()
        # Of a single slice there is no field along the third axis.
        image = image[:, :, 0] if volume.grid.size[2] == 1 else image
        steps = [max(1, round(n / self.pixels)) for n in volume.grid.size[:2]] + [1]
        coarse = sitk.Shrink(image, steps[: image.GetDimension()])
        mask = coarse > self.above
        if not sitk.GetArrayViewFromImage(mask).any():
            return volume, {}
        filter_ = sitk.N4BiasFieldCorrectionImageFilter()
        filter_.Execute(coarse, mask)
        corrected = image / sitk.Exp(filter_.GetLogBiasFieldAsImage(image))
        array = sitk.GetArrayFromImage(corrected).astype(np.float32)
        return volume.with_voxels(array.reshape(volume.shape)), {"shrunk": steps}


@dataclass(frozen=True)
class ScalePercentiles:
    """Clip to two percentiles of the whole volume and map them to 0 and 1; float32.

    Raises:
        SegToolkitError: "bad-window".
    """

    low: float = 2.0
    high: float = 98.0
    geometric: ClassVar[bool] = False

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume scaled; its percentiles are in the history."""
        exact = volume.with_voxels(volume.voxels.astype(np.float32))
        clipped, found = ClipPercentile(self.high, self.low).apply(exact)
        span = found["high"] - found["low"] + EPSILON
        return clipped.with_voxels((clipped.voxels - np.float32(found["low"])) / np.float32(span)), found


@dataclass(frozen=True)
class ResampleInPlane:
    """Give the pixels of slices along k another spacing; the slice distance and the first voxel stay.

    Images are interpolated linearly, labels take the nearest value, as released. What lies more than half a
    pixel beyond the last row or column is 0.
    """

    spacing: float
    geometric: ClassVar[bool] = True

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume on the new grid."""
        grid, old = self.grid(volume.grid), volume.grid
        found = {"from": list(old.spacing)}
        if grid.same(old):
            return volume, found
        if not label:
            return onto_grid(volume, grid, label=False), found
        rows, columns = (
            _nearest(old.size[axis], grid.size[axis], self.spacing / old.spacing[axis]) for axis in (1, 0)
        )
        # A place beyond the last pixel has the index of the border that is added here.
        bordered = np.pad(volume.voxels, ((0, 0), (0, 1), (0, 1)))
        voxels = bordered[:, rows[:, None], columns]
        return Volume(voxels, grid.spacing, grid.origin, grid.direction, volume.name), found

    def grid(self, old: Grid) -> Grid:
        """The grid that results from ``old``."""
        columns, rows = (max(1, round(old.size[axis] * old.spacing[axis] / self.spacing)) for axis in (0, 1))
        spacing = (self.spacing, self.spacing, old.spacing[2])
        return Grid((old.shape[0], rows, columns), spacing, old.origin, old.direction, old.name)


def _nearest(old: int, new: int, step: float) -> NDArray[np.intp]:
    """Index of the pixel nearest to each new one, of two the later; ``old`` where there is none."""
    return np.minimum(np.floor(np.arange(new) * step + 0.5), old).astype(np.intp)


@dataclass(frozen=True)
class Stack:
    """Slices of a volume as the networks see them.

    Attributes:
        volume: the input.
        prepared: the steps taken, which can be undone.
        upright: the input's grid with its slices along k.
        pixels: float32 [slices, rows, columns], 0 to 1.
    """

    volume: Volume
    prepared: Prepared
    upright: Grid
    pixels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pixels)

    def label(self, label: Volume) -> NDArray[Any]:
        """A label on the input's grid as slices [slices, rows, columns].

        Raises:
            SegToolkitError: "label-grid", "label-values".
        """
        return self.prepared.label(label).voxels

    def restore(self, values: NDArray[Any], *, label: bool = True) -> Volume:
        """Values [slices, rows, columns] on the input's grid; 0 where the slices were cropped.

        Labels travel slice by slice: thick slices must not smooth each other's outlines. (Of ACDC labels that
        went to the plan's pixels and back, at 0.8 to 1.1 mm, Dice is up to 0.015 higher so.)

        Args:
            values: whole numbers if ``label``.
            label: False for maps of numbers, which are interpolated as such.
        """
        result = self.prepared.volume.with_voxels(values)
        if not label:
            return self.prepared.restore(result, label=False)
        whole, source = self.upright, result.grid
        parts = []
        for k in range(len(values)):
            here, there = (sub_grid(grid, (0, 0, k), (*grid.size[:2], 1)) for grid in (source, whole))
            plane = Volume(values[k : k + 1], here.spacing, here.origin, here.direction)
            parts.append(onto_grid(plane, there, label=True, smooth=True).voxels)
        upright = Volume(
            np.concatenate(parts), whole.spacing, whole.origin, whole.direction, self.volume.name
        )
        return onto_grid(upright, self.volume, label=True)


def stacked(volume: Volume, plan: InputPlan, *, crop: bool = True) -> Stack:
    """Bring a volume to the plan's grid and intensities.

    Args:
        volume: any spacing and orientation.
        plan: of the model or of the training.
        crop: False leaves the slices at their size and in the volume's intensities, for a training that
            changes, crops and rescales them itself.

    Raises:
        SegToolkitError: "colour-volume", "not-finite".
    """
    steps: list[Step] = [SlicesLast()]
    if plan.n4:
        steps.append(RemoveBias())
    steps.append(ScalePercentiles(*plan.percentiles))
    if plan.spacing_mm is not None:
        steps.append(ResampleInPlane(plan.spacing_mm))
    if crop:
        steps.append(FitInPlane((plan.crop, plan.crop)))
    prepared = prepare(check_finite(volume), steps)
    pixels = prepared.volume.voxels
    if crop and plan.rescale == "slice":
        pixels = rescaled_slices(pixels)
    return Stack(volume, prepared, SlicesLast().apply(volume)[0].grid, pixels)
