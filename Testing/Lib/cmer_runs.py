"""A tiny data set of two registered modalities with a bright ball, and runs on it that take seconds."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.presets import PRESETS
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.methods.cmer.training import METHOD
from SegToolkitLib.methods.registry import commands_of
from SegToolkitLib.settings import load
from SegToolkitLib.volume import Volume, write_volume
from small_runs import Runs

SLICES, ROWS, COLUMNS = 8, 24, 20
NAMES = ("T2", "ADC")
PLACE = ((1.5, 1.5, 5.0), (-20.0, 35.0, 7.0), np.diag([-1.0, -1.0, 1.0]))
SMALL = (
    "network.width_factor=32",
    # As released: it has all kinds of maps, and leaves for the authors' code.
    "network.pooling=mean",
    "input.standardise=slice",
    "maps.scale=slice",
    "input.size=16",
    "optimiser.batch=8",
    "optimiser.epochs=4",
    "optimiser.steps_per_epoch=1",
    "validate_every=0",
    "snapshot_every=2",
    "log_every=1",
)


def made_patient(seed: int = 0) -> tuple[Volume, Volume, Volume]:
    """T2, ADC and mask: a ball that is bright in one and dark in the other, in the middle slices."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((ROWS, COLUMNS))
    label = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    row, column = rng.uniform(9, 15), rng.uniform(8, 12)
    for k in range(2, 6):
        label[k][np.hypot(rows - row, columns - column) < 4] = 1
    t2 = 100 + 120 * label + rng.normal(0, 6, label.shape)
    adc = 200 - 120 * label + rng.normal(0, 6, label.shape)
    return (
        Volume(t2.astype(np.int16), *PLACE),
        Volume(adc.astype(np.int16), *PLACE),
        Volume(label, *PLACE),
    )


def made_dataset(folder: Path, count: int = 4, masks: bool = True, **more: Any) -> Dataset:
    """Cases 1, 2, ... with the channels T2 and ADC."""
    for id in range(1, count + 1):
        t2, adc, label = made_patient(id)
        write_volume(t2, folder / f"image_{id:02d}_t2.nii.gz")
        write_volume(adc, folder / f"image_{id:02d}_adc.nii.gz")
        if masks:
            write_volume(label, folder / f"label_{id:02d}.nii.gz")
    facts: dict[str, Any] = {
        "name": "balls",
        "modality": "MR",
        "labels": {"background": 0, "ball": 1},
        "image_pattern": "image_{id}_{channel}.nii.gz",
        "channels": {"T2": "t2", "ADC": "adc"},
        "folds": 2,
    }
    DatasetDescription.parse(facts | more).save(folder / "dataset.json")
    return Dataset.open(folder)


def tiny(*overrides: str) -> CmerSettings:
    """The quick preset with networks of two channels on slices of 16 x 16 pixels, for four steps."""
    preset = PRESETS["quick"].settings
    assert isinstance(preset, CmerSettings)
    return load(CmerSettings, preset, None, [*SMALL, *overrides])


RUNS = Runs(METHOD)
trained = RUNS.trained


def run(verb: str, *words: Any) -> dict[str, Any]:
    """A command of the method, as the command line runs it."""
    command = commands_of("cmer")[verb]
    parser = ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]), Reporter())
