"""Changes of training images: zoom, shear, rotation, shift, flips, hue and saturation.

The ranges are the released ones; the released code draws them with imgaug, which is no longer kept up and
whose numbers these are not.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from SegToolkitLib.methods.pdcr_uafr.settings import AugmentSettings
from SegToolkitLib.methods.pdcr_uafr.slices import Pixels

Matrix = NDArray[np.float64]
# A whole turn in the settings' numbers, as imgaug has them ((hue / 255) * 180 of OpenCV), and in Pillow's.
TURN, PILLOWS_TURN = 255, 256


def augmented(
    image: Pixels, mask: Pixels, settings: AugmentSettings, rng: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """Change an image and its mask alike.

    Args:
        image: [rows, columns, 3].
        mask: classes [rows, columns].
        settings: ranges.
        rng: draws; the same draws in the same order, whatever the settings.
    """
    image, mask = moved(image, mask, *drawn_affine(settings, mask.shape, rng))
    if rng.random() < settings.flip_columns:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if rng.random() < settings.flip_rows:
        image, mask = image[::-1], mask[::-1]
    hue = int(rng.integers(-settings.hue, settings.hue, endpoint=True))
    saturation = int(rng.integers(-settings.saturation, settings.saturation, endpoint=True))
    return recoloured(np.ascontiguousarray(image), hue, saturation), np.ascontiguousarray(mask)


def drawn_affine(
    settings: AugmentSettings, size: tuple[int, ...], rng: np.random.Generator
) -> tuple[Matrix, Matrix]:
    """Where pixels go, about the centre: a matrix of (column, row), and a shift in pixels."""
    zoom = rng.uniform(*settings.zoom, size=2)
    shift = rng.uniform(-settings.shift, settings.shift, size=2) * (size[1], size[0])
    turn = np.deg2rad(rng.uniform(-settings.rotation_degrees, settings.rotation_degrees))
    shear = np.deg2rad(rng.uniform(-settings.shear_degrees, settings.shear_degrees))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    sheared = np.array([[1.0, -np.tan(shear)], [0.0, 1.0]])
    return rotation @ sheared @ np.diag(zoom), shift


def moved(image: Pixels, mask: Pixels, matrix: Matrix, shift: Matrix) -> tuple[Pixels, Pixels]:
    """Move pixels; the image is interpolated linearly, the mask takes the nearest, and what comes in is 0.

    Args:
        image: [rows, columns, 3].
        mask: [rows, columns].
        matrix: [2, 2] of (column, row), about the centre.
        shift: (columns, rows) in pixels, afterwards.
    """
    rows, columns = mask.shape
    # Sampling asks whence a pixel comes. Coordinates there run from -1 to 1 over each axis.
    back = np.linalg.inv(matrix)
    half = np.array([columns / 2, rows / 2])
    whence = back * half[np.newaxis, :] / half[:, np.newaxis]
    offset = -(back @ shift) / half
    theta = torch.from_numpy(np.column_stack([whence, offset]).astype(np.float32))[np.newaxis]
    grid = F.affine_grid(theta, [1, 1, rows, columns], align_corners=False)
    source = torch.from_numpy(np.array(image)).permute(2, 0, 1)[np.newaxis].float()
    seen = F.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    classes = torch.from_numpy(np.array(mask))[np.newaxis, np.newaxis].float()
    drawn = F.grid_sample(classes, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return seen[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy(), drawn[0, 0].byte().numpy()


def recoloured(image: Pixels, hue: int, saturation: int) -> Pixels:
    """Shift hue (255 is a whole turn) and saturation (of 255); a grey image has neither and stays grey."""
    if not (hue or saturation) or (image == image[..., :1]).all():
        return image
    values = np.asarray(Image.fromarray(image).convert("HSV")).astype(np.int16)
    values[..., 0] = (values[..., 0] + round(hue * PILLOWS_TURN / TURN)) % PILLOWS_TURN
    values[..., 1] = np.clip(values[..., 1] + saturation, 0, 255)
    return np.asarray(Image.fromarray(values.astype(np.uint8), mode="HSV").convert("RGB"))
