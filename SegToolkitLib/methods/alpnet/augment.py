"""The authors' augmentation: affine, elastic, then gamma, each drawn for every view.

The geometry acts on the image and the one-hot label together. Bilinear sampling everywhere (the
authors' "order 3" is an OpenCV mode that means bilinear for warps). Source: Ouyang et al., ECCV 2020,
released configuration files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from SegToolkitLib.methods.alpnet.augment_ranges import AUGMENTATIONS as AUGMENTATIONS
from SegToolkitLib.methods.alpnet.augment_ranges import AugmentRanges as AugmentRanges

Array = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """The random numbers of one view: everything that :func:`apply_view` needs."""

    rotate: float
    shift: tuple[float, float]
    shear: float
    zoom: float
    gamma: float
    noise: Array
    """Uniform in [0, 1), [2, H, W]: first field x, second y."""


def draw_view(ranges: AugmentRanges, size: tuple[int, int], rng: np.random.Generator) -> View:
    """Draw a view in the authors' order: rotation, shift x, shift y, shear, zoom, elastic, gamma."""
    rotate = rng.uniform(-ranges.rotate, ranges.rotate)
    shift = (rng.uniform(-ranges.shift, ranges.shift), rng.uniform(-ranges.shift, ranges.shift))
    shear = rng.uniform(-ranges.shear, ranges.shear)
    zoom = rng.uniform(*ranges.zoom)
    noise = rng.random((2, *size), dtype=np.float32)
    return View(rotate, shift, shear, zoom, rng.uniform(*ranges.gamma), noise)


def affine_matrix(view: View, size: tuple[int, int]) -> Array:
    """Return the forward 3x3 matrix zoom @ shear @ shift @ rotation in (x, y) pixels.

    The centre is (H / 2, W // 2) in (x, y) order, as the authors have it, also for H != W.
    """
    centre_x, centre_y = size[0] / 2, size[1] // 2
    shear = math.radians(view.shear)
    shift = np.array([[1, 0, view.shift[0]], [0, 1, view.shift[1]], [0, 0, 1]])
    shearing = np.array([[1, -math.sin(shear), 0], [0, math.cos(shear), 0], [0, 0, 1]])
    matrix = (
        _about_centre(0.0, view.zoom, centre_x, centre_y)
        @ shearing
        @ shift
        @ _about_centre(view.rotate, 1.0, centre_x, centre_y)
    )
    return matrix.astype(np.float32)


def _about_centre(degrees: float, scale: float, x: float, y: float) -> NDArray[np.float64]:
    a, b = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[a, b, (1 - a) * x - b * y], [-b, a, b * x + (1 - a) * y], [0, 0, 1]])


def displacement(noise: Array, alpha: float, sigma: float) -> Array:
    """Smooth uniform noise [2, H, W] into displacements (x, y) in pixels."""
    radius = (int(4 * sigma) | 1) // 2
    field = noise * 2 - 1
    for axis in (1, 2):
        field = gaussian_filter1d(field, sigma, axis=axis, mode="mirror", radius=radius)
    return (field * alpha).astype(np.float32)


def _sample(planes: Array, x: Array, y: Array, padding: str) -> Array:
    """Sample planes [C, H, W] bilinearly at pixel coordinates x, y [H, W]."""
    height, width = planes.shape[-2:]
    grid = torch.from_numpy(np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], axis=-1))
    sampled = F.grid_sample(
        torch.from_numpy(planes)[None],
        grid[None].float(),
        mode="bilinear",
        padding_mode=padding,
        align_corners=False,
    )
    return sampled[0].numpy()


def warp_affine(planes: Array, matrix: Array) -> Array:
    """Warp planes [C, H, W] by the forward matrix; outside is 0."""
    height, width = planes.shape[-2:]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    inverse = np.linalg.inv(matrix.astype(np.float64))
    return _sample(
        planes,
        inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2],
        inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2],
        "zeros",
    )


def warp_elastic(planes: Array, field: Array) -> Array:
    """Sample planes [C, H, W] at (row + dy, column + dx); outside is reflected with the edge repeated."""
    height, width = planes.shape[-2:]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return _sample(planes, x + field[0], y + field[1], "reflection")


def adjust_gamma(image: Array, gamma: float) -> Array:
    """Raise the image, scaled by its own range, to the power ``gamma`` and scale it back."""
    low = image.min()
    span = image.max() - low + 1e-5
    return (span * ((image - low + 1e-5) / span) ** gamma + low).astype(np.float32)


def apply_view(
    image: Array, masks: Array, view: View, ranges: AugmentRanges
) -> tuple[Array, NDArray[np.uint8]]:
    """Make one view of a slice and of the masks on it.

    Args:
        image: [H, W].
        masks: K binary masks [K, H, W]; each is warped as a class of its own against the rest.
        view: the drawn numbers.
        ranges: supplies the elastic constants.

    Returns:
        The image [H, W] float32 and the masks [K, H, W] uint8.
    """
    # The authors warp the background's one-hot channel too and take the argmax after rounding. Both are
    # 0 outside the slice, which is background, so "more than half foreground" says the same.
    planes = np.concatenate([image[None], masks]).astype(np.float32)
    planes = warp_affine(planes, affine_matrix(view, image.shape[:2]))
    planes = warp_elastic(planes, displacement(view.noise, ranges.elastic_alpha, ranges.elastic_sigma))
    return adjust_gamma(planes[0], view.gamma), (planes[1:] > 0.5).astype(np.uint8)
