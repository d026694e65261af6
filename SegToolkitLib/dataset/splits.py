"""splits.json: which cases train and which validate in each fold, in a file that people can edit.

Its form is that of nnU-Net's splits_final.json: for each fold one {"train": [case, ...], "val": [case, ...]}.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegToolkitLib.atomic import write_text
from SegToolkitLib.dataset.case import Case
from SegToolkitLib.dataset.folds import FoldSplit
from SegToolkitLib.errors import SegToolkitError

if TYPE_CHECKING:
    from SegToolkitLib.dataset.dataset import Dataset

FILE_NAME = "splits.json"
NNUNET_NAME = "splits_final.json"
HINT = f"Mend {FILE_NAME}, or make it anew (segtoolkit dataset split --overwrite)."


@dataclass(frozen=True)
class Split:
    """The cases of one fold, by id, in the order of the data set (or of the file)."""

    train: tuple[str, ...]
    val: tuple[str, ...]


def make_splits(dataset: Dataset, folds: int = 5, seed: int = 0) -> list[Split]:
    """Cut a data set into folds such that no patient is on both sides of one.

    Each labelled case validates in exactly one fold. An unlabelled case cannot validate, so it trains in
    every fold but that of its patient. Without any labels, all cases count alike.

    Args:
        dataset: what to split.
        folds: number of folds, 2 or more.
        seed: another one gives other folds; the same one gives the same on every machine.

    Raises:
        SegToolkitError: "folds": fewer than two folds, or more folds than patients.
    """
    cases, patients = dataset.cases, dataset.patients
    scored = [case for case in cases if case.label is not None] or list(cases)
    groups: dict[str, int] = {}
    for case in scored:
        groups[patients[case.id]] = groups.get(patients[case.id], 0) + 1
    if not 2 <= folds <= len(groups):
        range_ = f"Choose between 2 and {len(groups)} folds (segtoolkit dataset split --folds)"
        mend = range_ if len(groups) > 1 else "Add patients"
        raise SegToolkitError(
            "folds",
            f"The cases of {len(groups)} patient{'s' * (len(groups) != 1)} cannot be cut into {folds} folds.",
            f"{mend}, or train on all: data.fold null (--fold none).",
        )
    # Large groups go first, which keeps the folds even.
    order = sorted(groups, key=lambda one: (-groups[one], shuffled(seed, one)))
    sizes, fold_of = [0] * folds, {}
    for patient in order:
        fold = sizes.index(min(sizes))
        fold_of[patient] = fold
        sizes[fold] += groups[patient]
    scored_ids = {case.id for case in scored}
    return [
        Split(
            train=tuple(case.id for case in cases if fold_of.get(patients[case.id]) != fold),
            val=tuple(
                case.id for case in cases if case.id in scored_ids and fold_of[patients[case.id]] == fold
            ),
        )
        for fold in range(folds)
    ]


def split_of(
    dataset: Dataset, fold: int | None, folds: int | None = None, *, without_labels: bool = False
) -> Split:
    """The cases of a run's fold: of splits.json where there is one, else cut anew, patient by patient.

    Args:
        dataset: of the run.
        fold: from 0; None trains on all cases and validates on none.
        folds: how many to cut; None takes what the data set says. There are never more than patients that
            can be validated on: those with a labelled case.
        without_labels: where no case has a label, any patient can be validated on.

    Raises:
        SegToolkitError: "fold": there is no such fold; "folds", "splits".
    """
    if fold is None:
        return Split(tuple(dataset.ids), ())
    splits = read_splits(dataset)
    if splits is None:
        scored = [case for case in dataset.cases if case.label is not None]
        if not scored and without_labels:
            scored = list(dataset.cases)
        patients = {dataset.patients[case.id] for case in scored}
        # A fold needs a patient of its own to validate on; few patients make few folds.
        most = folds or dataset.fold_count or dataset.description.folds
        splits = make_splits(dataset, max(2, min(most, len(patients))))
    return fold_of(splits, fold)


def fold_of(splits: Sequence[Split], fold: int) -> Split:
    """One of these folds.

    Raises:
        SegToolkitError: "fold": there is no such fold.
    """
    if fold >= len(splits):
        raise SegToolkitError(
            "fold",
            f"There is no fold {fold}.",
            f"The folds are numbered 0 to {len(splits) - 1}; null (--fold none) trains on all.",
        )
    return splits[fold]


def write_splits(dataset: Dataset, splits: Sequence[Split], *, overwrite: bool = False) -> Path:
    """Write splits.json into the data set's folder, whole or not at all.

    Raises:
        SegToolkitError: "splits-exist" without ``overwrite``; "write-failed".
    """
    path = dataset.folder / FILE_NAME
    if path.exists() and not overwrite:
        raise SegToolkitError(
            "splits-exist",
            f"{path} exists, and runs may rest on its folds.",
            "Say that it may be overwritten (--overwrite), or edit it.",
        )
    _write(path, [{"train": list(one.train), "val": list(one.val)} for one in splits])
    return path


def write_nnunet_splits(dataset: Dataset, splits: Sequence[Split], path: Path) -> None:
    """Write nnU-Net's splits_final.json: file names in place of ids, and no case without a label.

    nnU-Net looks for it beside its preprocessed data (``nnUNet_preprocessed/<data set>``).

    Raises:
        SegToolkitError: "write-failed".
    """
    names = {case.id: file_identifier(case) for case in dataset.cases if case.label is not None}
    _write(
        path,
        [
            {side: [names[id] for id in ids if id in names] for side, ids in _sides(one).items()}
            for one in splits
        ],
    )


def file_identifier(case: Case) -> str:
    """nnU-Net's name of a case: the file's name without channel and ending ("008", where the id is "8")."""
    name = case.image.name
    stem = name[: -len(".nii.gz")] if name.endswith(".nii.gz") else case.image.stem
    return stem[:-5] if len(stem) > 5 and stem[-5] == "_" and stem[-4:].isdecimal() else stem


def read_splits(dataset: Dataset) -> list[Split] | None:
    """Read splits.json, or return None where the folder has none.

    Raises:
        SegToolkitError: "splits": it is not of the form described above, names a case that there is not or
            one case twice, has a patient on both sides of a fold, or an empty side.
    """
    path = dataset.folder / FILE_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _wrong(path, f"it cannot be read ({error})") from error
    if not isinstance(values, list) or not values:
        raise _wrong(path, 'it must be a list with one {"train": [...], "val": [...]} for each fold')
    # Also without the zeros in front that a file's name may have.
    known = {name: case.id for case in dataset.cases for name in (file_identifier(case), case.id)}
    return [_read_split(path, fold, one, known, dataset.patients) for fold, one in enumerate(values)]


def support_split(splits: Sequence[Split], fold: int, n_support: int) -> FoldSplit:
    """A fold for few-shot methods: the last ``n_support`` validation cases are the examples.

    Raises:
        SegToolkitError: "fold" or "support".
    """
    if not 0 <= fold < len(splits):
        raise SegToolkitError(
            "fold",
            f"There is no fold {fold} in {FILE_NAME}.",
            f"The folds are numbered 0 to {len(splits) - 1}.",
        )
    if n_support < 1:
        raise SegToolkitError("support", f"{n_support} support scans were asked for.", "One is the least.")
    split = splits[fold]
    if len(split.val) <= n_support:
        raise SegToolkitError(
            "fold",
            f"Fold {fold} of {FILE_NAME} holds out {len(split.val)} cases; with {n_support} of them as"
            " examples, none is left to segment.",
            "Make fewer folds (segtoolkit dataset split --folds), or take fewer examples.",
        )
    return FoldSplit(split.train, split.val[:-n_support], split.val[-n_support:])


def _read_split(path: Path, fold: int, value: Any, known: dict[str, str], patients: dict[str, str]) -> Split:
    if not isinstance(value, dict) or set(value) != {"train", "val"}:
        raise _wrong(path, f'fold {fold} must hold "train" and "val", and nothing else')
    sides: dict[str, tuple[str, ...]] = {}
    for side, ids in value.items():
        if not isinstance(ids, list) or not all(isinstance(id, (str, int)) for id in ids):
            raise _wrong(path, f'"{side}" of fold {fold} must be a list of cases')
        if not ids:
            raise _wrong(path, f'"{side}" of fold {fold} is empty')
        unknown = [str(id) for id in ids if str(id) not in known]
        if unknown:
            raise _wrong(path, f'"{side}" of fold {fold} names {_few(unknown)}, which the data set lacks')
        sides[side] = tuple(known[str(id)] for id in ids)
    seen: set[str] = set()
    for id in (*sides["train"], *sides["val"]):
        if id in seen:
            raise _wrong(path, f"fold {fold} names case {id} twice")
        seen.add(id)
    both = {patients[id] for id in sides["train"]} & {patients[id] for id in sides["val"]}
    if both:
        raise _wrong(path, f"fold {fold} has patient {min(both)} both in training and in validation")
    return Split(sides["train"], sides["val"])


def _wrong(path: Path, what: str) -> SegToolkitError:
    return SegToolkitError("splits", f"{path} is wrong: {what}.", HINT)


def _few(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _sides(split: Split) -> dict[str, tuple[str, ...]]:
    return {"train": split.train, "val": split.val}


def shuffled(seed: int, id: str) -> bytes:
    """A key to sort cases or patients by, in an order that is drawn: the same on every machine."""
    # A hash instead of a generator of random numbers: it never changes with a library's version.
    return hashlib.sha256(f"{seed}:{id}".encode()).digest()


def _write(path: Path, folds: list[dict[str, list[str]]]) -> None:
    # One case a line: easy to move from one list to another in an editor.
    write_text(path, json.dumps(folds, indent=1, ensure_ascii=False) + "\n")
