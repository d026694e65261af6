"""Which cases train and which validate, and what their labels are to the network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.dataset.splits import Split, make_splits, read_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.settings import DataSettings

MOST_CLASSES = 255


@dataclass(frozen=True)
class Roles:
    """Ids of the cases of a run.

    Attributes:
        train, held_out: labelled cases.
        not_drawn: labelled cases of the training side that the fraction leaves out.
        unlabelled: cases of the training side that have no label, and so no use.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    not_drawn: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()


def roles_of(dataset: Dataset, settings: DataSettings, seed: int) -> Roles:
    """Give each case of a data set its role; images of one patient stay on one side.

    Args:
        dataset: of the run.
        settings: the fold, and which of its training cases.
        seed: of the run; draws the fraction.

    Raises:
        SegToolkitError: "fold", "folds", "splits", "no-case", "no-labels".
    """
    split = _split_of(dataset, settings)
    train = split.train
    if settings.cases is not None:
        wanted = {dataset.case(id).id for id in settings.cases}
        train = tuple(id for id in train if id in wanted)
    labelled = tuple(id for id in train if dataset.case(id).label is not None)
    if not labelled:
        raise SegToolkitError(
            "no-labels",
            f"No training case of {dataset.description.name} has a label.",
            "Label some, or choose another split (data.fold, data.cases).",
        )
    chosen = drawn(labelled, settings.fraction, seed)
    return Roles(
        train=chosen,
        held_out=tuple(id for id in split.val if dataset.case(id).label is not None),
        not_drawn=tuple(id for id in labelled if id not in set(chosen)),
        unlabelled=tuple(id for id in train if id not in set(labelled)),
    )


def drawn(ids: Sequence[str], fraction: float, seed: int) -> tuple[str, ...]:
    """A part of the cases, in their order; one at least. A smaller part is a part of a larger one.

    A hash instead of a generator of random numbers: it never changes with a library's version.
    """
    count = max(1, round(fraction * len(ids)))
    order = sorted(ids, key=lambda id: hashlib.sha256(f"{seed}:{id}".encode()).digest())
    chosen = set(order[:count])
    return tuple(id for id in ids if id in chosen)


def _split_of(dataset: Dataset, settings: DataSettings) -> Split:
    if settings.fold is None:
        return Split(tuple(dataset.ids), ())
    labelled = {dataset.patients[case.id] for case in dataset.cases if case.label is not None}
    # A fold needs a labelled patient of its own to validate on; few patients make few folds.
    count = max(2, min(dataset.fold_count or dataset.description.folds, len(labelled)))
    splits = read_splits(dataset) or make_splits(dataset, count)
    if settings.fold >= len(splits):
        raise SegToolkitError(
            "fold",
            f"There is no fold {settings.fold}.",
            f"The folds are numbered 0 to {len(splits) - 1}; null (--fold none) trains on all.",
        )
    return splits[settings.fold]


def classes_of(dataset: Dataset, settings: DataSettings) -> dict[int, int]:
    """Label value -> class: as the settings say, else the data set's labels in the order of their values.

    Raises:
        SegToolkitError: "no-labels", "unknown-label", "too-many-labels".
    """
    labels = dataset.description.labels
    known = sorted(value for name, value in labels.items() if value != 0 and name.casefold() != IGNORE)
    if not known:
        raise SegToolkitError(
            "no-labels",
            f"{dataset.description.name} describes no structures.",
            "Name their values under 'labels' in its dataset.json.",
        )
    if settings.classes is None:
        classes = {value: number for number, value in enumerate(known, start=1)}
    else:
        strange = sorted(set(settings.classes) - set(known))
        if strange:
            raise SegToolkitError(
                "unknown-label",
                f"{dataset.description.name} has no label {strange[0]} that could be a class.",
                f"Its labels are {labels}; mend data.classes.",
            )
        classes = dict(settings.classes)
    if len(set(classes.values())) > MOST_CLASSES:
        raise SegToolkitError(
            "too-many-labels",
            f"{dataset.description.name} has {len(classes)} structures; {MOST_CLASSES} are the most.",
            "Leave out some of them.",
        )
    return classes


def class_names(dataset: Dataset, settings: DataSettings) -> dict[int, str]:
    """Class -> name; labels that share a class share its name ("left lung + right lung").

    Raises:
        SegToolkitError: as :func:`classes_of`.
    """
    by_value = {value: name for name, value in dataset.description.labels.items()}
    names: dict[int, list[str]] = {}
    for value, number in sorted(classes_of(dataset, settings).items()):
        names.setdefault(number, []).append(by_value[value])
    return {number: " + ".join(joined) for number, joined in sorted(names.items())}


def class_values(dataset: Dataset, settings: DataSettings) -> dict[int, int]:
    """Class -> the label value that results hold; of several labels in a class, the least."""
    values: dict[int, int] = {}
    for value, number in sorted(classes_of(dataset, settings).items()):
        values.setdefault(number, value)
    return dict(sorted(values.items()))
