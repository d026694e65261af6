"""What a person says of slices: the object is visible, it is not, or nothing.

Slices are numbered from 0 across the volume's coarsest axis (the third one of the file, where none is). A
file has a row for each, or for a range of them ("3-9", both ends included), with the columns case, slice and
visible. Slices without a row are not tagged.
Imports no torch.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from SegToolkitLib.atomic import write_text
from SegToolkitLib.dataset.dataset import case_key
from SegToolkitLib.dataset.slice_tags import COLUMNS, TAGS_FILE, tag_rows
from SegToolkitLib.dataset.unfinished import unfinished_cases
from SegToolkitLib.errors import SegToolkitError

# Visible, not visible, or not tagged.
Tag = bool | None
Tags = dict[str, list[Tag]]

WORDS: dict[str, Tag] = {
    **dict.fromkeys(("1", "yes", "true", "visible", "y"), True),
    **dict.fromkeys(("0", "no", "false", "not visible", "n"), False),
    **dict.fromkeys(("", "?", "not tagged"), None),
}
RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")
HINT = 'Write a header "case,slice,visible", then rows such as "patient7,3-9,1" or "patient7,0-2,0".'


class Counts(NamedTuple):
    """How many slices of all cases."""

    visible: int
    not_visible: int
    not_tagged: int


def counted(tags: Mapping[str, Sequence[Tag]]) -> Counts:
    """Count the slices of all cases by their tag."""
    every = [tag for case in tags.values() for tag in case]
    return Counts(every.count(True), every.count(False), every.count(None))


def check_usable(tags: Mapping[str, Sequence[Tag]], supervision: str = "tags", unseen: int = 0) -> Counts:
    """Complain of tags that nothing can be learnt from; return how many there are.

    Args:
        tags: by case.
        supervision: after "masks" slices without the object are not needed.
        unseen: tagged slices that are not among them, because nothing can be seen in them.

    Raises:
        SegToolkitError: "no-visible-slice" or "no-empty-slice": there must be slices of both kinds;
            "nothing-seen": all tagged slices are left out.
    """
    counts = counted(tags)
    if unseen and not sum(counts):
        raise SegToolkitError(
            "nothing-seen",
            f"Nothing can be seen in any of the {unseen} tagged slices: in each of them an image has but one"
            " value.",
            "Look at the images: one of the modalities may be empty.",
        )
    left_out = f" ({unseen} tagged ones, in which nothing can be seen, are left out)" if unseen else ""
    if not counts.visible:
        raise SegToolkitError(
            "no-visible-slice",
            f"Of {sum(counts)} slices{left_out} none is tagged as showing the object.",
            "Tag slices that show it, and some that do not.",
        )
    if not counts.not_visible and supervision == "tags":
        raise SegToolkitError(
            "no-empty-slice",
            f"All {counts.visible} tagged slices{left_out} show the object, so nothing tells what it is.",
            "Tag slices without it, too; where nearly every slice shows it, this method is the wrong one.",
        )
    return counts


def from_mask(
    shown: Sequence[bool], left_open: Sequence[bool] | None = None, complete: bool = True
) -> list[Tag]:
    """Tags of a case's slices by its mask.

    A slice without the object is tagged as such only where somebody has looked for it in all of the slice.

    Args:
        shown: whether the mask shows the object, slice by slice.
        left_open: whether the mask leaves something open (nnU-Net's label "ignore"), slice by slice; None
            where it never does.
        complete: whether somebody looked for all of the object in this case.
    """
    unsure = [False] * len(shown) if left_open is None else left_open
    return [
        True if there else False if complete and not may_be else None
        for there, may_be in zip(shown, unsure, strict=True)
    ]


def from_csv(file: str | os.PathLike[str], sizes: Mapping[str, int]) -> Tags:
    """Read tags; commas, semicolons or tabs between the columns.

    Args:
        file: as :func:`to_csv` writes it; more columns than needed are passed over. In a data set's folder,
            so are the cases of an addition that was cut off before they were there.
        sizes: number of slices of every case.

    Returns:
        Every case of ``sizes``, also those that the file does not name.

    Raises:
        SegToolkitError: "unreadable"; "bad-tags": the file has no such columns, names a case or a slice that
            does not exist, says two things of one slice, or says neither yes nor no. The line is named.
    """
    path = Path(file)
    try:
        rows = _rows(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is no table in UTF-8"
        raise SegToolkitError(
            "unreadable", f"{path} could not be read: {reason}.", "Check the path and the file."
        ) from error
    _, header = rows[0] if rows else (0, [])
    names = [name.strip().lower() for name in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise SegToolkitError("bad-tags", f"{path} has no column {', '.join(missing)}.", HINT)
    places = [names.index(name) for name in COLUMNS]
    tags: Tags = {case: [None] * count for case, count in sizes.items()}
    coming = unfinished_cases(path.parent) - tags.keys() if path.name == TAGS_FILE else set()
    for line, row in rows[1:]:
        case, where, visible = (row[place].strip() if place < len(row) else "" for place in places)
        if (case or where or visible) and case not in coming:
            _enter(tags, case, where, visible, f"{path}, line {line}")
    return tags


def to_csv(tags: Mapping[str, Sequence[Tag]], file: str | os.PathLike[str]) -> None:
    """Write tags, neighbours of one kind as a range; slices without a tag have no row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for case, own in tags.items():
        writer.writerows(tag_rows(case, {k: tag for k, tag in enumerate(own) if tag is not None}))
    write_text(file, text.getvalue())


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, each with the number of its (last) line; the header tells the separator."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        reader = csv.reader(file, delimiter=max(",;\t", key=first.count), skipinitialspace=True)
        return [(reader.line_num, row) for row in reader if row]


def _enter(tags: Tags, case: str, where: str, visible: str, line: str) -> None:
    # "0001" in a file's name is the case 1.
    case = case if case in tags else case_key(case)
    if case not in tags:
        raise _bad(
            f"{line}: there is no case {case!r}.", f"The cases are {', '.join(sorted(tags)[:10]) or 'none'}."
        )
    match = RANGE.fullmatch(where)
    if match is None:
        raise _bad(f"{line}: {where!r} is neither a slice nor a range of slices.", HINT)
    first, last = int(match[1]), int(match[2] or match[1])
    count = len(tags[case])
    if first > last:
        raise _bad(f"{line}: the range {where!r} falls.", "Write the smaller number first.")
    if last >= count:
        raise _bad(
            f"{line}: {case} has no slice {last}; its {count} slices are numbered from 0 to {count - 1}.",
            "Count slices from 0.",
        )
    if visible.lower() not in WORDS:
        raise _bad(
            f"{line}: {visible!r} says neither that the object is visible nor that it is not.",
            "Write 1 or 0 (or yes, no; nothing for not tagged).",
        )
    tag = WORDS[visible.lower()]
    for number in range(first, last + 1):
        known = tags[case][number]
        if None not in (known, tag) and known != tag:
            raise _bad(
                f"{line}: slice {number} of {case} is tagged as visible and as not visible.",
                "Decide for one of them.",
            )
        tags[case][number] = known if tag is None else tag


def _bad(message: str, hint: str) -> SegToolkitError:
    return SegToolkitError("bad-tags", message, hint)
