"""Tags of slices: files in and out, masks, and what is wrong said as a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.tags import check_usable, counted, from_csv, from_mask, to_csv

SIZES = {"a": 6, "b": 3}


def read(folder: Path, text: str, encoding: str = "utf-8") -> dict:
    file = folder / "tags.csv"
    file.write_bytes(text.encode(encoding))
    return from_csv(file, SIZES)


@pytest.mark.parametrize(
    "text",
    [
        "case,slice,visible\na,1-3,1\na,0,0\na,5,0\n",
        "case;slice;visible\r\na;1 - 3;yes\r\na;0;no\r\na;5;No\r\n",
        "Case\tSlice\tVisible\tremark\na\t1\tvisible\tx\na\t2-3\ttrue\t\na\t0\tnot visible\t\na\t5\tfalse\n",
        "visible, case, slice\n1, a, 1-2\n1, a, 2-3\n0, a, 0\n0, a, 5\n, a, 4\n?, b, 0-2\n\n",
    ],
    ids=["plain", "semicolons", "tabs and a remark", "overlaps and slices that are not tagged"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tags_are_read_with_ranges(tmp_path: Path, text: str, encoding: str) -> None:
    assert read(tmp_path, text, encoding) == {"a": [False, True, True, True, None, False], "b": [None] * 3}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("c,1,1", "line 2: there is no case 'c'"),
        ("a,6,1", "a has no slice 6; its 6 slices are numbered from 0 to 5"),
        ("a,2-6,1", "has no slice 6"),
        ("a,3-1,1", "the range '3-1' falls"),
        ("a,x,1", "'x' is neither a slice nor a range"),
        ("a,-1,1", "'-1' is neither"),
        ("a,1,maybe", "'maybe' says neither"),
        ("a,1-3,1\na,2,0", "line 3: slice 2 of a is tagged as visible and as not visible"),
        ("a", "'' is neither a slice"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        read(tmp_path, f"case,slice,visible\n{row}\n")
    assert caught.value.code == "bad-tags"
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "case,visible\na,1\n", "a,1,1\n"])
def test_missing_columns_are_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SegToolkitError, match=r"has no column .*slice"):
        read(tmp_path, text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00\x80case"])
def test_a_file_that_is_no_text_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "tags.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SegToolkitError, match="could not be read") as caught:
        from_csv(file, SIZES)
    assert caught.value.code == "unreadable"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "new" / "tags.csv"
    tags = {"a": [True, True, None, False, False, True], "b": [None, None, None], "c, d": [False]}
    to_csv(tags, file)
    assert file.read_text(encoding="utf-8").splitlines() == [
        "case,slice,visible",
        "a,0-1,1",
        "a,3-4,0",
        "a,5,1",
        '"c, d",0,0',
    ]
    assert from_csv(file, {case: len(own) for case, own in tags.items()}) == tags


def test_a_mask_says_where_the_object_is_not_only_where_somebody_looked_for_it() -> None:
    shown, left_open = [False, True, True, False], [False, True, False, True]
    assert from_mask(shown) == [False, True, True, False]
    assert from_mask(shown, left_open) == [False, True, True, None]
    assert from_mask(shown, complete=False) == from_mask(shown, left_open, False) == [None, True, True, None]
    assert counted({"a": from_mask(shown, left_open)}) == (2, 1, 1)


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"a": [True, True, None]}, "no-empty-slice"),
        ({"a": [False], "b": [None]}, "no-visible-slice"),
        ({}, "no-visible-slice"),
    ],
)
def test_tags_that_teach_nothing_are_refused(tags: dict, code: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        check_usable(tags)
    assert caught.value.code == code
    assert check_usable({"a": [True, None], "b": [False]}) == (1, 1, 1)


@pytest.mark.parametrize("module", ["tags", "plan", "settings", "released"])
def test_what_a_window_needs_imports_no_torch(module: str) -> None:
    code = f"import sys, SegToolkitLib.methods.cmer.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_with_a_byte_that_is_no_text_never_ends_in_a_traceback(tmp_path: Path) -> None:
    """Python 3.10 refuses a NUL, later ones read it as a part of the name."""
    file = tmp_path / "tags.csv"
    file.write_bytes(b"case,slice,visible\n\0a,1,1\n")
    with pytest.raises(SegToolkitError) as caught:
        from_csv(file, SIZES)
    assert caught.value.code in ("unreadable", "bad-tags")
