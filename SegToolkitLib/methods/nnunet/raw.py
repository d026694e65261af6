"""A data set in nnU-Net's raw folder: linked where files fit, written anew where they do not; no torch."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.classes import structures_of
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.dataset.nnunet import IGNORE, IMAGES, LABELS
from SegToolkitLib.dataset.splits import (
    NNUNET_NAME,
    file_identifier,
    make_splits,
    read_splits,
    write_nnunet_splits,
)
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import read_volume, write_volume
from SegToolkitLib.volume.segmentation_file import is_segmentation_name

# Endings that nnU-Net's usual reader takes.
ENDINGS = (".nii.gz", ".nrrd", ".mha")
WRITTEN = ENDINGS[0]
MOST_FOLDS = 5


def write_raw(
    dataset: Dataset,
    home: Path,
    number: int,
    name: str | None = None,
    copy: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    only: Collection[str] | None = None,
) -> Path:
    """Put the labelled cases of a data set into ``home/raw/DatasetNNN_Name``: all of them, or nothing.

    Label values become 1, 2, ... in their order, as nnU-Net wants them; voxels that are to be ignored get the
    highest. Folds by patients (splits.json, or cut anew) go to ``home/preprocessed``, where nnU-Net takes
    them for its own.

    Args:
        dataset: to use.
        home: above nnU-Net's folders raw, preprocessed and results, which are made.
        number: of the data set for nnU-Net, 1 to 999.
        name: for nnU-Net; None takes the data set's.
        copy: copy files instead of linking them.
        progress: called with (done, total) after each case; what it raises ends the work.
        only: ids of the cases that are taken, whose folds the caller writes; None takes all.

    Returns:
        The folder of the data set.

    Raises:
        SegToolkitError: "dataset-number", "dataset-exists", "pictures", "same-name", "no-cases",
            "no-labels", or what reading and writing raise.
    """
    if not 1 <= number <= 999:
        raise SegToolkitError("dataset-number", f"{number} is no number for nnU-Net.", "Choose 1 to 999.")
    if dataset.description.pictures:
        raise SegToolkitError(
            "pictures",
            f"{dataset.description.name} holds pictures, which are not brought to nnU-Net.",
            "Train them with pdcr_uafr, or write them as nnU-Net wants them (.png).",
        )
    cases = [case for case in dataset.cases if case.label is not None and (only is None or case.id in only)]
    if not cases:
        raise SegToolkitError("no-cases", f"{dataset.description.name} has no labelled case.", "Label some.")
    title = f"Dataset{number:03d}_{_plain(name or dataset.description.name)}"
    raw = home / "raw"
    taken = sorted(place.name for place in raw.glob(f"Dataset{number:03d}_*"))
    if taken:
        raise SegToolkitError(
            "dataset-exists",
            f"{raw} holds {taken[0]} already.",
            "Choose another number, or remove that folder.",
        )
    making = raw / f".making-{uuid.uuid4().hex[:8]}"
    try:
        for part in (making / IMAGES, making / LABELS, home / "preprocessed" / title, home / "results"):
            part.mkdir(parents=True, exist_ok=True)
        _fill(making, dataset, cases, copy, progress)
        if only is None:
            _write_splits(dataset, home / "preprocessed" / title / NNUNET_NAME)
        making.rename(raw / title)
    except OSError as error:
        raise SegToolkitError(
            "write-failed",
            f"{raw} could not be written: {error.strerror or error}.",
            "Check the folder, its permissions, and that the disk is not full.",
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return raw / title


def _fill(
    folder: Path, dataset: Dataset, cases: list[Case], copy: bool, progress: Callable[[int, int], None]
) -> None:
    structures = structures_of(dataset)
    values = {value: number for number, value in enumerate(structures, start=1)}
    labels = {"background": 0, **{name: values[value] for value, name in structures.items()}}
    for name, value in dataset.description.labels.items():
        if name.casefold() == IGNORE:
            values[value] = labels[IGNORE] = len(structures) + 1
    ending = _common_ending([file for case in cases for file in case.image_files])
    names = [file_identifier(case) for case in cases]
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise SegToolkitError(
            "same-name", f"Two cases have files called {doubled!r}.", "Rename the files of one of them."
        )
    for done, (case, name) in enumerate(zip(cases, names, strict=True), start=1):
        for channel, file in enumerate(case.image_files):
            target = folder / IMAGES / f"{name}_{channel:04d}{ending or WRITTEN}"
            if ending is None:
                write_volume(read_volume(file), target)
            else:
                _link(file, target, copy)
        _label(case, folder / LABELS / f"{name}{ending or WRITTEN}", values, copy)
        progress(done, len(cases))
    channels = list(dataset.description.channels) or [dataset.description.modality]
    content = {
        "name": dataset.description.name,
        "channel_names": {str(place): channel for place, channel in enumerate(channels)},
        "labels": labels,
        "numTraining": len(cases),
        "file_ending": ending or WRITTEN,
    }
    write_json(folder / "dataset.json", content)


def _label(case: Case, target: Path, values: Mapping[int, int], copy: bool) -> None:
    assert case.label is not None
    plain = _ending(case.label) == _ending(target) and not is_segmentation_name(case.label)
    if plain and all(old == new for old, new in values.items()):
        _link(case.label, target, copy)
        return
    label = read_volume(case.label, label=True)
    numbers = np.zeros(label.voxels.shape, np.uint8)
    for old, new in values.items():
        numbers[label.voxels == old] = new
    write_volume(label.with_voxels(numbers), target)


def _write_splits(dataset: Dataset, path: Path) -> None:
    """nnU-Net cuts folds case by case; two scans of a patient must not end up on both sides."""
    patients = {dataset.patients[case.id] for case in dataset.cases if case.label is not None}
    if len(patients) < 2:
        return
    splits = read_splits(dataset) or make_splits(dataset, min(MOST_FOLDS, len(patients)))
    write_nnunet_splits(dataset, splits, path)


def _common_ending(files: list[Path]) -> str | None:
    """The ending that all files have and nnU-Net reads; None where they have to be written anew."""
    endings = {_ending(file) for file in files}
    return endings.pop() if len(endings) == 1 else None


def _ending(file: Path) -> str | None:
    return next((ending for ending in ENDINGS if file.name.endswith(ending)), None)


def _link(file: Path, target: Path, copy: bool) -> None:
    source = file.resolve()
    if not copy:
        for link in (os.link, os.symlink):
            with suppress(OSError, NotImplementedError):
                link(source, target)
                return
    shutil.copyfile(source, target)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "SegToolkit"
