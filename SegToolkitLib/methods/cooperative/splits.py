"""Which cases train and which validate: the data set's folds, or the published lists of ACDC patients.

The few-shot lists of the publication overlap: some patients validate a model that they have trained. Here
they leave the validation, unless it is asked to keep them.
Source: released loader of cooperative training.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from SegToolkitLib.dataset.dataset import Dataset, case_key
from SegToolkitLib.dataset.roles import sides_of
from SegToolkitLib.dataset.splits import Split, split_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.data_settings import DataSettings, Setting

TEST = tuple(block + n for block in (0, 20, 40, 60, 80) for n in (7, 8, 9, 10))
STANDARD_VALIDATION = (5, 20, 23, 37, 42, 46, 66, 78, 82, 97)
POOL = tuple(block + n for block in (0, 20, 40, 60, 80) for n in (1, 2, 3, 4, 5, 6, 12, 13))
PATIENTS = 100
# By cval.
VALIDATION = (
    (11, 71, 62, 95, 82),
    (11, 71, 2, 22, 95),
    (11, 71, 2, 62, 95),
    (11, 71, 22, 62, 95),
    (11, 71, 22, 62, 82),
)
NAMED = {
    "one_shot": ((2,), (42,), (22,), (62,), (95,)),
    "three_shot": ((2, 22, 42), (42, 62, 82), (22, 42, 82), (2, 42, 82), (2, 42, 95)),
}


@dataclass(frozen=True)
class AcdcSplit:
    """Numbers of ACDC patients, in the published order.

    Attributes:
        train, validate, test: whose volumes do what.
        leaked: those who train and stand in the published validation list, whether they were kept there.
    """

    train: tuple[int, ...]
    validate: tuple[int, ...]
    test: tuple[int, ...]
    leaked: tuple[int, ...]


def acdc_split(setting: Setting, cval: int = 0, keep_leak: bool = False) -> AcdcSplit:
    """The published split.

    Args:
        setting: "standard" (70 patients, the same for each ``cval``), a number of patients out of the pool of
            40, a part of it, "one_shot" or "three_shot".
        cval: which draw, 0 to 4.
        keep_leak: leave patients who train in the validation, as released.

    Raises:
        SegToolkitError: "acdc-split".
    """
    if cval not in range(len(VALIDATION)):
        raise SegToolkitError("acdc-split", f"There is no draw {cval}.", "The draws (cval) are 0 to 4.")
    if setting == "standard":
        held_out = {*TEST, *STANDARD_VALIDATION}
        train = tuple(n for n in range(1, PATIENTS + 1) if n not in held_out)
        return AcdcSplit(train, STANDARD_VALIDATION, TEST, ())
    train = NAMED[setting][cval] if isinstance(setting, str) else _drawn(setting, cval)
    leaked = tuple(n for n in VALIDATION[cval] if n in train)
    validate = tuple(n for n in VALIDATION[cval] if keep_leak or n not in leaked)
    return AcdcSplit(train, validate, TEST, leaked)


def _drawn(setting: float, cval: int) -> tuple[int, ...]:
    count = setting if isinstance(setting, int) else math.floor(len(POOL) * setting)
    if not 1 <= count <= len(POOL):
        raise SegToolkitError(
            "acdc-split",
            f"{setting} of {len(POOL)} patients are {count}.",
            f"Give a number of patients from 1 to {len(POOL)}, or a part of them between 0 and 1.",
        )
    if count == len(POOL):
        return POOL
    # The legacy generator, whose numbers NumPy has promised never to change.
    drawn = np.random.RandomState(cval).permutation(len(POOL))[-count:]
    return tuple(POOL[place] for place in drawn)


@dataclass(frozen=True)
class Roles:
    """Ids of the cases of a run.

    Attributes:
        train, held_out: labelled cases.
        unlabelled: cases of the training side that have no label of all structures, and so no use.
        leaked: cases that train and would validate by the published lists.
        incomplete: labelled cases of either side that do nothing, because not all structures were looked for
            in them; those of the training side count as unlabelled.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()


def roles_of(dataset: Dataset, settings: DataSettings) -> Roles:
    """Give each case of a data set its role.

    A case whose annotators did not look for every structure that is learnt has none: what they have not
    outlined would be background to the networks.

    Raises:
        SegToolkitError: "fold", "folds", "splits", "acdc-split", "no-case", "no-labels".
    """
    split, leaked = _split_of(dataset, settings)
    sides = sides_of(dataset, split, settings.cases, "data.split, data.fold, data.cases", settings.classes)
    lacking = {*sides.unlabelled, *sides.incomplete}
    return Roles(
        sides.labelled,
        sides.held_out,
        tuple(id for id in split.train if id in lacking),
        leaked,
        (*sides.incomplete, *sides.incomplete_held_out),
    )


def _split_of(dataset: Dataset, settings: DataSettings) -> tuple[Split, tuple[str, ...]]:
    if settings.split == "acdc":
        drawn = acdc_split(settings.setting, settings.cval, settings.keep_leak)
        return acdc_fold(dataset, drawn), cases_of(dataset, drawn.leaked)
    return split_of(dataset, settings.fold), ()


def acdc_folds(dataset: Dataset, setting: Setting) -> list[Split]:
    """The published draws as folds of a data set (for ``write_splits``): cval 0 to 4, one for "standard".

    Raises:
        SegToolkitError: "acdc-split": a draw finds none of its patients.
    """
    draws = 1 if setting == "standard" else len(VALIDATION)
    return [acdc_fold(dataset, acdc_split(setting, cval)) for cval in range(draws)]


def acdc_fold(dataset: Dataset, split: AcdcSplit) -> Split:
    """The cases of a split's patients; patients whom the data set lacks are passed over.

    Raises:
        SegToolkitError: "acdc-split": nobody to train on is there.
    """
    fold = Split(cases_of(dataset, split.train), cases_of(dataset, split.validate))
    if not fold.train:
        raise SegToolkitError(
            "acdc-split",
            f"{dataset.description.name} has no case of the ACDC patients"
            f" {', '.join(f'{n:03d}' for n in split.train[:10])}{' ...' if len(split.train) > 10 else ''}.",
            "Name cases after patients (001_ED, patient001_frame01), or take the folds of the data set"
            " (data.split=dataset).",
        )
    return fold


def cases_of(dataset: Dataset, patients: tuple[int, ...]) -> tuple[str, ...]:
    """Ids of the cases of ACDC patients, patient by patient.

    A case's patient is the one that the description names, else the first number in its id.
    """
    named = {case_key(id): patient for id, patient in dataset.description.patients.items()}
    by_number: dict[int, list[str]] = {}
    for id in dataset.ids:
        digits = re.search(r"\d+", named.get(id, id))
        if digits is not None:
            by_number.setdefault(int(digits[0]), []).append(id)
    return tuple(id for number in patients for id in by_number.get(number, ()))
