"""Pictures of a segmentation over its image: what a person looks at before believing a number."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.sheet import codes_in, legend, tile, write_sheet
from SegToolkitLib.palette import Colour
from SegToolkitLib.volume import Volume

MARK_COLOUR: Colour = (255, 64, 200)
WINDOW_PERCENTILES = (1.0, 99.5)
MOST_DEFAULT_ROWS = 3


def overlay_picture(
    image: Volume,
    labels: Volume,
    path: str | os.PathLike[str],
    *,
    truth: Volume | None = None,
    slices: Sequence[int] | None = None,
    mark_slices: Sequence[int] = (),
    columns: int = 4,
    names: Mapping[int, str] | None = None,
    title: str = "",
    caption: str = "",
) -> None:
    """Write a PNG of axial slices with the segmentation over them.

    Whatever the orientation of the volume, the patient's right is on the left of the picture and the front
    is up; a volume of a single slice is shown in its own plane (coronal: head up; sagittal: front left,
    head up). Volumes are turned by whole axes only, so an oblique one is shown along its own grid. Pixels
    are as large as their spacing says. Labels are translucent fills, the truth is a line in the same colour.

    Args:
        image: voxels [k, j, i], shown grey between the 1st and the 99.5th percentile of its finite values; a
            picture [1, j, i, c] of 8 bits in colour as it is, transparency aside.
        labels: integer codes on the grid of ``image``, 0 being background.
        path: the PNG to write; it is replaced only once the new one is whole.
        truth: as ``labels``, where the truth is known.
        slices: which slices, counted along the volume's own axis that runs from foot to head (for a volume of
            a single slice: 0), shown in this order. By default evenly over those that hold labels or truth.
        mark_slices: slices to frame in pink, such as those that a person outlined; others than the shown are
            ignored.
        columns: slices in a row.
        names: the structures' names by code; "label 5" where there is none.
        title: a line above.
        caption: text below, wrapped to the width.

    Raises:
        SegToolkitError: the grids differ ("overlay-grid"), a slice does not exist ("overlay-slice"), or the
            file cannot be written.
    """
    for volume, role in ((labels, "labels"), (truth, "truth")):
        if volume is not None and not volume.same_grid(image):
            raise SegToolkitError(
                "overlay-grid",
                f"The {role} ({_grid_text(volume)}) are not on the grid of the image ({_grid_text(image)}).",
                "Resample them onto the image's grid first.",
            )
    view = _View.of(image)
    predicted = view.turn(labels.voxels)
    true = None if truth is None else view.turn(truth.voxels)
    shown = _choose_slices(view, predicted, true, slices, MOST_DEFAULT_ROWS * max(columns, 1))
    drawn = view.turn(_drawn(image.voxels))
    tiles = []
    for number in shown:
        index = view.display_index(number)
        true_slice = None if true is None else true[index]
        picture = tile(drawn[index], predicted[index], true_slice, view.pixel, f"slice {number}")
        if number in mark_slices:
            corner = (picture.width - 1, picture.height - 1)
            ImageDraw.Draw(picture).rectangle((0, 0, *corner), None, MARK_COLOUR, 4)
        tiles.append(picture)
    entries = legend(codes_in(predicted, true), names or {})
    if set(shown) & set(mark_slices):
        entries.append((MARK_COLOUR, "frame: slice given"))
    note = "fill: prediction" if truth is None else "line: truth, fill: prediction"
    write_sheet(path, tiles, max(1, min(columns, len(tiles))), entries, note, title, caption)


@dataclass(frozen=True)
class _View:
    """How to turn [k, j, i] into [slice, row, column] as radiologists look at it.

    Attributes:
        order: which array axes become slice, row and column.
        flips: whether each of those three is reversed.
        pixel: mm of a row and of a column.
        count: number of slices.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    pixel: tuple[float, float]
    count: int

    @classmethod
    def of(cls, volume: Volume) -> _View:
        direction = np.asarray(volume.direction, dtype=float)
        axis_of = _nearest_axes(direction)  # for x, y, z in turn: which of the axes i, j, k runs along it
        world_of = {axis: world for world, axis in enumerate(axis_of)}
        shape = volume.voxels.shape  # [k, j, i]
        singular = [axis for axis in range(3) if shape[2 - axis] == 1]
        normal = world_of[singular[-1]] if len(singular) == 1 else 2
        # Rows and columns as world axes with the sign in which they run down and to the right, in LPS.
        row, row_sign, column, column_sign = {
            2: (1, 1, 0, 1),  # axial: down to the back, right to the patient's left
            1: (2, -1, 0, 1),  # coronal: down to the feet, right to the patient's left
            0: (2, -1, 1, 1),  # sagittal: down to the feet, right to the back
        }[normal]
        axes = (axis_of[normal], axis_of[row], axis_of[column])

        def backwards(world: int, sign: int) -> bool:
            return bool(direction[world, axis_of[world]] * sign < 0)

        return cls(
            order=(2 - axes[0], 2 - axes[1], 2 - axes[2]),
            flips=(False, backwards(row, row_sign), backwards(column, column_sign)),
            pixel=(float(volume.spacing[axes[1]]), float(volume.spacing[axes[2]])),
            count=int(shape[2 - axes[0]]),
        )

    def turn(self, voxels: NDArray) -> NDArray:
        """Voxels [k, j, i] or [k, j, i, c] as [slice, row, column] or [slice, row, column, c]."""
        turned = np.transpose(voxels, (*self.order, *range(3, voxels.ndim)))
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def display_index(self, number: int) -> int:
        return self.count - 1 - number if self.flips[0] else number


