"""Tables of results as CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json, write_text
from SegToolkitLib.events import plain


def write_csv(path: Path, rows: Sequence[Any]) -> None:
    """Write dataclass instances or mappings, one a row, atomically."""
    records = [_record(row) for row in rows]
    buffer = io.StringIO()
    if records:
        writer = csv.DictWriter(buffer, fieldnames=list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _rounded(value) for name, value in record.items()} for record in records)
    write_text(path, buffer.getvalue())


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON, atomically; a number that has no value (NaN) becomes null."""
    write_json(path, _plain(results))


def _record(row: Any) -> dict[str, Any]:
    return asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row)


def _rounded(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return plain(value)
