"""Labels laid onto the images of a DICOM series: voxel for voxel, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.grid import Triple
from SegToolkitLib.volume.volume import Volume

# Of a voxel. Positions and spacings of DICOM are decimal strings, and a stack has one mean step between its
# slices: that adds up to a few hundredths. Another grid is off by far more somewhere.
TOLERANCE = 0.1


@dataclass(frozen=True)
class Plane:
    """One image of a series.

    Args:
        position: LPS mm of the centre of its first pixel.
        right: LPS mm from one pixel to the next in a row (the column index grows).
        down: LPS mm from one pixel to the next in a column (the row index grows).
        rows, columns: how many pixels it has.
    """

    position: Triple
    right: Triple
    down: Triple
    rows: int
    columns: int

    def corners(self) -> np.ndarray:
        """LPS mm [4, 3]: the first pixel, the ends of the first row and column, and the last pixel."""
        first, right, down = np.array(self.position), np.array(self.right), np.array(self.down)
        row, column = (self.columns - 1) * right, (self.rows - 1) * down
        return np.stack([first, first + row, first + column, first + row + column])


def on_planes(labels: Volume, planes: Sequence[Plane]) -> np.ndarray:
    """The labels as one picture an image, [plane, row, column], in the order of the planes.

    The labels may be cropped, and their axes may be turned or flipped against the images.

    Raises:
        SegToolkitError: "dicom-seg-grid" if the voxels are not the pixels of these images, or reach beyond
            them; "dicom-repeated" if two images lie at one place.
    """
    frames = np.zeros((len(planes), planes[0].rows, planes[0].columns), labels.voxels.dtype)
    used: dict[int, int] = {}
    found = 0
    for number, plane in enumerate(planes):
        start, turn = _corner(labels, plane)
        across = 3 - int(np.abs(turn[0]).argmax()) - int(np.abs(turn[1]).argmax())
        if (place := int(start[across])) in used:
            raise SegToolkitError(
                "dicom-repeated",
                f"Images {used[place] + 1} and {number + 1} of the series lie at the same place"
                " (echoes, phases or time points in one series).",
                "Give the images of one echo, phase or time point alone.",
            )
        used[place] = number
        _paste(labels, start, turn, across, frames[number])
        found += int(np.count_nonzero(frames[number]))
    if found != int(np.count_nonzero(labels.voxels)):
        raise _other_grid(labels, "labelled voxels lie outside its images")
    return frames


def _corner(labels: Volume, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Index (i, j, k) of the plane's first pixel, and the steps [2, 3] of its columns and rows in voxels."""
    first = np.array(plane.position)
    steps = labels.index(np.stack([first, first + plane.right, first + plane.down]))
    turn = np.rint(steps[1:] - steps[0]).astype(int)
    if (np.abs(turn).sum(axis=1) != 1).any() or (turn[0] * turn[1]).any():
        raise _other_grid(labels, "its pixels have another size or direction")
    start = np.rint(steps[0]).astype(int)
    ends = [(0, 0), (plane.columns - 1, 0), (0, plane.rows - 1), (plane.columns - 1, plane.rows - 1)]
    wanted = np.array([start + column * turn[0] + row * turn[1] for column, row in ends])
    off = float(np.abs(labels.index(plane.corners()) - wanted).max())
    if off > TOLERANCE:
        raise _other_grid(labels, f"its pixels lie up to {off:.2g} voxels beside the labels'")
    return start, turn


def _paste(labels: Volume, start: np.ndarray, turn: np.ndarray, across: int, frame: np.ndarray) -> None:
    """Fill a frame [row, column] with the slice of the labels that lies in its plane; outside stays 0."""
    size = labels.grid.size
    if not 0 <= start[across] < size[across]:
        return
    column_axis, row_axis = int(np.abs(turn[0]).argmax()), int(np.abs(turn[1]).argmax())
    # The array's axes are [k, j, i], so axis a of (i, j, k) is 2 - a there.
    slab = np.moveaxis(labels.voxels, (2 - across, 2 - row_axis, 2 - column_axis), (0, 1, 2))
    picture = slab[start[across]]
    windows = []
    for array_axis, axis, step in ((0, row_axis, turn[1]), (1, column_axis, turn[0])):
        begin = int(start[axis])
        if step[axis] < 0:
            picture = np.flip(picture, array_axis)
            begin = size[axis] - 1 - begin
        # Pixel p of the frame is voxel begin + p of the picture.
        low, high = max(0, -begin), min(frame.shape[array_axis], size[axis] - begin)
        windows.append((slice(low, max(low, high)), slice(begin + low, max(begin + low, begin + high))))
    (rows, theirs), (columns, others) = windows
    frame[rows, columns] = picture[theirs, others]


def _other_grid(labels: Volume, reason: str) -> SegToolkitError:
    return SegToolkitError(
        "dicom-seg-grid",
        f"{labels.name or 'The segmentation'} is not on the grid of the DICOM series: {reason}.",
        "Segment the volume that was read from this series, not a resampled, moved or straightened copy.",
    )
