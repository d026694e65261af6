"""Judge images case by case, so that an interruption loses nothing, and choose those worth learning from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import spearmanr

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.batch import Failures, raise_failures
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.evaluation.tables import write_results
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cssn.judging import Judge
from SegToolkitLib.methods.cssn.reliability import (
    KEEP_SHARE,
    SIBLING_COUNT,
    SIBLING_RELIABILITY,
    Judgement,
    complete,
    keep_best,
    keep_sibling,
    reliability,
    write_selection,
)
from SegToolkitLib.sharding import WHOLE, Shard
from SegToolkitLib.training.run_folder import provenance

# Fewer ranks tell nothing of how well they agree.
LEAST_FOR_RANKS = 3


@dataclass(frozen=True)
class Choice:
    """The rule that keeps images.

    Attributes:
        rule: "best" keeps a share or number, "sibling" what is complete and reliable enough.
        share: of rule "best", where no number is given.
        count: to keep at most.
        least: reliability; of rule "best" at least that, of rule "sibling" more.
    """

    rule: Literal["best", "sibling"] = "best"
    share: float = KEEP_SHARE
    count: int | None = None
    least: float | None = None

    def __post_init__(self) -> None:
        for what, value, good in (
            ("share", self.share, 0 < self.share <= 1),
            ("number", self.count, self.count is None or self.count >= 1),
            ("least reliability", self.least, 0 <= (self.least or 0) <= 1),
        ):
            if not good:
                raise SegToolkitError(
                    "bad-choice",
                    f"A {what} of {value} cannot be kept.",
                    "Shares and reliabilities lie between 0 and 1, numbers begin at 1.",
                )

    def apply(self, rows: Sequence[Judgement]) -> list[Judgement]:
        """The rows by reliability, with what is kept."""
        if self.rule == "sibling":
            above = SIBLING_RELIABILITY if self.least is None else self.least
            return keep_sibling(rows, self.count or SIBLING_COUNT, above)
        return keep_best(rows, self.share, self.count, self.least or 0.0)


def select(
    judge: Judge,
    ids: Sequence[str],
    out: Path,
    choice: Choice,
    reporter: Reporter,
    shard: Shard = WHOLE,
    with_truth: bool = False,
) -> dict[str, object]:
    """Judge cases and write the table, once every one of them has been judged.

    What each case gave is kept in ``<table>.parts``: a repeated command goes on where it stopped, several
    processes may share the work (``shard``), and another rule needs no new judging.

    Args:
        judge: looks at the cases.
        ids: of the cases; equal reliabilities keep their order.
        out: the table (CSV), and beside it what it was made with (JSON).
        choice: what is kept.
        reporter: hears of progress.
        shard: part of the cases to judge now.
        with_truth: also score the last state against the labels of cases that have one.

    Returns:
        What ``done`` reports: "table" (None while other parts are missing), "judged", "kept", and "spearman",
        how well reliability and true Dice agree in rank.

    Raises:
        SegToolkitError: "no-cases"; "cases-failed": some cases could not be judged; the table has the others.
    """
    if not ids:
        raise SegToolkitError(
            "no-cases", "There is no image to judge.", "Name cases with --cases, or add unlabelled images."
        )
    parts = _Parts(out.with_name(out.name + ".parts"), judge.fingerprint, with_truth)
    failures: Failures = {}
    mine = shard.of(list(ids))
    for done, id in enumerate(mine, start=1):
        if parts.read(id) is None:
            try:
                parts.write(_judged(judge, id, with_truth))
            except SegToolkitError as error:
                failures[id] = error
                parts.write_failure(id, error)
        reporter.progress("judging", done, len(mine))
    known = {id: parts.read(id) for id in ids}
    rows = [row for row in known.values() if row is not None]
    failed = [id for id in ids if known[id] is None and parts.has_failed(id)]
    missing = len(ids) - len(rows) - len(failed)
    outputs: dict[str, object] = {"table": None, "judged": len(rows), "kept": 0, "spearman": None}
    if missing:
        reporter.info(f"{missing} images are left to other parts; the last part writes the table.")
    elif rows:
        outputs |= _written(judge, choice.apply(rows), out, choice, reporter)
    raise_failures(failures, len(mine), "judged")
    return outputs


def _judged(judge: Judge, id: str, with_truth: bool) -> Judgement:
    maps = judge.maps(id)
    value = reliability(maps, judge.values)
    truth = judge.truth(id) if with_truth else None
    dice = None
    if truth is not None:
        dice = float(np.nanmean([*overlaps(maps[-1], truth, judge.values).dice(both_empty=np.nan), np.nan]))
    return Judgement(id, value, 1 - value, complete(maps[-1], judge.values), dice=dice)


def _written(
    judge: Judge, rows: Sequence[Judgement], out: Path, choice: Choice, reporter: Reporter
) -> dict[str, object]:
    """Write the table, and say what is in it."""
    write_selection(out, rows)
    agreement = rank_agreement(rows)
    kept = sum(row.kept for row in rows)
    spearman = agreement if agreement is None else round(agreement, 4)
    found: dict[str, object] = {"judged": len(rows), "kept": kept, "spearman": spearman}
    write_results(
        out.with_suffix(".json"),
        {
            "states": list(judge.names),
            "rule": asdict(choice),
            "fingerprint": judge.fingerprint,
            "mean_reliability": float(np.mean([row.reliability for row in rows])),
            "complete": sum(row.complete for row in rows),
            **found,
            "made_with": provenance(),
        },
    )
    low = min((row.reliability for row in rows if row.kept), default=None)
    down = "" if low is None else f", down to a reliability of {low:.3f}"
    reporter.info(f"Of {len(rows)} images, {kept} kept{down}: {out}")
    if agreement is not None:
        reporter.info(f"Rank correlation (Spearman) of reliability and true Dice: {agreement:.3f}")
    if not kept:
        reporter.warning("No image is reliable enough to be kept.", "Train longer, or keep more of them.")
    return {"table": str(out), **found}


def rank_agreement(rows: Sequence[Judgement]) -> float | None:
    """Spearman's correlation of reliability and true Dice; None where too few cases have labels."""
    pairs = [(row.reliability, row.dice) for row in rows if row.dice is not None]
    if len(pairs) < LEAST_FOR_RANKS or any(len(set(column)) < 2 for column in zip(*pairs, strict=True)):
        return None
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


