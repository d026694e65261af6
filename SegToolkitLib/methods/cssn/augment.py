"""What changes a training image at random: crop, organs' intensities, and what the release leaves off.

Source: released training of SemiSeg-CSSN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegToolkitLib.methods.cssn.prepare import Box, Triple
from SegToolkitLib.methods.cssn.settings import AugmentSettings

ELASTIC_ALPHA, ELASTIC_SIGMA = 1.0, 20.0
# HU; the shift of organs is meant for a window of this width, and scaled to other ranges.
USUAL_WIDTH = 650.0
HALF = 0.5

Image = NDArray[np.float32]
Label = NDArray[np.uint8]


def random_crop(
    low: Triple,
    high: Triple,
    shape: Sequence[int],
    spacing: Sequence[float],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> Box | None:
    """A random box around organs: each face lies up to ``crop_mm`` outside or a third of that inside.

    Args:
        low, high: first and last voxel (z, y, x) of the organs, both included.
        shape: of the volume.
        spacing: (z, y, x) in mm.
        settings: how far, and whether the lower faces move the wrong way, as released.
        rng: draws six whole numbers: the starts of z, y, x, then their ends.

    Returns:
        The box, or None where opposite faces passed each other.
    """
    margins = [max(1, int(settings.crop_mm / step)) for step in spacing]
    moves = [int(rng.integers(math.floor(-margin / 3), margin)) for margin in (*margins, *margins)]
    sign = 1 if settings.crop_rule == "released" else -1
    start = [max(0, edge + sign * move) for edge, move in zip(low, moves[:3], strict=True)]
    stop = [min(n, edge + move) for n, edge, move in zip(shape, high, moves[3:], strict=True)]
    if any(b <= a for a, b in zip(start, stop, strict=True)):
        return None
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def shift_organs(
    image: Image,
    label: Label,
    organs: int,
    width: float,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> None:
    """Add one number to all voxels of an organ, in place; to each organ with its own probability.

    Args:
        image, label: [z, y, x]; labels 1 to ``organs``.
        organs: how many there are.
        width: of the image's window (HU) or range, of which the default window would be 650.
        settings: probability and largest shift.
        rng: draws for every organ, whether the image shows it or not.
    """
    table = np.zeros(organs + 1, np.float32)
    for organ in range(1, organs + 1):
        if rng.random() < settings.organ_shift_probability and settings.organ_shift:
            table[organ] = rng.integers(-settings.organ_shift, settings.organ_shift)
    image += table[label] * np.float32(width / USUAL_WIDTH)


def shift_all(image: Image, width: float, settings: AugmentSettings, rng: np.random.Generator) -> None:
    """Add one number to the whole image, in place: what unlabelled images get in place of organs' shifts.

    It moves tissue within a fixed window. Percentiles move with the image, and the z-score takes the number
    back: there it changes nothing, as the zero of MR means nothing.
    """
    image += np.float32(rng.uniform(-1, 1) * settings.global_shift * width)


def flip(
    image: Image,
    label: Label | None,
    swaps: Mapping[int, int],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[Image, Label | None]:
    """Reverse each axis that may flip with probability 1/2; with x, left and right change places.

    Args:
        image, label: [z, y, x].
        swaps: label -> its counterpart on the other side.
        settings: which axes.
        rng: draws for these axes.
    """
    axes = tuple(axis for axis in range(3) if settings.flips[axis] and rng.random() < HALF)
    if not axes:
        return image, label
    image = np.flip(image, axes)
    if label is None:
        return image, None
    label = np.flip(label, axes)
    if 2 in axes and swaps:
        table = np.arange(256, dtype=np.uint8)
        table[list(swaps)] = list(swaps.values())
        label = table[label]
    return image, label


def move(
    image: Image,
    label: Label | None,
    voxel: Sequence[float],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[Image, Label | None]:
    """Rotate about one axis (with probability 1/2), translate and bend; one interpolation for all of it.

    The authors interpolate masks with cubic splines, which makes labels that nobody drew; here they take
    the nearest voxel's.

    Args:
        image, label: [z, y, x].
        voxel: (z, y, x) in mm, so that a rotation is one in the patient.
        settings: how far.
        rng: draws angle, axis, translation and bending, in this order.
    """
    matrix, offset = np.eye(3), np.zeros(3)
    if settings.rotation_degrees:
        angle = math.radians(rng.uniform(-settings.rotation_degrees, settings.rotation_degrees))
        first, second = ((0, 1), (0, 2), (1, 2))[rng.integers(3)]
        if rng.random() < HALF:
            turn = np.eye(3)
            turn[first, first] = turn[second, second] = math.cos(angle)
            turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
            matrix = turn * np.asarray(voxel)[None, :] / np.asarray(voxel)[:, None]
    if settings.shift_share:
        offset = rng.uniform(-settings.shift_share, settings.shift_share, 3) * image.shape
    if settings.elastic:
        return _bent(image, label, matrix, offset, rng)
    if not offset.any() and (matrix == np.eye(3)).all():
        return image, label
    centre = (np.array(image.shape) - 1) / 2
    offset = offset + centre - matrix @ centre
    moved = ndimage.affine_transform(image, matrix, offset, order=1, mode="nearest")
    if label is None:
        return moved, None
    return moved, ndimage.affine_transform(label, matrix, offset, order=0, mode="constant")


def _bent(
    image: Image, label: Label | None, matrix: NDArray, offset: NDArray, rng: np.random.Generator
) -> tuple[Image, Label | None]:
    centre = ((np.array(image.shape) - 1) / 2)[:, None]
    places = np.indices(image.shape, np.float32).reshape(3, -1)
    places = matrix @ (places - centre) + centre + offset[:, None]
    for axis in range(3):
        noise = rng.uniform(-1, 1, image.shape).astype(np.float32)
        places[axis] += (ndimage.gaussian_filter(noise, ELASTIC_SIGMA) * ELASTIC_ALPHA).ravel()
    places = places.reshape(3, *image.shape)
    moved = ndimage.map_coordinates(image, places, order=1, mode="nearest")
    if label is None:
        return moved, None
    return moved, ndimage.map_coordinates(label, places, order=0, mode="constant")


def noise_of(shape: Sequence[int], settings: AugmentSettings, rng: np.random.Generator) -> Image | None:
    """Gaussian noise for an image after its z-score, with probability 1/2; None for none."""
    if not settings.noise_variance or rng.random() >= HALF:
        return None
    variance = rng.uniform(0, settings.noise_variance)
    return (rng.standard_normal(tuple(shape), np.float32) * math.sqrt(variance)).astype(np.float32)
