"""Which cases teach with their labels, which without, and which validate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from SegToolkitLib.dataset import splits
from SegToolkitLib.dataset.classes import MOST_CLASSES, structures_of
from SegToolkitLib.dataset.dataset import Case, Dataset, case_key
from SegToolkitLib.dataset.roles import drawn_cases
from SegToolkitLib.dataset.splits import Split
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
        not_judged: of the fold that is held out, without a role because their labels lack a structure.
    """

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    held_out: tuple[str, ...]
    incomplete: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()


def organs_of(dataset: Dataset) -> dict[int, str]:
    """Value -> name of the structures, in the order of the channels.

    Raises:
        SegToolkitError: "no-labels", "too-many-labels".
    """
    organs = structures_of(dataset)
    if len(organs) > MOST_CLASSES:
        raise SegToolkitError(
            "too-many-labels",
            f"{dataset.description.name} describes {len(organs)} structures; {MOST_CLASSES} are the most.",
            "Leave out some of them.",
        )
    return organs


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
    with_label = [id for id in split.val if dataset.case(id).label is not None]
    # There, a structure that is found where nobody looked for it would count as false.
    not_judged = tuple(id for id in with_label if dataset.not_annotated.get(id))
    held_out = tuple(id for id in with_label if id not in not_judged)
    used = tuple(id for id in incomplete if id in set(others))
    return Roles(labelled, tuple(others), held_out, used, not_judged)


def split_of(dataset: Dataset, settings: DataSettings) -> Split:
    """Training and validation cases of the fold; without a fold all train and none validates."""
    if settings.fold is None or settings.split != "released":
        return splits.split_of(dataset, settings.fold)
    labelled = {_written_id(dataset, case): case.id for case in dataset.cases if case.label is not None}
    unlabelled = tuple(case.id for case in dataset.cases if case.label is None)
    published = [
        Split(
            tuple(labelled[name] for name in one.train) + unlabelled,
            tuple(labelled[name] for name in one.val),
        )
        for one in published_folds(list(labelled))
    ]
    return splits.fold_of(published, settings.fold)


def _written_id(dataset: Dataset, case: Case) -> str:
    """A labelled case's id as its file's name has it: "0010" for case 10. The authors sort these bytes."""
    if dataset.listing is not None:
        return next(written for written in dataset.listing if case_key(written) == case.id)
    pattern = dataset.description.image_pattern.replace("{channel}", dataset.description.main_channel or "")
    before, _, behind = pattern.partition("{id}")
    name = case.image.relative_to(dataset.folder).as_posix()
    return name[len(before) : len(name) - len(behind)]


def _labelled(
    dataset: Dataset, teaching: Sequence[str], settings: DataSettings, seed: int
) -> tuple[str, ...]:
    chosen = list(teaching)
    if settings.labelled is not None:
        keys = {case_key(id) for id in settings.labelled}
        _check_known(dataset, keys)
        chosen = [id for id in chosen if id in keys]
    if settings.labelled_count is not None:
        chosen = list(drawn_cases(chosen, settings.labelled_count, seed))
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
