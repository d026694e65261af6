"""The cases of a fold by what they do in a run that learns from labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from SegToolkitLib.dataset.classes import not_looked_for
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
        incomplete, incomplete_held_out: labelled cases in which nobody looked for one of the structures. They
            are in no other list: a network would learn, or be measured against, background that is none.
    """

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    held_out: tuple[str, ...]
    incomplete: tuple[str, ...] = ()
    incomplete_held_out: tuple[str, ...] = ()


def sides_of(
    dataset: Dataset,
    split: Split,
    cases: Sequence[str] | None,
    settings: str,
    values: Collection[int] | None = None,
) -> Sides:
    """Part the cases of a fold.

    Args:
        dataset: of the run.
        split: the fold.
        cases: the only ones of the training side that are used; None uses all.
        settings: that choose the cases, for the hint of the complaint ("data.fold, data.cases").
        values: of the labels that are learnt; None takes all.

    Raises:
        SegToolkitError: "no-case"; "no-labels": no training case has a label, with all structures.
    """
    train = split.train
    if cases is not None:
        wanted = {dataset.case(id).id for id in cases}
        train = tuple(id for id in train if id in wanted)
    labelled, incomplete = _with_label(dataset, train, values)
    if not labelled:
        if incomplete:
            names = ", ".join(not_looked_for(dataset, incomplete[0], values))
            raise SegToolkitError(
                "no-labels",
                f"In no training case of {dataset.description.name} all structures were looked for; in"
                f" {incomplete[0]}, {names} {'were' if ',' in names else 'was'} not.",
                f"Annotate the structures in some, leave them out, or choose another split ({settings}).",
            )
        raise SegToolkitError(
            "no-labels",
            f"No training case of {dataset.description.name} has a label.",
            f"Label some, or choose another split ({settings}).",
        )
    unlabelled = tuple(id for id in train if dataset.case(id).label is None)
    held_out, left_out = _with_label(dataset, split.val, values)
    return Sides(labelled, unlabelled, held_out, incomplete, left_out)


def _with_label(
    dataset: Dataset, ids: Sequence[str], values: Collection[int] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Cases with a label for all structures, and cases with a label that lacks one."""
    found = [id for id in ids if dataset.case(id).label is not None]
    lacking = {id for id in found if not_looked_for(dataset, id, values)}
    return tuple(id for id in found if id not in lacking), tuple(id for id in found if id in lacking)


def drawn_cases(ids: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    """So many of the cases, in their order. A smaller draw of a seed is a part of a larger one.

    Args:
        ids: of the cases.
        count: how many; all of them where there are no more.
        seed: another one draws others.
    """
    chosen = set(sorted(ids, key=lambda id: shuffled(seed, id))[:count])
    return tuple(id for id in ids if id in chosen)
