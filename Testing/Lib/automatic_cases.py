"""The method "brightness" of Testing/Data, and small images for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.models.card import ModelCard, read_card
from SegToolkitLib.volume import Reorient, Volume, prepare, write_volume

METHODS = Path(__file__).parents[1] / "Data" / "methods"
sys.path.append(str(METHODS))

from brightness import automatic as brightness  # noqa: E402
from brightness.models import BANDS, make_model  # noqa: E402

__all__ = ["BANDS", "METHODS", "boxes", "brightness", "card_of", "image", "make_model", "turned", "write"]

# Where (k, j, i) each structure of :func:`image` lies, by its label.
BOXES = {
    1: np.s_[2:6, 5:12, 4:20],
    2: np.s_[7:9, 3:6, 22:26],
    3: np.s_[2:5, 14:18, 3:8],
    4: np.s_[2:5, 14:18, 20:25],
}
SPACING = (1.0, 1.5, 3.0)


def boxes() -> np.ndarray:
    """The right labels of :func:`image`."""
    labels = np.zeros((10, 20, 30), np.uint8)
    for value, box in BOXES.items():
        labels[box] = value
    return labels


def image(values: Mapping[int, float] | None = None) -> Volume:
    """A CT of four boxes: liver 150, spleen 250, right kidney 350, left kidney 450; no pancreas."""
    brightness_of = {value: 50 + 100 * value for value in BOXES} | dict(values or {})
    voxels = np.full((10, 20, 30), -1000, np.int16)
    for value, box in BOXES.items():
        voxels[box] = brightness_of[value]
    return Volume(voxels, SPACING, (-40.0, 12.5, 300.0), np.eye(3), "test image")


def turned(volume: Volume, code: str, degrees: float = 0) -> Volume:
    """The volume with other axes, tilted by an angle about the axis from back to front."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    tilted = Volume(volume.voxels, volume.spacing, volume.origin, turn @ volume.direction)
    return prepare(tilted, [Reorient(code)]).volume


def write(volume: Volume, path: Path) -> Path:
    """Write an image and return its path."""
    write_volume(volume, path, compress=False)
    return path


def card_of(folder: Path, **settings: Any) -> ModelCard:
    """The card of a new model in ``folder``."""
    return read_card(make_model(folder, **settings))
