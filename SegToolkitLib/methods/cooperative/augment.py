"""What changes a training slice at random: flips, contrast, affine, turns, elastic deformation.

A slice's random numbers are drawn first, as data; applying them is deterministic. Planes are [rows, columns].
Source: the augmentation policy of the released configuration ("affine, elastic, intensity"). It interpolates
after every movement; one interpolation for all of them is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegToolkitLib.methods.cooperative.data_settings import AugmentSettings
from SegToolkitLib.methods.cooperative.slices import Size, centre, padded, rescaled

Image = NDArray[np.float32]
Label = NDArray[Any]
Matrix = NDArray[np.float64]
Pair = tuple[float, float]
# Share of a label that makes a deformed pixel its own.
HALF = 0.5


@dataclass(frozen=True)
class Elastic:
    """A smooth random deformation.

    Attributes:
        alpha: factor of the smoothed noise, in pixels.
        sigma: of the Gaussian that smooths it, in pixels.
        noise: uniform in [-1, 1], [2, rows, columns]; the first moves along columns, the second along rows.
    """

    alpha: float
    sigma: float
    noise: NDArray[np.floating]


@dataclass(frozen=True)
class Drawn:
    """The random numbers of one slice.

    Attributes:
        flip_columns, flip_rows: whether the axis is reversed.
        contrast: factor and addend, or None.
        rotation: degrees.
        shift: of rows and columns, in parts of the axis.
        zoom: of rows and columns; below 1 magnifies.
        turn: degrees of the second rotation.
        elastic: the deformation, or None.
    """

    flip_columns: bool = False
    flip_rows: bool = False
    contrast: Pair | None = None
    rotation: float = 0.0
    shift: Pair = (0.0, 0.0)
    zoom: Pair = (1.0, 1.0)
    turn: float = 0.0
    elastic: Elastic | None = None


def draw(shape: Size, settings: AugmentSettings, rng: np.random.Generator) -> Drawn:
    """Draw the numbers of a slice, in the order of :class:`Drawn`.

    Args:
        shape: (rows, columns) of the padded slice.
        settings: ranges and probabilities.
        rng: the only source of chance.
    """
    flips = rng.random(2) < (settings.flip_columns, settings.flip_rows)
    contrast = None
    if rng.random() < settings.contrast_probability:
        contrast = (rng.uniform(*settings.contrast), rng.uniform(*settings.brightness))
    rotation = rng.uniform(-settings.rotation_degrees, settings.rotation_degrees)
    shift = rng.uniform(-settings.shift, settings.shift, 2)
    zoom = rng.uniform(*settings.zoom, 2)
    turn = 0.0
    if settings.turn_degrees is not None:
        turn = settings.turn_degrees * int(rng.integers(max(1, round(360 / settings.turn_degrees))))
    elastic = None
    if rng.random() < settings.elastic_probability:
        alpha, sigma = (
            shape[0] * rng.uniform(*bounds) for bounds in (settings.elastic_alpha, settings.elastic_sigma)
        )
        elastic = Elastic(alpha, sigma, 2 * rng.random((2, *shape), np.float32) - 1)
    return Drawn(
        bool(flips[0]),
        bool(flips[1]),
        contrast,
        rotation,
        (float(shift[0]), float(shift[1])),
        (float(zoom[0]), float(zoom[1])),
        turn,
        elastic,
    )


def augmented(
    image: Image, label: Label, settings: AugmentSettings, crop: Size, rng: np.random.Generator
) -> tuple[Image, Label]:
    """Pad a slice, change it at random, and cut its centre out.

    Args:
        image: [rows, columns] of any size, about 0 to 1.
        label: its classes.
        settings: ranges and probabilities.
        crop: (rows, columns) of the result.
        rng: the only source of chance.

    Returns:
        Image in [0, 1] and label [crop].
    """
    size = (max(settings.pad, crop[0]), max(settings.pad, crop[1]))
    image, label = padded(image, label, size)
    drawn = draw(image.shape, settings, rng)
    image, label = changed(image, label, drawn, crop, settings.one_interpolation)
    return rescaled(image), np.ascontiguousarray(label)


def changed(
    image: Image, label: Label, drawn: Drawn, crop: Size, one_interpolation: bool = False
) -> tuple[Image, Label]:
    """Apply what was drawn to a padded slice, and cut its centre out."""
    if drawn.flip_columns:
        image, label = image[:, ::-1], label[:, ::-1]
    if drawn.flip_rows:
        image, label = image[::-1], label[::-1]
    if drawn.contrast is not None:
        image = contrasted(image, *drawn.contrast)
    box = centre(image.shape, crop)
    if one_interpolation:
        return _at_once(image, label, drawn, box)
    image, label = transformed(image, label, affine(image.shape, drawn.rotation, drawn.shift, drawn.zoom))
    if drawn.turn:
        image, label = transformed(image, label, affine(image.shape, drawn.turn))
    if drawn.elastic is not None:
        image, label = deformed(image, label, drawn.elastic)
    return image[box], label[box]


def contrasted(image: Image, factor: float, addend: float) -> Image:
    """image * factor + addend, within the range that the image had.

    As each slice is brought to [0, 1] at the end, all that is left of this is what the range cuts off.
    """
    low, high = float(image.min()), float(image.max())
    return np.clip(image * np.float32(factor) + np.float32(addend), low, high)


def affine(shape: Size, rotation: float, shift: Pair = (0.0, 0.0), zoom: Pair = (1.0, 1.0)) -> Matrix:
    """Matrix 3 x 3 that takes (row, column, 1) of the result, relative to the centre, to the source.

    Args:
        shape: (rows, columns).
        rotation: degrees.
        shift: of rows and columns, in parts of the shape.
        zoom: of rows and columns; below 1 magnifies.
    """
    cos, sin = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    turning = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    moving = np.array([[1, 0, shift[0] * shape[0]], [0, 1, shift[1] * shape[1]], [0, 0, 1]])
    matrix: Matrix = turning @ moving @ np.diag([*zoom, 1.0])
    return matrix


def transformed(image: Image, label: Label, matrix: Matrix) -> tuple[Image, Label]:
    """Sample at where a matrix of :func:`affine` leads; image linear, label nearest; borders continue."""
    rows, columns = _places(matrix, np.indices(image.shape).reshape(2, -1), image.shape)
    height, width = image.shape
    # The released interpolation stops one pixel short of the last row and column.
    inside = np.stack([np.clip(rows, 0, max(height - 2, 0)), np.clip(columns, 0, max(width - 2, 0))])
    moved = ndimage.map_coordinates(image, inside, order=1).reshape(image.shape)
    return moved, _nearest(label, rows, columns).reshape(label.shape)


def _places(
    matrix: Matrix, places: NDArray[Any], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns [n] in the source of places [2, n] of the result."""
    middle = np.array([[n / 2 - 0.5] for n in shape])
    rows, columns = matrix[:2, :2] @ (places - middle) + matrix[:2, 2:] + middle
    return rows, columns


