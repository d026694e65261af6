"""Masks that are pictures: what in them is foreground.

Painted masks hold 0 and 255, or 0 and 1; JPEG ones have values in between. The released code of PDCR and UAFR
takes all above 0, which adds a rim.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.atomic import replacing
from SegToolkitLib.volume.reading import PICTURE_SUFFIXES

THRESHOLD = 127


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def foreground(values: NDArray[Any]) -> NDArray[np.bool_]:
    """What a mask marks: all above 0 where it has two values at most, else all above 127. Any shape."""
    found: NDArray[np.bool_] = values > (0 if len(np.unique(values)) <= 2 else THRESHOLD)
    return found


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask [rows, columns] as a PNG of 0 and 1, whole or not at all.

    Raises:
        SegToolkitError: "write-failed".
    """
    from PIL import Image  # not named among our dependencies: scikit-image requires it

    with replacing(path) as temporary:
        Image.fromarray(mask.astype(np.uint8)).save(temporary, format="PNG")
