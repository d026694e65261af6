"""Slices [rows, columns]: common sizes, a range of values, and which show a structure.

Source: released loader of cooperative training. It rounds the offsets of its two ways to a common size in
opposite directions, which is kept here: weights were trained on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.volume.lattice import cut

Number = TypeVar("Number", bound=np.generic)
Size = tuple[int, int]
# Of the range that an augmented slice is divided by.
EPSILON = 1e-8


def fitted(plane: NDArray[Number], size: Size) -> NDArray[Number]:
    """Crop, or pad with 0, around the centre: as :class:`volume.slicewise.FitInPlane` does it."""
    rows, columns = plane.shape
    start = ((columns - size[1]) // 2, (rows - size[0]) // 2, 0)
    found: NDArray[Number] = cut(plane[None], start, (size[1], size[0], 1), 0)[0]
    return found


def padded(image: NDArray[Number], label: NDArray[Any], size: Size) -> tuple[NDArray[Number], NDArray[Any]]:
    """Pad both sides up to ``size``; what is larger stays so.

    The image continues with the least value of each column, then of each row; the label with background.
    Of an odd number of pixels the larger half goes in front.
    """
    missing = [max(0, wanted - n) for n, wanted in zip(image.shape, size, strict=True)]
    widths = [(-(-n // 2), n // 2) for n in missing]
    return np.pad(image, widths, mode="minimum"), np.pad(label, widths)


def centre(shape: Sequence[int], size: Size) -> tuple[slice, slice]:
    """What cuts the centre out of a plane that is as large as ``size`` or larger.

    Of an odd number of pixels to take away the larger half goes in front.
    """
    rows, columns = (-(-(n - wanted) // 2) for n, wanted in zip(shape, size, strict=True))
    return slice(rows, rows + size[0]), slice(columns, columns + size[1])


def rescaled(image: NDArray[np.floating]) -> NDArray[np.float32]:
    """The slice brought to [0, 1] by its own minimum and maximum, as augmented slices are."""
    low, high = float(image.min()), float(image.max())
    return ((image - low) / (high - low + EPSILON)).astype(np.float32)


def with_structures(label: NDArray[Any]) -> NDArray[np.intp]:
    """Numbers of the slices of [slices, rows, columns] that show anything but background."""
    found: NDArray[np.intp] = np.flatnonzero(label.any(axis=(1, 2)))
    return found