def _nearest(label: Label, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Label:
    row, column = (
        np.rint(np.clip(places, 0, n - 1)).astype(np.intp)
        for places, n in zip((rows, columns), label.shape, strict=True)
    )
    return label[row, column]


def displacement(elastic: Elastic) -> NDArray[np.floating]:
    """How far the deformation moves each pixel, [2, rows, columns]: along columns, then along rows."""
    return np.stack(
        [
            ndimage.gaussian_filter(one, elastic.sigma, mode="constant") * elastic.alpha
            for one in elastic.noise
        ]
    )


def deformed(image: Image, label: Label, elastic: Elastic) -> tuple[Image, Label]:
    """Deform both with cubic splines; a pixel gets the largest label that has half of it or more."""
    columns, rows = displacement(elastic)
    grid = np.indices(image.shape, np.float64)
    places = np.stack([grid[0] + rows, grid[1] + columns])
    moved = ndimage.map_coordinates(image, places, order=3, mode="reflect")
    found = np.zeros_like(label)
    for value in np.unique(label[label != 0]):
        share = ndimage.map_coordinates((label == value).astype(np.float32), places, order=3, mode="nearest")
        found[share >= HALF] = value
    return moved, found


def _at_once(image: Image, label: Label, drawn: Drawn, box: tuple[slice, slice]) -> tuple[Image, Label]:
    """All movements as one map of places, and one interpolation: image linear, label nearest."""
    grid = np.indices(image.shape, np.float64)
    if drawn.elastic is not None:
        columns, rows = displacement(drawn.elastic)
        grid += np.stack([rows, columns])
    places = grid[:, box[0], box[1]]
    shape = places.shape[1:]
    matrix = affine(image.shape, drawn.rotation, drawn.shift, drawn.zoom) @ affine(image.shape, drawn.turn)
    rows, columns = _places(matrix, places.reshape(2, -1), image.shape)
    moved = ndimage.map_coordinates(image, np.stack([rows, columns]), order=1, mode="nearest")
    return moved.reshape(shape), _nearest(label, rows, columns).reshape(shape)
