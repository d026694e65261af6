"""Means of scores: over organs, then over cases, then over folds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from SegToolkitLib.evaluation.scoring import OrganScore

MEASURES = ("dsc", "nsd", "hd95_mm", "assd_mm")


@dataclass(frozen=True)
class Mean:
    """A mean and its standard deviation (of the population); NaN where nothing has a value.

    Attributes:
        mean, std: of the finite values.
        count: how many those are.
        infinite: how many were infinite and are left out: distances of an organ that was missed or made up.
    """

    mean: float
    std: float
    count: int
    infinite: int = 0


def mean_of(values: Sequence[float]) -> Mean:
    """Mean of the finite values."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    infinite = int(np.isinf(array).sum())
    if not finite.size:
        return Mean(float("nan"), float("nan"), 0, infinite)
    return Mean(float(finite.mean()), float(finite.std()), int(finite.size), infinite)


def case_means(rows: Sequence[OrganScore], measure: str) -> dict[str, float]:
    """Mean over the organs of each case, by case; NaN where no organ has a value."""
    return {
        case: mean_of(values).mean for case, values in _grouped(rows, lambda row: row.case, measure).items()
    }


def summary(rows: Sequence[OrganScore], fold_of: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Sum up the scores of many cases.

    Args:
        rows: of all cases and organs.
        fold_of: fold of each case, where there are several folds.

    Returns:
        Measure -> "organs" (organ -> mean over the cases) and "cases" (the mean over the organs of each case,
        averaged over the cases); of several folds also "folds" (fold -> that mean over its cases) and
        "over_folds" (mean and deviation of those). Every mean is plain values of :class:`Mean`.
    """
    found: dict[str, Any] = {}
    for measure in MEASURES:
        by_case = case_means(rows, measure)
        table: dict[str, Any] = {
            "organs": {
                organ: asdict(mean_of(values))
                for organ, values in _grouped(rows, lambda row: row.organ, measure).items()
            },
            "cases": asdict(mean_of(list(by_case.values()))),
        }
        if fold_of is not None and len(set(fold_of.values())) > 1:
            folds = {
                fold: mean_of([value for case, value in by_case.items() if fold_of[case] == fold])
                for fold in sorted(set(fold_of.values()))
            }
            table["folds"] = {str(fold): asdict(mean) for fold, mean in folds.items()}
            table["over_folds"] = asdict(mean_of([mean.mean for mean in folds.values()]))
        found[measure] = table
    return found


def told(table: Mapping[str, Any]) -> list[str]:
    """A summary as lines for a person."""
    lines = [f"{'':24} {'DSC':>7} {'NSD':>7} {'HD95':>8} {'ASSD':>8}"]
    for organ in table["dsc"]["organs"]:
        lines.append(_line(organ, [table[measure]["organs"][organ] for measure in MEASURES]))
    lines.append(_line("mean over cases", [table[measure]["cases"] for measure in MEASURES]))
    if "over_folds" in table["dsc"]:
        lines.append(_line("mean over folds", [table[measure]["over_folds"] for measure in MEASURES]))
        lines.append(_line("deviation over folds", [table[m]["over_folds"] for m in MEASURES], "std"))
    none = [
        organ
        for organ in table["dsc"]["organs"]
        if any(math.isnan(table[measure]["organs"][organ]["mean"]) for measure in MEASURES)
    ]
    if none:
        lines.append(f"- stands where no case has a value: {len(none)} structures ({', '.join(none)}).")
    return lines


def _grouped(
    rows: Sequence[OrganScore], key: Callable[[OrganScore], str], measure: str
) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(getattr(row, measure))
    return groups


def _line(title: str, means: Sequence[Mapping[str, Any]], what: str = "mean") -> str:
    forms = ("7.4f", "7.4f", "8.2f", "8.2f")
    cells = [_cell(mean[what], form) for mean, form in zip(means, forms, strict=True)]
    return f"{title:24} {' '.join(cells)}"


def _cell(value: float, form: str) -> str:
    """A number, or a dash as wide."""
    return f"{'-':>{form[0]}}" if math.isnan(value) else f"{value:{form}}"
