"""The roles of cases in a run that learns from labels alone, and a part of them that is drawn.

Patients are drawn, not images: what one patient's images share is not to be learnt twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.roles import drawn_cases, sides_of
from SegToolkitLib.dataset.splits import split_of
from SegToolkitLib.events import Reporter

# Who trained, who validated, and who was left out by the fraction; in the run's folder.
CASES_FILE = "cases.json"


class ChoosesCases(Protocol):
    """Settings of the data, of any method.

    Attributes:
        fold: that validates; None holds nothing out.
        cases: the only ones of the training side that are used; None uses all.
        fraction: of the patients on the training side, at least one. A smaller part is part of a larger one.
    """

    @property
    def fold(self) -> int | None: ...

    @property
    def cases(self) -> Sequence[str] | None: ...

    @property
    def fraction(self) -> float: ...


@dataclass(frozen=True)
class Roles:
    """Ids of the cases of a run.

    Attributes:
        train, held_out: labelled cases.
        not_drawn: labelled cases of the training side that the fraction leaves out.
        unlabelled: cases of the training side that have no label, and so no use.
        incomplete: cases of either side that are left out because not all structures were looked for in them.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    not_drawn: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[str, ...]:
        """Those that are read."""
        return (*self.train, *self.held_out)


def roles_of(dataset: Dataset, settings: ChoosesCases, seed: int) -> Roles:
    """Give each case of a data set its role; images of one patient stay on one side, and are drawn together.

    Args:
        dataset: of the run.
        settings: the fold, and which of its training cases.
        seed: of the run; draws the fraction.

    Raises:
        SegToolkitError: "fold", "folds", "splits", "no-case", "no-labels".
    """
    # A method may learn some of the structures alone.
    classes: Mapping[int, int] | None = getattr(settings, "classes", None)
    split = split_of(dataset, settings.fold)
    sides = sides_of(dataset, split, settings.cases, "data.fold, data.cases", classes)
    patients = list(dict.fromkeys(dataset.patients[id] for id in sides.labelled))
    drawn = set(drawn_cases(patients, max(1, round(settings.fraction * len(patients))), seed))
    chosen = tuple(id for id in sides.labelled if dataset.patients[id] in drawn)
    return Roles(
        train=chosen,
        held_out=sides.held_out,
        not_drawn=tuple(id for id in sides.labelled if dataset.patients[id] not in drawn),
        unlabelled=sides.unlabelled,
        incomplete=(*sides.incomplete, *sides.incomplete_held_out),
    )


def tell_roles(roles: Roles, validates: bool, reporter: Reporter) -> None:
    """Say what a person might not expect of a run's cases.

    Args:
        roles: of the run.
        validates: whether validations are wanted.
        reporter: hears it.
    """
    if roles.unlabelled:
        reporter.warning(
            f"{len(roles.unlabelled)} training cases without a label are left out.",
            "Label them; this method learns from labelled images alone.",
        )
    if roles.incomplete:
        more = " ..." if len(roles.incomplete) > 5 else ""
        reporter.warning(
            f"{len(roles.incomplete)} case(s) are left out, because not all structures were looked for in"
            f" them: {', '.join(roles.incomplete[:5])}{more}.",
            "Annotate the others there, or leave these structures out of the data set.",
        )
    if roles.not_drawn:
        reporter.info(
            f"{len(roles.train)} of {len(roles.train) + len(roles.not_drawn)} training cases are drawn;"
            f" {CASES_FILE} in the run's folder lists them."
        )
    if validates and not roles.held_out:
        reporter.warning(
            "No case is held out, so nothing validates, and the result takes the last weights.",
            "Choose a fold (data.fold), or add labelled cases of other patients.",
        )