def _nearest_axes(direction: NDArray[np.float64]) -> list[int]:
    """For the world axes x, y, z: the voxel axis (0 i, 1 j, 2 k) that runs most nearly along each."""
    weight = np.abs(direction)
    axis_of = [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(np.argmax(weight), weight.shape)
        axis_of[int(world)] = int(axis)
        weight[world, :] = -1
        weight[:, axis] = -1
    return axis_of


def _choose_slices(
    view: _View, predicted: NDArray, true: NDArray | None, slices: Sequence[int] | None, most: int
) -> list[int]:
    if slices is not None:
        for number in slices:
            if not 0 <= number < view.count:
                raise SegToolkitError(
                    "overlay-slice",
                    f"Slice {number} was asked for, but the volume has slices 0 to {view.count - 1}.",
                    "Count the slices from 0 along the axis that runs from foot to head.",
                )
        if len(slices):
            return list(slices)
    filled = (predicted != 0).any(axis=(1, 2))
    if true is not None:
        filled |= (true != 0).any(axis=(1, 2))
    candidates = np.flatnonzero(filled) if filled.any() else np.arange(view.count)
    picks = np.linspace(0, len(candidates) - 1, min(most, len(candidates))).round().astype(int)
    return [int(candidates[p]) for p in picks]


def _drawn(voxels: NDArray) -> NDArray[np.uint8]:
    """What is seen of an image: colours [k, j, i, 3], or grey values [k, j, i]."""
    colours = voxels.ndim == 4 and voxels.shape[3] > 2 and voxels.dtype == np.uint8
    return voxels[..., :3] if colours else _windowed(voxels)


def _windowed(voxels: NDArray) -> NDArray[np.uint8]:
    """Grey values 0..255 between the percentiles of the finite voxels; a constant image is black."""
    values = voxels.astype(np.float32)
    if values.ndim == 4:  # a picture [1, j, i, c]; the last of two or four channels is transparency
        values = values[..., : 1 if values.shape[3] == 2 else 3].mean(axis=3)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, WINDOW_PERCENTILES) if finite.size else (0.0, 1.0)
    if high <= low:  # a marker smaller than the percentiles still shows
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def _grid_text(volume: Volume) -> str:
    k, j, i = volume.voxels.shape[:3]
    spacing = " x ".join(f"{s:.4g}" for s in volume.spacing)
    origin = ", ".join(f"{o:.4g}" for o in volume.origin)
    return f"{i} x {j} x {k} voxels of {spacing} mm, origin {origin}"


def telling_slices(labels: NDArray[np.integer], count: int) -> list[int]:
    """So many slices of labels [Z, Y, X], spread over those that show something; over all if none does."""
    filled = np.flatnonzero(labels.any(axis=(1, 2)))
    filled = filled if len(filled) else np.arange(len(labels))
    # Not the first and the last, where there is next to nothing to see.
    picks = np.linspace(0, len(filled) - 1, count + 2).round().astype(int)[1:-1]
    return sorted({int(filled[pick]) for pick in picks})
