"""A picture to look at before anything is trained: one slice of every case with its label's outline."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from SegToolkitLib.atomic import replacing
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.palette import label_colour
from SegToolkitLib.volume import Volume

TILE = 192  # pixels of a tile's longer side


def check_picture(dataset: Dataset, path: Path, most: int = 30) -> None:
    """Write a PNG with one tile a case (the first ``most`` cases), atomically.

    A tile shows the slice with the most labelled voxels (the middle one without a label), as a
    radiologist sees it: the patient's right on the left, anterior up.

    Raises:
        SegToolkitError: a case cannot be read, or the picture cannot be written.
    """
    cases = dataset.cases[:most]
    columns = math.ceil(math.sqrt(len(cases)))
    sheet = Image.new("RGB", (columns * TILE, math.ceil(len(cases) / columns) * TILE))
    draw = ImageDraw.Draw(sheet)
    for n, case in enumerate(cases):
        corner = (n % columns * TILE, n // columns * TILE)
        sheet.paste(_tile(*dataset.read(case)), corner)
        draw.text((corner[0] + 4, corner[1] + 2), case.id, fill=(255, 255, 255))
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def overlay(image: NDArray[Any], label: NDArray[Any] | None) -> NDArray[np.uint8]:
    """Draw the outline of each label value over a slice.

    Args:
        image: [row, column], any intensities; shown between its 1st and 99th percentile.
        label: [row, column] of the same shape, or None.

    Returns:
        [row, column, 3], RGB.
    """
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255
    picture = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    for value in np.unique(label)[1:] if label is not None else ():
        inside = label == value
        picture[inside & ~ndimage.binary_erosion(inside)] = label_colour(int(value))
    return picture


def _tile(image: Volume, label: Volume | None) -> Image.Image:
    if label is not None and label.voxels.any():
        k = int(np.argmax(np.count_nonzero(label.voxels, axis=(1, 2))))
    else:
        k = image.voxels.shape[0] // 2
    drawn = overlay(image.voxels[k].astype(float), None if label is None else label.voxels[k])
    # Axes that run against LPS are turned over for the eye only; sagittal or coronal slices stay as stored.
    direction = np.asarray(image.direction, dtype=float)
    drawn = drawn[:: -1 if direction[1, 1] < 0 else 1, :: -1 if direction[0, 0] < 0 else 1]
    height = drawn.shape[0] * image.spacing[1]
    width = drawn.shape[1] * image.spacing[0]
    scale = TILE / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(np.ascontiguousarray(drawn)).resize(size, Image.Resampling.BILINEAR)
