"""Tags as a CSV file with the columns case, slice (a number or a range) and visible (1 or 0)."""

from __future__ import annotations

import csv
import io
import itertools
import re
from pathlib import Path

from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.weak.SliceTags import Tag

COLUMNS = ("case", "slice", "visible")
RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")
WORDS: dict[str, Tag] = {
    **dict.fromkeys(("1", "yes", "true", "visible", "y"), True),
    **dict.fromkeys(("0", "no", "false", "not visible", "n"), False),
    **dict.fromkeys(("", "?", "not tagged"), None),
}


def asText(case: str, tags: list[Tag]) -> str:
    """The file's text; neighbours of one kind are a range."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for tag, group in itertools.groupby(enumerate(tags), key=lambda one: one[1]):
        numbers = [number for number, _tag in group]
        if tag is not None:
            last = f"-{numbers[-1]}" if len(numbers) > 1 else ""
            writer.writerow((case, f"{numbers[0]}{last}", int(tag)))
    return text.getvalue()


def save(path: str, case: str, tags: list[Tag]) -> None:
    """Write the file.

    Raises:
        UserError: "disk".
    """
    part = Path(f"{path}.part")
    try:
        part.write_text(asText(case, tags), encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        text = _("{path} could not be written ({reason}).")
        raise UserError(
            "disk",
            text.format(path=path, reason=error.strerror or error),
            _("Choose another folder, or make room on that disk."),
        ) from error


def load(path: str, case: str, count: int) -> list[Tag]:
    """Read the tags of a case.

    Args:
        path: the file; commas, semicolons or tabs between its columns.
        case: name of the case; a file of a single case is taken whatever it calls it.
        count: number of slices.

    Raises:
        UserError: "unreadable", "bad-tags".
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or _("it is no text in UTF-8")
        told = _("{path} could not be read: {reason}.").format(path=path, reason=reason)
        raise UserError("unreadable", told, _("Check the path and the file.")) from error
    rows = _rows(text)
    names = [name.strip().lower() for name in rows[0][1]] if rows else []
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise _bad(
            path,
            _("there is no column {name}").format(name=", ".join(missing)),
            _('Write a header "case,slice,visible".'),
        )
    places = [names.index(name) for name in COLUMNS]
    cells = [
        (line, *(row[place].strip() if place < len(row) else "" for place in places))
        for line, row in rows[1:]
    ]
    cases = list(dict.fromkeys(one[1] for one in cells))
    if len(cases) > 1 and case not in cases:
        raise _bad(
            path,
            _("there is no case {case!r}").format(case=case),
            _("Its cases are {cases}. Give the volume the name of one of them.").format(
                cases=", ".join(cases[:10])
            ),
        )
    wanted = case if case in cases else next(iter(cases), case)
    tags: list[Tag] = [None] * count
    for line, name, where, visible in cells:
        if name == wanted:
            _enter(tags, where, visible, f"{path}, {_('line')} {line}")
    return tags


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """Rows that are not empty with the numbers of their lines; the header tells the separator."""
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count), skipinitialspace=True)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error:
        return []


def _enter(tags: list[Tag], where: str, visible: str, line: str) -> None:
    match = RANGE.fullmatch(where)
    if match is None:
        raise _bad(line, _("{where!r} is neither a slice nor a range of slices").format(where=where))
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last < len(tags):
        raise _bad(
            line,
            _("there are no slices {where}").format(where=where),
            _("Slices are numbered from 0 to {last}.").format(last=len(tags) - 1),
        )
    if visible.lower() not in WORDS:
        raise _bad(
            line,
            _("{visible!r} says neither that the object is visible nor that it is not").format(
                visible=visible
            ),
            _("Write 1 or 0."),
        )
    for number in range(first, last + 1):
        tags[number] = WORDS[visible.lower()]


def _bad(where: str, what: str, hint: str = "") -> UserError:
    return UserError("bad-tags", f"{where}: {what}.", hint)
