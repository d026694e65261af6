"""A volume as the stack of slices that the network sees, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.data import Normalisation
from SegToolkitLib.models.card import Preprocessing
from SegToolkitLib.volume import (
    ClipPercentile,
    CropBox,
    Prepared,
    Reorient,
    Resample,
    Volume,
    Window,
    check_label,
    onto_grid,
    prepare,
)
from SegToolkitLib.volume.grid import Shape
from SegToolkitLib.volume.lattice import sub_grid

Plane = Literal["acquired", "axial", "coronal", "sagittal"]

# The anatomical pair of letters that names the slice axis of a plane.
_SLICE_LETTERS = {"axial": "SI", "coronal": "AP", "sagittal": "LR"}


@dataclass(frozen=True)
class SliceStack:
    """Slices of one volume in the network's orientation and pixel size.

    Slice n of the stack is slice n of the volume along ``axis``: the slice axis is neither flipped nor
    resampled.

    Attributes:
        volume: the input.
        prepared: the steps taken, which can be undone.
        pixels: z-scored, float32 [n, H, W].
        axis: 0, 1 or 2: the axis i, j or k of the input along which slices are counted.
    """

    volume: Volume
    prepared: Prepared
    pixels: NDArray[np.float32]
    axis: int

    def __len__(self) -> int:
        return len(self.pixels)

    def label(self, label: Volume, slices: Sequence[int] | None = None) -> NDArray:
        """A label on the input's grid as slices: all of them [n, H, W], or the named ones in that order."""
        if slices is None:
            return self.prepared.label(label).voxels
        whole = check_label(label, self.volume)
        return np.concatenate([self._label_slice(whole, z) for z in slices])

    def _label_slice(self, label: Volume, z: int) -> NDArray:
        """One slice [1, H, W]: no step moves anything across slices, so the others need no work."""
        start, stop = [0, 0, 0], list(label.grid.size)
        start[self.axis], stop[self.axis] = z, z + 1
        cut, _ = CropBox(_triple(start), _triple(stop)).apply(label, label=True)
        for step in self.prepared.steps:
            if step.geometric:
                cut, _ = step.apply(cut, label=True)
        return cut.voxels

    def check_range(self, bounds: tuple[int, int] | None) -> tuple[int, int] | None:
        """The range (first and last slice) itself, if it fits the volume; None stays None.

        Raises:
            SegToolkitError: "bad-range".
        """
        if bounds is None:
            return None
        first, last = bounds
        if not 0 <= first <= last < len(self):
            raise SegToolkitError(
                "bad-range",
                f"The slice range {first} to {last} does not fit {self.volume.name or 'the volume'},"
                f" which has slices 0 to {len(self) - 1}.",
                "Give the first and the last slice that hold the structure, counted from 0.",
            )
        return first, last

    def slices_in(self, bounds: tuple[int, int] | None) -> range:
        """Slices from the first to the last of a range; all for None."""
        return range(len(self)) if bounds is None else range(bounds[0], bounds[1] + 1)

    def check_choice(self, only: Sequence[int], among: Sequence[int]) -> list[int]:
        """The chosen slices, ascending, if all of them are among the others.

        Raises:
            SegToolkitError: "bad-range".
        """
        outside = [z for z in only if z not in among]
        if outside or not only:
            text = f"Slice {outside[0]} is not one" if outside else "No slice is chosen"
            raise SegToolkitError(
                "bad-range",
                f"{text} of the slices {among[0]} to {among[-1]} that are to be segmented.",
                "Choose among these, counted from 0.",
            )
        return sorted(set(only))

    def restore(self, values: NDArray, slices: Sequence[int], *, label: bool) -> Volume:
        """Values [n, H, W] of n slices, ascending, as a volume on the input's grid; 0 on its other slices.

        Only the slices between the first and the last of them take work.
        """
        first, count = slices[0], slices[-1] + 1 - slices[0]
        block = np.zeros((count, *values.shape[1:]), values.dtype)
        block[[z - first for z in slices]] = values
        if count == len(self):
            return self.prepared.restore(self.prepared.volume.with_voxels(block), label=label)
        prepared, whole = self.prepared.volume.grid, self.volume.grid
        source = sub_grid(prepared, (0, 0, first), (*prepared.size[:2], count))
        start, size = [0, 0, 0], list(whole.size)
        start[self.axis], size[self.axis] = first, count
        target = sub_grid(whole, _triple(start), _triple(size))
        part = Volume(block, source.spacing, source.origin, source.direction, self.volume.name)
        restored = onto_grid(part, target, label=label, smooth=label).voxels
        voxels = np.zeros(whole.shape, restored.dtype)
        along = 2 - self.axis
        np.moveaxis(voxels, along, 0)[first : first + count] = np.moveaxis(restored, along, 0)
        return self.volume.with_voxels(voxels)


