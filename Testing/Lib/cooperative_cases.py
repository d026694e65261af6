"""A tiny data set of made-up hearts, on which the data part of cooperative training runs in moments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.volume import Volume, write_volume

SLICES, ROWS, COLUMNS = 5, 44, 36


def made_heart(seed: int = 0, shape: tuple[int, int, int] = (SLICES, ROWS, COLUMNS)) -> tuple[Volume, Volume]:
    """A bright cavity (3) in a dark ring (2) beside another cavity (1); nothing in the first slice."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape[1:])
    label = np.zeros(shape, np.uint8)
    for k in range(1, shape[0]):
        row, column = shape[1] / 2 + rng.uniform(-2, 2), shape[2] / 2 + rng.uniform(-2, 2)
        radius = 4 + k
        distance = np.hypot(rows - row, columns - column)
        label[k][np.hypot(rows - row, columns - column + radius) < radius] = 1
        label[k][distance < radius] = 2
        label[k][distance < radius - 3] = 3
    image = np.array([60, 180, 90, 220])[label] + rng.normal(0, 8, shape)
    place = ((1.5, 1.5, 10.0), (-20.0, 35.0, 7.0), np.diag([-1.0, -1.0, 1.0]))
    return Volume(image.astype(np.int16), *place), Volume(label, *place)


def made_dataset(
    folder: Path, ids: tuple[str, ...] = ("1_ED", "1_ES", "2_ED", "5_ED"), **more: Any
) -> Dataset:
    """Cases with a label each; patients by the number in front."""
    for seed, id in enumerate(ids):
        image, label = made_heart(seed)
        write_volume(image, folder / f"image_{id}.nii.gz")
        write_volume(label, folder / f"label_{id}.nii.gz")
    description = DatasetDescription(
        name="hearts",
        modality="MR",
        labels={"background": 0, "RV": 1, "MYO": 2, "LV": 3},
        folds=2,
        **({"patients": {id: id.partition("_")[0] for id in ids}} | more),
    )
    description.save(folder / "dataset.json")
    return Dataset.open(folder)
