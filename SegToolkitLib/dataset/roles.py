"""The cases of a fold by what they do in a run that learns from labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.splits import Split, shuffled
from SegToolkitLib.errors import SegToolkitError


@dataclass(frozen=True)
class Sides:
    """Ids of the cases of a fold, in the fold's order.

    Attributes:
        labelled: cases of the training side that have a label.
        unlabelled: those that have none.
        held_out: labelled cases of the other side.
    """

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    held_out: tuple[str, ...]


def sides_of(dataset: Dataset, split: Split, cases: Sequence[str] | None, settings: str) -> Sides:
    """Part the cases of a fold.

    Args:
        dataset: of the run.
        split: the fold.
        cases: the only ones of the training side that are used; None uses all.
        settings: that choose the cases, for the hint of the complaint ("data.fold, data.cases").

    Raises:
        SegToolkitError: "no-case"; "no-labels": no training case has a label.
    """
    train = split.train
    if cases is not None:
        wanted = {dataset.case(id).id for id in cases}
        train = tuple(id for id in train if id in wanted)
    labelled = _with_label(dataset, train)
    if not labelled:
        raise SegToolkitError(
            "no-labels",
            f"No training case of {dataset.description.name} has a label.",
            f"Label some, or choose another split ({settings}).",
        )
    unlabelled = tuple(id for id in train if id not in set(labelled))
    return Sides(labelled, unlabelled, _with_label(dataset, split.val))


def _with_label(dataset: Dataset, ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(id for id in ids if dataset.case(id).label is not None)


def drawn_cases(ids: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    """So many of the cases, in their order. A smaller draw of a seed is a part of a larger one.

    Args:
        ids: of the cases.
        count: how many; all of them where there are no more.
        seed: another one draws others.
    """
    chosen = set(sorted(ids, key=lambda id: shuffled(seed, id))[:count])
    return tuple(id for id in ids if id in chosen)
