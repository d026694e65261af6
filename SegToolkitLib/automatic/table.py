"""What was found, organ by organ: how many voxels, how large, how bright."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.models.card import Label
from SegToolkitLib.volume import Volume

MM3_PER_ML = 1000.0
# Values that a label map of uint8 can hold.
LABELS = 256
# Spacing of what never had one, such as a photograph.
NOMINAL = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Row:
    """One structure.

    Attributes:
        value: its label.
        name: what people call it.
        voxels: how many it has.
        ml: their volume in millilitres; None in a picture, whose pixels have no size.
        mean: mean intensity, in the image's own unit (HU for CT); None where nothing was found.
    """

    value: int
    name: str
    voxels: int
    ml: float | None
    mean: float | None


@dataclass(frozen=True)
class Tally:
    """Voxels of each label, and the sum of the image's values there [256]; 0, the background, is left out."""

    voxels: NDArray[np.int64]
    sums: NDArray[np.float64]


def tally(labels: Volume, image: Volume) -> Tally:
    """Count the labels of a map of uint8 [k, j, i] on the image's grid.

    Slice by slice and of labelled voxels alone: numpy counts in arrays of eight bytes a voxel.
    """
    voxels, sums = np.zeros(LABELS, np.int64), np.zeros(LABELS)
    for here, values in zip(labels.voxels, image.voxels, strict=True):
        inside = here != 0
        if inside.any():
            found = here[inside].astype(np.intp)  # as counting wants it, converted once
            voxels += np.bincount(found, minlength=LABELS)
            # Of a colour picture, the mean of its channels.
            seen = values[inside] if values.ndim == inside.ndim else values[inside].mean(-1)
            sums += np.bincount(found, seen, LABELS)
    return Tally(voxels, sums)


def volume_table(found: Tally, image: Volume, wanted: Sequence[Label]) -> list[Row]:
    """Describe the structures of a label map.

    Args:
        found: what :func:`tally` counted.
        image: [k, j, i], or a picture [1, j, i, c].
        wanted: the structures, in the order of the rows; one that is nowhere has a row of zeros.
    """
    # The axes of a tilted gantry are not at right angles: the determinant knows.
    voxel_ml = abs(float(np.linalg.det(image.affine[:3, :3]))) / MM3_PER_ML
    picture = image.voxels.ndim == 4 or (len(image.voxels) == 1 and image.spacing == NOMINAL)
    rows = []
    for label in wanted:
        count = int(found.voxels[label.value])
        mean = float(found.sums[label.value] / count) if count else None
        rows.append(Row(label.value, label.name, count, None if picture else count * voxel_ml, mean))
    return rows