def to_slices(volume: Volume, preprocessing: Preprocessing, plane: Plane = "acquired") -> SliceStack:
    """Bring a volume to the slices that a model was trained on.

    Args:
        volume: any spacing and orientation.
        preprocessing: of the model's card.
        plane: "acquired" takes the axis with the coarsest spacing (the axial one if two are equal).

    Raises:
        SegToolkitError: the volume has colour, or all its voxels are equal.
    """
    if volume.voxels.ndim != 3:
        raise SegToolkitError(
            "colour-image",
            f"{volume.name or 'The image'} has {volume.voxels.shape[-1]} colour channels.",
            "Convert it to grey values first.",
        )
    axis = slice_axis(volume, plane)
    code = _orientation(volume.orientation, axis, preprocessing.orientation)
    steps: list = [Reorient(code)]
    if preprocessing.window is not None:
        steps.append(Window(*preprocessing.window))
    if preprocessing.clip_top is not None:
        steps.append(ClipPercentile(preprocessing.clip_top))
    in_plane = preprocessing.spacing[:2]
    if any(value is not None for value in in_plane):
        steps.append(Resample((in_plane[0], in_plane[1], None)))
    prepared = prepare(volume, steps)
    normalise = Normalisation(preprocessing.modality, preprocessing.mean, preprocessing.std)
    return SliceStack(volume, prepared, normalise(prepared.volume.voxels, volume.name), axis)


def slice_axis(volume: Volume, plane: Plane) -> int:
    """Axis of the input (0 = i, 1 = j, 2 = k) along which the slices of a plane are counted."""
    letters = volume.orientation
    if plane != "acquired":
        return next(axis for axis in range(3) if letters[axis] in _SLICE_LETTERS[plane])
    axial = next(axis for axis in range(3) if letters[axis] in _SLICE_LETTERS["axial"])
    # A picture has one slice along k, whatever its orientation says.
    thin = [axis for axis in range(3) if volume.voxels.shape[2 - axis] == 1]
    if thin:
        return thin[-1]
    coarsest = max(volume.spacing)
    return axial if volume.spacing[axial] > 0.99 * coarsest else int(np.argmax(volume.spacing))


def _triple(values: Sequence[int]) -> Shape:
    return cast(Shape, tuple(values))


def _orientation(letters: str, axis: int, trained: str) -> str:
    """Orientation code with the slice axis last and unflipped, and the two others as in training.

    ``trained`` says how columns, rows and slices of the training volumes ran. Slices along the same axis have
    the same columns and rows; of other planes each axis has the sense that it had in training.
    """
    slice_letter = letters[axis]
    senses = {pair: next(x for x in trained if x in pair) for pair in ("LR", "AP", "SI")}
    same_plane = any(slice_letter in pair and trained[2] in pair for pair in senses)
    in_plane = list(trained[:2])
    if not same_plane:
        in_plane = [sense for pair, sense in senses.items() if slice_letter not in pair]
    return "".join([*in_plane, slice_letter])
