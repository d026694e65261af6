"""What lies beside the maps of a folder: where they are cut, and how far they agree.

Several calls may write into one folder, also at the same time: what is there of other patients stays.
Imports no torch.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.record import locked
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.tables import write_csv
from SegToolkitLib.validation import read_json

THRESHOLDS_FILE = "thresholds.json"
AGREEMENT_FILE = "agreement.csv"
COLUMNS = ("case", "slice", "modalities", "seeds")


def keep_thresholds(folder: Path, name: str, kind: str, thresholds: Mapping[str, float]) -> None:
    """Write down where the maps of a patient are cut: maps carry no threshold, and ``refine`` needs them.

    Args:
        folder: of the maps.
        name: of the patient.
        kind: of the maps.
        thresholds: 0 to 1, by the maps' names.

    Raises:
        SegToolkitError: "write-failed", or the file that is there is damaged.
    """
    file = folder / THRESHOLDS_FILE
    with locked(folder):
        kept: dict[str, Any] = read_json(file) if file.is_file() else {}
        kept.setdefault(name, {})[kind] = dict(thresholds)
        write_json(file, kept)


def kept_thresholds(folder: Path, name: str, kind: str) -> dict[str, float] | None:
    """Of the maps of a patient, by the maps' names; None where nobody has written them.

    Raises:
        SegToolkitError: the file is damaged.
    """
    file = folder / THRESHOLDS_FILE
    if not file.is_file():
        return None
    found = read_json(file).get(name, {}).get(kind)
    return found if isinstance(found, dict) else None


def keep_agreement(
    folder: Path, name: str, modalities: Sequence[float | None], seeds: Sequence[float | None]
) -> None:
    """Write the rows of a patient into the table of agreement, in place of earlier ones of that patient.

    Args:
        folder: of the maps.
        name: of the patient.
        modalities: mean soft Dice of the maps of all pairs of modalities, slice by slice; None where nobody
            sees the object, or there is but one.
        seeds: the same of all pairs of seeds.

    Raises:
        SegToolkitError: "write-failed"; "bad-table": a file of that name is no such table.
    """
    own = [
        {"case": name, "slice": k, "modalities": _cell(one), "seeds": _cell(other)}
        for k, (one, other) in enumerate(zip(modalities, seeds, strict=True))
    ]
    with locked(folder):
        rows = _by_case(folder / AGREEMENT_FILE)
        rows[name] = own
        write_csv(folder / AGREEMENT_FILE, [row for case in rows.values() for row in case])


def _by_case(file: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows that are there, case by case in the table's order; none where there is no table."""
    found: dict[str, list[dict[str, Any]]] = {}
    if not file.is_file() or not file.stat().st_size:
        return found
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
            for row in reader:
                found.setdefault(row["case"], []).append(row)
    except (OSError, ValueError, csv.Error) as error:
        raise SegToolkitError(
            "bad-table",
            f"{file} is no table of agreement: {getattr(error, 'strerror', None) or error}.",
            "Remove or rename the file, or choose another folder for the maps.",
        ) from error
    return found


def _cell(value: float | None) -> float | str:
    return "" if value is None else value