class _Parts:
    """One small file a case."""

    def __init__(self, folder: Path, fingerprint: str, with_truth: bool) -> None:
        self._folder, self._fingerprint, self._with_truth = folder, fingerprint, with_truth

    def read(self, id: str) -> Judgement | None:
        """What was found before; None where that is nothing, or was found with other weights."""
        content = self._content(id)
        if content is None or "reliability" not in content:
            return None
        if self._with_truth and not content["with_truth"]:
            return None
        return Judgement(
            id, content["reliability"], 1 - content["reliability"], content["complete"], dice=content["dice"]
        )

    def has_failed(self, id: str) -> bool:
        """Whether the case was tried, in vain."""
        content = self._content(id)
        return content is not None and "error" in content

    def write(self, row: Judgement) -> None:
        """Keep what was found."""
        dice = None if row.dice is None or np.isnan(row.dice) else row.dice
        values = {"reliability": row.reliability, "complete": row.complete, "dice": dice}
        self._write(row.id, {**values, "with_truth": self._with_truth})

    def write_failure(self, id: str, error: SegToolkitError) -> None:
        """Keep why there is nothing; the next command tries again."""
        self._write(id, {"error": error.message})

    def _write(self, id: str, values: Mapping[str, Any]) -> None:
        write_json(self._folder / f"{id}.json", {"judge": self._fingerprint, **values})

    def _content(self, id: str) -> dict[str, Any] | None:
        try:
            content = json.loads((self._folder / f"{id}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) and content.get("judge") == self._fingerprint else None
