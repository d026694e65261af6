"""The file tags.csv in a data set's folder: which slices of a case show the object, as a person says.

A row for each slice, or for a range of them, with the columns case, slice and visible; slices are numbered
from 0 across the coarsest axis of the case's first image (the third one, where none is coarser).
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Grid
from SegToolkitLib.volume.slicewise import slice_axis

TAGS_FILE = "tags.csv"
COLUMNS = ("case", "slice", "visible")
SEPARATORS = ",;\t"


def tag_rows(case: str, tags: Mapping[int, bool]) -> list[tuple[str, str, int]]:
    """Rows of a case: neighbours of one kind are a range."""
    rows = []
    # Within a run of numbers, number and place in the order rise together.
    places = enumerate(sorted(tags))
    for (_, tag), group in itertools.groupby(places, key=lambda one: (one[1] - one[0], tags[one[1]])):
        numbers = [number for _, number in group]
        where = f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
        rows.append((case, where, int(tag)))
    return rows


def check_tags(case: str, tags: Mapping[int, bool], grid: Grid) -> None:
    """Raise SegToolkitError "bad-tags" for a slice that an image does not have."""
    count = grid.size[slice_axis(grid)]
    strange = sorted(number for number in tags if not 0 <= number < count)
    if strange:
        raise SegToolkitError(
            "bad-tags",
            f"Case {case} has a tag for slice {strange[0]}; its {count} slices are numbered from 0 to"
            f" {count - 1}.",
            "Count slices from 0, across the coarsest axis of the first image.",
        )


def with_cases(file: Path, tags: Mapping[str, Mapping[int, bool]]) -> str:
    """The text of a tags.csv with the rows of new cases at its end; all that it says stays as it is.

    Args:
        file: of tags; need not exist.
        tags: of the new cases, by case.

    Raises:
        SegToolkitError: "unreadable", "bad-tags": it has no such columns.
    """
    text, names, separator = "", list(COLUMNS), ","
    if file.is_file():
        text, names, separator = _read(file)
    made = io.StringIO()
    writer = csv.writer(made, delimiter=separator, lineterminator="\n")
    if not text:
        writer.writerow(COLUMNS)
    for case, own in tags.items():
        for row in tag_rows(case, own):
            values = dict(zip(COLUMNS, row, strict=True))
            writer.writerow([values.get(name, "") for name in names])
    return (text if not text or text.endswith("\n") else text + "\n") + made.getvalue()


def tagged_cases(folder: Path) -> set[str]:
    """Ids that the tags.csv of a data set's folder names, as they are written; none where it has none.

    Raises:
        SegToolkitError: "unreadable", "bad-tags".
    """
    file = folder / TAGS_FILE
    if not file.is_file():
        return set()
    text, names, separator = _read(file)
    rows = list(csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True))
    case, visible = names.index("case"), names.index("visible")
    told = [
        row for row in rows[1:] if len(row) > max(case, visible) and row[visible].strip() not in ("", "?")
    ]
    return {row[case].strip() for row in told if row[case].strip()}


def _read(file: Path) -> tuple[str, list[str], str]:
    """Text, names of the columns, and separator."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        separator = max(SEPARATORS, key=first.count)
        header = next(csv.reader([first], delimiter=separator, skipinitialspace=True), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is no table in UTF-8"
        raise SegToolkitError(
            "unreadable", f"{file} could not be read: {reason}.", "Check the path and the file."
        ) from error
    names = [name.strip().lower() for name in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise SegToolkitError(
            "bad-tags",
            f"{file} has no column {', '.join(missing)}.",
            'Write a header "case,slice,visible", then rows such as "patient7,3-9,1".',
        )
    return text, names, separator
