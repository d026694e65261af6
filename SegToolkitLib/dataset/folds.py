"""Which scans train, which are segmented, and which are the examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from SegToolkitLib.errors import SegToolkitError


@dataclass(frozen=True)
class FoldSplit:
    """The scans of one fold, by id.

    Attributes:
        train: scans that training may see, in the order of the sorted ids.
        query: scans that are segmented and scored.
        support: scans that serve as the outlined examples; never among ``train``.
    """

    train: tuple[str, ...]
    query: tuple[str, ...]
    support: tuple[str, ...]

    @property
    def validation(self) -> tuple[str, ...]:
        """The authors' validation list: the query scans, then the support scans."""
        return self.query + self.support


def even_borders(n: int, folds: int) -> list[int]:
    """Cut ``n`` scans into ``folds`` runs whose lengths differ by one at most.

    Returns:
        ``folds + 1`` positions, from 0 to ``n``.

    Raises:
        SegToolkitError: fewer than one fold, or more folds than scans.
    """
    if folds < 1 or folds > n:
        raise SegToolkitError(
            "folds",
            f"{n} scans cannot be cut into {folds} folds.",
            f"Choose between 1 and {n} folds, or train on all scans: data.fold null, which is --fold none."
            if n
            else "The data set has no scans.",
        )
    return [k * n // folds for k in range(folds + 1)]


def fold_split(
    ids: Sequence[str],
    borders: Sequence[int],
    fold: int,
    n_support: int = 1,
    patients: Mapping[str, str] | None = None,
) -> FoldSplit:
    """Split the scans as SSL-ALPNet's loader does.

    Validation scans are those at positions ``borders[fold] .. borders[fold + 1] + n_support - 1`` of
    ``ids``, wrapping around at the end; the last ``n_support`` of them are the support scans, the
    others the query scans; all remaining scans train.

    Where a patient has several scans (ours; the authors' data sets have none), they are brought together at
    the place of the first, a border within a patient moves to the nearest end of one, and the patients of
    support scans do not train either.

    Args:
        ids: the scan ids, already sorted (``Dataset.ids``).
        borders: ascending positions, first 0, last ``len(ids)`` (``even_borders``).
        fold: number of the fold, from 0.
        n_support: number of support scans.
        patients: of each scan, by id; None takes each for a patient of its own.

    Raises:
        SegToolkitError: borders that do not fit the ids, more folds than patients, a fold that does not
            exist, fewer than one support scan, or a split that leaves nothing to train on or nothing to
            segment.

    Source: ``ManualAnnoDataset`` / ``SuperpixelDataset`` of the authors' code ("get_scanids").
    """
    check_borders(borders, len(ids))
    if not 0 <= fold < len(borders) - 1:
        raise SegToolkitError(
            "fold", f"There is no fold {fold}.", f"The folds are numbered 0 to {len(borders) - 2}."
        )
    if n_support < 1:
        raise SegToolkitError("support", f"{n_support} support scans were asked for.", "One is the least.")
    owners = {one: one for one in ids} if patients is None else {one: patients[one] for one in ids}
    together, borders = _by_patient(ids, borders, owners)
    start, stop = borders[fold], borders[fold + 1]
    chosen = tuple(together[position % len(ids)] for position in range(start, stop + n_support))
    held_out = {owners[one] for one in chosen}
    train = tuple(one for one in ids if owners[one] not in held_out)
    if stop - start + n_support >= len(ids) or not train:
        of = "" if len(set(owners.values())) == len(ids) else f" of {len(set(owners.values()))} patients"
        raise SegToolkitError(
            "fold",
            f"Fold {fold} takes {stop - start} query and {n_support} support scans of only {len(ids)}{of},"
            " which leaves none to train on.",
            "Use more scans or folds, fewer support scans, or train on all: data.fold null (--fold none).",
        )
    return FoldSplit(train, query=chosen[:-n_support], support=chosen[-n_support:])


def _by_patient(
    ids: Sequence[str], borders: Sequence[int], owners: Mapping[str, str]
) -> tuple[list[str], list[int]]:
    """The scans with those of a patient together, and the borders at ends of patients; both unchanged where
    each scan is of a patient of its own."""
    scans: dict[str, list[str]] = {}
    for one in ids:
        scans.setdefault(owners[one], []).append(one)
    ends = list(accumulate(len(own) for own in scans.values()))
    folds = len(borders) - 1
    if folds > len(ends):
        raise SegToolkitError(
            "folds",
            f"The scans of {len(ends)} patient{'s' * (len(ends) != 1)} cannot be cut into {folds} folds.",
            f"Choose between 1 and {len(ends)} folds, or train on all scans: data.fold null (--fold none).",
        )
    moved, first = [0], 0
    for number, border in enumerate(borders[1:], start=1):
        # Every fold that is still to come needs an end of its own.
        free = range(first, len(ends) - (folds - number))
        place = min(free, key=lambda place: (abs(ends[place] - border), place))
        moved.append(ends[place])
        first = place + 1
    return [one for own in scans.values() for one in own], moved


def check_borders(borders: Sequence[int], n: int) -> None:
    """Raise SegToolkitError unless ``borders`` cut ``n`` scans into folds of at least one scan each."""
    rising = all(low < high for low, high in pairwise(borders))
    if len(borders) < 2 or borders[0] != 0 or borders[-1] != n or not rising:
        raise SegToolkitError(
            "folds",
            f"The fold borders {list(borders)} do not fit {n} scans.",
            f"They must rise from 0 to {n}; or give the number of folds instead ('folds').",
        )
