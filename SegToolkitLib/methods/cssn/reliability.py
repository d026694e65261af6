"""Which unlabelled images are worth learning from: those on which several states of a network agree.

Source: our definition of the image filter (UIF) that SemiSeg-CSSN reports without its formula; it follows
Yang et al., ST++, CVPR 2022, and the selection in EfficientSegLearning, the FLARE22 entry by the authors of
EfficientSegNet ("sibling").
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.evaluation.tables import write_csv

# Rule A at the scale of the README: 200 of 2000 images.
KEEP_SHARE = 0.1
# Rule B, the sibling entry's.
SIBLING_COUNT = 1000
SIBLING_RELIABILITY = 0.9

KEPT_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


@dataclass(frozen=True)
class Judgement:
    """One image.

    Attributes:
        id: of the case.
        reliability: 0 to 1; see :func:`reliability`.
        uncertainty: 1 - reliability.
        complete: whether the last state finds every organ.
        kept: whether training uses the image; a person may change it.
        dice: mean Dice of the last state against the true labels, where there are and this was asked for.
    """

    id: str
    reliability: float
    uncertainty: float
    complete: bool
    kept: bool = False
    dice: float | None = None


def reliability(maps: Sequence[NDArray[Any]], labels: Sequence[int]) -> float:
    """How far the states of a network agree on one image: mean Dice of each with the last.

    Args:
        maps: whole numbers, of one shape, one map a state; at least two, the last state's last.
        labels: values of the organs.

    Returns:
        The mean over the earlier states of the mean over the organs, 0 to 1. An organ that neither map of a
        pair has does not count, one that a single map has counts 0, as does a pair without any organ.

    Raises:
        SegToolkitError: "few-states": fewer than two maps; or the maps differ in shape.
    """
    if len(maps) < 2:
        raise SegToolkitError(
            "few-states",
            f"{len(maps)} state of the network cannot agree or disagree.",
            "Give at least two models, or a run that kept at least two checkpoints.",
        )
    *earlier, last = maps
    return float(np.mean([_agreement(one, last, labels) for one in earlier]))


def complete(last: NDArray[Any], labels: Sequence[int]) -> bool:
    """Whether a map has every organ."""
    return set(labels) <= set(np.unique(last).tolist())


def ranked(rows: Sequence[Judgement]) -> list[Judgement]:
    """The most reliable first; equal ones stay in their order."""
    return sorted(rows, key=lambda row: -row.reliability)


def keep_best(
    rows: Sequence[Judgement],
    share: float = KEEP_SHARE,
    count: int | None = None,
    least: float = 0.0,
) -> list[Judgement]:
    """Rule A: rank, and keep the best.

    Args:
        rows: in any order.
        share: of the images to keep, rounded to the nearest whole number, one at least.
        count: of the images to keep, in place of the share.
        least: reliability below which none is kept.
    """
    wanted = count if count is not None else max(1, math.floor(share * len(rows) + 0.5))
    return [
        replace(row, kept=place < wanted and row.reliability >= least)
        for place, row in enumerate(ranked(rows))
    ]


def keep_sibling(
    rows: Sequence[Judgement], count: int = SIBLING_COUNT, above: float = SIBLING_RELIABILITY
) -> list[Judgement]:
    """Rule B: rank, and keep at most ``count`` that are complete and whose reliability is above ``above``."""
    kept = 0
    result = []
    for row in ranked(rows):
        good = kept < count and row.complete and row.reliability > above
        kept += good
        result.append(replace(row, kept=good))
    return result


def write_selection(path: Path, rows: Sequence[Judgement]) -> None:
    """Write the table, atomically, with 1 and 0 for yes and no; the column ``kept`` may be edited."""
    truth = any(row.dice is not None for row in rows)
    write_csv(
        path,
        [
            {
                "id": row.id,
                "reliability": row.reliability,
                "uncertainty": row.uncertainty,
                "complete": int(row.complete),
                "kept": int(row.kept),
            }
            | ({"dice": "" if row.dice is None else row.dice} if truth else {})
            for row in rows
        ],
    )


def read_selection(path: Path) -> list[str]:
    """Ids whose ``kept`` is 1 (or true, yes), in the order of the table; spreadsheets' forms are understood.

    Args:
        path: CSV with the columns ``id`` and ``kept`` at least, separated by commas, semicolons or tabs.

    Raises:
        SegToolkitError: "bad-selection": no such table, a column is missing, a value is neither yes nor no,
            an id comes twice, or nothing is kept.
    """
    mend = "Give the table that 'select-unlabeled' wrote; its column 'kept' holds 1 or 0."
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SegToolkitError(
            "bad-selection", f"{path} cannot be read as a table ({error}).", mend
        ) from error
    first = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=first.count))
    missing = [name for name in ("id", "kept") if name not in (reader.fieldnames or ())]
    if missing:
        raise SegToolkitError("bad-selection", f"{path} has no column {missing[0]!r}.", mend)
    kept: dict[str, bool] = {}
    for row in reader:
        id, word = (row["id"] or "").strip(), (row["kept"] or "").strip().lower()
        if not id:
            continue
        if word not in KEPT_WORDS or id in kept:
            what = f"names {id} twice" if id in kept else f"has {row['kept']!r} as 'kept' of {id}"
            raise SegToolkitError("bad-selection", f"{path} {what} (line {reader.line_num}).", mend)
        kept[id] = KEPT_WORDS[word]
    chosen = [id for id, wanted in kept.items() if wanted]
    if not chosen:
        raise SegToolkitError("bad-selection", f"{path} keeps no image.", mend)
    return chosen


def _agreement(one: NDArray[Any], last: NDArray[Any], labels: Sequence[int]) -> float:
    scores = overlaps(one, last, labels).dice(both_empty=math.nan)
    there = scores[~np.isnan(scores)]
    return float(there.mean()) if there.size else 0.0
