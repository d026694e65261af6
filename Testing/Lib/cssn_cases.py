"""Tiny data sets and settings, on which CSSN trains in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.methods.cssn.presets import PRESETS
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.methods.cssn.training import METHOD
from SegToolkitLib.settings import load
from SegToolkitLib.volume import Reorient, Volume, write_volume
from small_runs import Runs

SHAPE = (30, 40, 36)
# Canonical boxes (z, y, x) of two organs; the second lies to the right of the first.
ORGANS = {1: np.s_[8:22, 10:24, 4:14], 2: np.s_[6:16, 12:22, 18:30]}


def made_case(number: int, code: str = "RAS", spacing: float = 4.0) -> tuple[Volume, Volume]:
    """A CT of noise with two bright boxes, a little elsewhere in each case, with axes as ``code`` says."""
    rng = np.random.default_rng(number)
    image = rng.normal(-100, 20, SHAPE)
    label = np.zeros(SHAPE, np.uint8)
    for value, box in ORGANS.items():
        label[box] = value
    label = np.roll(label, tuple(rng.integers(-3, 4, 3)), (0, 1, 2))
    image += np.where(label == 1, 180, 0) + np.where(label == 2, 300, 0)
    # The canonical frame in LPS.
    grid = ((spacing,) * 3, (5.0, -7.0, 11.0), np.diag([-1.0, -1.0, 1.0]))
    turn = Reorient(code)
    return turn.apply(Volume(image.astype(np.int16), *grid))[0], turn.apply(Volume(label, *grid))[0]


def made_dataset(folder: Path, labelled: int = 6, unlabelled: int = 2, **more: Any) -> Dataset:
    """Cases 0, 1, ... with labels and u0, u1, ... without, in several orientations."""
    codes = ("RAS", "LPS", "SRA", "PIR")
    for number in range(labelled):
        image, label = made_case(number, codes[number % len(codes)])
        write_volume(image, folder / f"image_{number}.nii.gz")
        write_volume(label, folder / f"label_{number}.nii.gz")
    for number in range(unlabelled):
        image, _ = made_case(100 + number, codes[number % len(codes)])
        write_volume(image, folder / f"free_u{number}.nii.gz")
    description = DatasetDescription(
        name="boxes",
        modality="CT",
        labels={"background": 0, "liver": 1, "spleen": 2},
        folds=3,
        unlabelled_image_pattern="free_{id}.nii.gz" if unlabelled else None,
        **more,
    )
    description.save(folder / "dataset.json")
    return Dataset.open(folder)


def tiny(*overrides: str, stage: str = "fine") -> CssnSettings:
    """The quick preset with a network of few channels at 32 x 32 x 64 voxels."""
    preset = PRESETS["quick" if stage == "fine" else "quick-coarse"].settings
    assert isinstance(preset, CssnSettings)
    small = (
        "network.channels=[2,4,8,8]",
        "size=[32,32,64]",
        "optimiser.epochs=4",
        "optimiser.steps_per_epoch=1",
        "cross.ramp_steps=2",
        "validate_every=2",
        "snapshot_every=2",
        "log_every=1",
    )
    return load(CssnSettings, preset, None, [*small, *overrides])


RUNS = Runs(METHOD)
trained = RUNS.trained
