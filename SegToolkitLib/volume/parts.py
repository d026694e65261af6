"""Connected parts of a mask."""

from __future__ import annotations

from typing import cast

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def largest_parts(mask: Mask, keep: int | None = 1, least_voxels: float = 0, corners: bool = True) -> Mask:
    """The largest connected parts of a mask [z, y, x] that have more voxels than a limit.

    Of parts of one size the one that comes first in the array goes first.

    Args:
        mask: to take them from.
        keep: at most so many parts; None keeps all.
        least_voxels: a part must have strictly more.
        corners: voxels that share an edge or a corner alone are connected, too (26 neighbours, not 6).
    """
    # Measured on smooth and on noisy masks of 64^3 to 256^3: SimpleITK takes 40 to 90 % of the processor time
    # of scipy's label and 60 to 130 % of scikit-image's.
    relabel = sitk.RelabelComponentImageFilter()
    image = sitk.GetImageFromArray(mask.astype(np.uint8, copy=False))
    parts = relabel.Execute(sitk.ConnectedComponent(image, corners))
    large = sum(size > least_voxels for size in relabel.GetSizeOfObjectsInPixels()[:keep])
    # From 0 (background) and from what is left out, the numbers 1..large are told by one comparison.
    return cast(Mask, sitk.GetArrayViewFromImage(parts).view(np.uint32) - np.uint32(1) < large)
