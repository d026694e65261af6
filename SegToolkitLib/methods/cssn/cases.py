"""Which cases teach with their labels, which without, and which validate."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from SegToolkitLib.dataset.dataset import Dataset, case_key
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.dataset.splits import Split, make_splits, read_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.folds import published_folds
from SegToolkitLib.methods.cssn.settings import DataSettings


@dataclass(frozen=True)
class Roles:
    """Ids of the cases by what they do in a run; no case has two roles.

    Attributes:
        labelled: with their labels.
        unlabelled: without, whether they have labels or not.
        held_out: for validation; empty where the run trains on all.
        incomplete: those among ``unlabelled`` whose labels lack a structure.
    """

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    held_out: tuple[str, ...]
    incomplete: tuple[str, ...] = ()


def organs_of(dataset: Dataset) -> dict[int, str]:
    """Value -> name of the structures, in the order of the channels.

    Raises:
        SegToolkitError: "no-labels", "too-many-labels".
    """
    labels = dataset.description.labels
    organs = {value: name for name, value in labels.items() if value != 0 and name.casefold() != IGNORE}
    if not organs:
        raise SegToolkitError(
            "no-labels",
            f"{dataset.description.name} describes no structures.",
            "Name their values under 'labels' in its dataset.json.",
        )
    if len(organs) > 255:
        raise SegToolkitError(
            "too-many-labels",
            f"{dataset.description.name} describes {len(organs)} structures; 255 are the most.",
            "Leave out some of them.",
        )
    return dict(sorted(organs.items()))


def roles_of(
    dataset: Dataset, settings: DataSettings, seed: int, selected: Sequence[str] | None = None
) -> Roles:
    """Give each case its role.

    A case whose annotators did not look for every structure cannot teach with its label, where
    background means nothing, and counts as unlabelled.

    Args:
        dataset: of the run.
        settings: fold, split and limits.
        seed: draws the labelled cases where only their number is given.
        selected: unlabelled cases that were found reliable; None takes all.

    Raises:
        SegToolkitError: "fold", "folds", "splits", "no-case", "too-few-labels".
    """
    split = split_of(dataset, settings)
    whole = [id for id in split.train if dataset.case(id).label is not None]
    incomplete = tuple(id for id in whole if dataset.not_annotated.get(id))
    teaching = [id for id in whole if id not in incomplete]
    labelled = _labelled(dataset, teaching, settings, seed)
    others = [id for id in split.train if id not in set(labelled)]
    for wanted in (settings.unlabelled, selected):
        if wanted is not None:
            keys = {case_key(str(id)) for id in wanted}
            _check_known(dataset, keys)
            others = [id for id in others if id in keys]
    held_out = tuple(id for id in split.val if dataset.case(id).label is not None)
    return Roles(labelled, tuple(others), held_out, tuple(id for id in incomplete if id in set(others)))


def split_of(dataset: Dataset, settings: DataSettings) -> Split:
    """Training and validation cases of the fold; without a fold all train and none validates."""
    if settings.fold is None:
        return Split(tuple(dataset.ids), ())
    if settings.split == "released":
        labelled = [case.id for case in dataset.cases if case.label is not None]
        unlabelled = tuple(case.id for case in dataset.cases if case.label is None)
        splits = [Split(one.train + unlabelled, one.val) for one in published_folds(labelled)]
    else:
        # A fold needs a labelled patient of its own to validate on; a few labels among many make few folds.
        scored = {dataset.patients[case.id] for case in dataset.cases if case.label is not None}
        folds = max(2, min(dataset.fold_count or dataset.description.folds, len(scored)))
        splits = read_splits(dataset) or make_splits(dataset, folds)
    if settings.fold >= len(splits):
        raise SegToolkitError(
            "fold",
            f"There is no fold {settings.fold}.",
            f"The folds are numbered 0 to {len(splits) - 1}; null (--fold none) trains on all.",
        )
    return splits[settings.fold]


def _labelled(
    dataset: Dataset, teaching: Sequence[str], settings: DataSettings, seed: int
) -> tuple[str, ...]:
    chosen = list(teaching)
    if settings.labelled is not None:
        keys = {case_key(id) for id in settings.labelled}
        _check_known(dataset, keys)
        chosen = [id for id in chosen if id in keys]
    if settings.labelled_count is not None:
        # A hash in place of a generator: it never changes with a library's version.
        drawn = sorted(chosen, key=lambda id: hashlib.sha256(f"{seed}:{id}".encode()).digest())
        kept = set(drawn[: settings.labelled_count])
        chosen = [id for id in chosen if id in kept]
    least = settings.labelled_count or 1
    if len(chosen) < least:
        raise SegToolkitError(
            "too-few-labels",
            f"{least} labelled training case{'s' * (least > 1)} {'are' if least > 1 else 'is'} needed,"
            f" but the fold has {len(chosen) or 'none'}.",
            "Label more cases, or ask for fewer (data.labelled_count, data.labelled).",
        )
    return tuple(chosen)


def _check_known(dataset: Dataset, keys: set[str]) -> None:
    unknown = sorted(keys - set(dataset.ids))
    if unknown:
        raise SegToolkitError(
            "no-case",
            f"{dataset.description.name} has no case {unknown[0]}.",
            f"It has {', '.join(dataset.ids[:20])}{' ...' if len(dataset.ids) > 20 else ''}.",
        )
