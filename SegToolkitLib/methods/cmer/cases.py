"""Which cases train and which validate, and what is known of their slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.channels import files_of
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.dataset.in_place import header_of
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.dataset.slice_tags import TAGS_FILE
from SegToolkitLib.dataset.splits import split_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.settings import DataSettings
from SegToolkitLib.methods.cmer.tags import Tags, from_csv
from SegToolkitLib.volume import Grid, Volume
from SegToolkitLib.volume.slicewise import SlicesLast, slice_axis


@dataclass(frozen=True)
class Roles:
    """Ids of the cases; no patient is on both sides."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def roles_of(dataset: Dataset, settings: DataSettings) -> Roles:
    """The cases of the fold: of splits.json where there is one, else cut anew, patient by patient.

    Without masks all cases count alike; where some have one, these validate.

    Raises:
        SegToolkitError: "fold", "folds", "splits".
    """
    if settings.cases is not None:
        return _roles_of_some(dataset, settings.cases, settings)
    split = split_of(dataset, settings.fold, settings.folds, without_labels=True)
    return Roles(split.train, split.val)


def _roles_of_some(dataset: Dataset, cases: Sequence[str], settings: DataSettings) -> Roles:
    """Of the cases that are named; ids that there are not are errors."""
    ids = [dataset.case(id).id for id in cases]
    if settings.fold is None:
        return Roles(tuple(ids), ())
    patients = sorted({dataset.patients[id] for id in ids})
    folds = min(settings.folds or len(patients), len(patients))
    if folds < 2 or settings.fold >= folds:
        raise SegToolkitError(
            "fold",
            f"There is no fold {settings.fold} of {len(patients)} patients.",
            f"The folds are numbered 0 to {folds - 1}; null (--fold none) trains on all."
            if folds > 1
            else "Name cases of two or more patients, or train on all (--fold none).",
        )
    out = set(patients[settings.fold :: folds])
    held_out = tuple(id for id in ids if dataset.patients[id] in out)
    return Roles(tuple(id for id in ids if id not in held_out), held_out)


def object_values(dataset: Dataset, structures: Sequence[str] | None) -> tuple[int, ...]:
    """Values of the labels that are the object; none where the data set describes no structures.

    Raises:
        SegToolkitError: "unknown-structure".
    """
    labels = {name: value for name, value in dataset.description.labels.items() if value != 0}
    if structures is None:
        return tuple(sorted(value for name, value in labels.items() if name.casefold() != IGNORE))
    known = {name.casefold(): value for name, value in labels.items()}
    missing = [name for name in structures if name.casefold() not in known]
    if missing:
        raise SegToolkitError(
            "unknown-structure",
            f"{dataset.description.name} has no structure {missing[0]!r}.",
            f"It has {', '.join(labels) or 'none'}; mend data.structures.",
        )
    return tuple(sorted(known[name.casefold()] for name in structures))


def ignore_value(dataset: Dataset) -> int | None:
    """The label of what masks leave open; None where there is none."""
    labels = dataset.description.labels
    return next((value for name, value in labels.items() if name.casefold() == IGNORE), None)


def object_name(dataset: Dataset, settings: DataSettings) -> str:
    """What the maps show."""
    if settings.object_name is not None:
        return settings.object_name
    values = object_values(dataset, settings.structures)
    names = [name for name, value in dataset.description.labels.items() if value in values]
    return names[0] if len(names) == 1 else "object"


def slice_count(case: Case, modality: str | None = None) -> int:
    """Slices of a case, as its first image's header says.

    Raises:
        SegToolkitError: "unreadable", "no-channel".
    """
    file = next(iter(files_of(case, None if modality is None else [modality]).values()))
    header = header_of(file)
    if header is None:
        raise SegToolkitError("unreadable", f"{file} could not be read.", "Check the path and the file.")
    if len(header.size) < 3:
        return 1
    i, j, k = header.size[:3]
    x, y, z = header.spacing[:3]
    grid = Grid((k, j, i), (x, y, z), (0.0, 0.0, 0.0), np.eye(3), file.name)
    return int(grid.size[slice_axis(grid)])


def slices_with(label: Volume, values: Sequence[int]) -> NDArray[np.bool_]:
    """Which slices of a label hold one of the values, bool [Z]."""
    upright, _ = SlicesLast().apply(label, label=True)
    return np.asarray(np.isin(upright.voxels, values).any(axis=(1, 2)))


def given_tags(dataset: Dataset, modality: str, file: Path | None) -> Tags:
    """Tags of a file, else those that lie in the data set's folder; none of cases that they do not name.

    Args:
        dataset: of the cases.
        modality: the first one, whose slices count.
        file: as ``tags`` reads it.

    Raises:
        SegToolkitError: what reading raises.
    """
    path = file or dataset.folder / TAGS_FILE
    if file is None and not path.is_file():
        return {}
    found = from_csv(path, {case.id: slice_count(case, modality) for case in dataset.cases})
    return {id: tags for id, tags in found.items() if any(tag is not None for tag in tags)}
