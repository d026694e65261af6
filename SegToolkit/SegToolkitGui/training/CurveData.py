"""The measured values of a run as columns of numbers, few enough to be drawn at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

STEP = "step"
# Above this many rows a table is thinned to about half of them.
MOST_ROWS = 2000
# What events carry besides measured values.
NOT_VALUES = {"t", "time", STEP, "total", "samples", "skipped", "best", "rank", "epoch"}


def valuesOf(event: dict) -> dict[str, float]:
    """The measured values of a "metric" or "validation" event; what is infinite or no number becomes NaN."""
    found = {**event, **(event["values"] if isinstance(event.get("values"), dict) else {})}
    return {name: number for name, value in found.items() if (number := _asNumber(name, value)) is not None}


def _asNumber(name: str, value: Any) -> float | None:
    if name in NOT_VALUES or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else math.nan


class CurveData:
    """Rows by step, one column for each measured value; a value that a row lacks is NaN.

    Attributes:
        columns: name -> list of numbers, "step" first; all of one length.
        changes: grows whenever rows were taken away or columns added, so that a copy has to be made anew.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[float]] = {STEP: []}
        self.changes = 0

    def __len__(self) -> int:
        return len(self.columns[STEP])

    @property
    def names(self) -> list[str]:
        """The measured values."""
        return [name for name in self.columns if name != STEP]

    def add(self, step: float, values: dict[str, float]) -> None:
        """Add a row. A step that was there already comes from a resumed run: what followed it is dropped."""
        self.cutFrom(step)
        for name in values:
            if name not in self.columns:
                self.columns[name] = [math.nan] * len(self)
                self.changes += 1
        for name, column in self.columns.items():
            column.append(float(step) if name == STEP else values.get(name, math.nan))
        if len(self) > MOST_ROWS:
            self._thin()

    def cutFrom(self, step: float) -> None:
        """Drop the rows from a step on."""
        steps = self.columns[STEP]
        if not steps or steps[-1] < step:
            return
        keep = next(number for number, one in enumerate(steps) if one >= step)
        for column in self.columns.values():
            del column[keep:]
        self.changes += 1

    def isFraction(self, name: str) -> bool:
        """Whether all values of a column lie between 0 and 1."""
        return all(not (value < 0 or value > 1) for value in self.columns[name])

    def hasValues(self, name: str) -> bool:
        """Whether a column holds a number at all."""
        return any(value == value for value in self.columns[name])

    def _thin(self) -> None:
        """Keep first and last row, and the least and greatest of each column in equal stretches of steps."""
        steps = np.array(self.columns[STEP])
        values = [np.array(self.columns[name]) for name in self.names]
        stretches = max(1, MOST_ROWS // (4 * max(1, len(values))))
        ends = np.searchsorted(steps, np.linspace(steps[0], steps[-1], stretches + 1)[1:-1])
        keep = {0, len(steps) - 1}
        for first, last in zip([0, *ends], [*ends, len(steps)], strict=True):
            for column in values:
                part = column[first:last]
                if np.isfinite(part).any():
                    keep |= {first + int(np.nanargmin(part)), first + int(np.nanargmax(part))}
        rows = sorted(keep)
        self.columns = {name: [column[row] for row in rows] for name, column in self.columns.items()}
        self.changes += 1
