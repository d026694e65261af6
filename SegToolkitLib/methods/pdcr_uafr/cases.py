"""Which cases train and which validate, and what their labels are to the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.roles import drawn_cases, sides_of
from SegToolkitLib.dataset.splits import split_of
from SegToolkitLib.methods.pdcr_uafr.settings import DataSettings


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
    sides = sides_of(dataset, split_of(dataset, settings.fold), settings.cases, "data.fold, data.cases")
    chosen = drawn(sides.labelled, settings.fraction, seed)
    return Roles(
        train=chosen,
        held_out=sides.held_out,
        not_drawn=tuple(id for id in sides.labelled if id not in set(chosen)),
        unlabelled=sides.unlabelled,
    )


def drawn(ids: Sequence[str], fraction: float, seed: int) -> tuple[str, ...]:
    """A part of the cases, in their order; one at least. A smaller part is a part of a larger one."""
    return drawn_cases(ids, max(1, round(fraction * len(ids))), seed)
