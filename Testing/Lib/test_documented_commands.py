"""Commands as the docs show them: all are there, and none asks for what is refused."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from SegToolkitLib.methods.registry import commands_of

ROOT = Path(__file__).parents[2]
METHODS = ("alpnet", "cssn", "cooperative", "cmer", "pdcr_uafr", "nnunet")


def shown() -> Iterator[tuple[str, list[str]]]:
    """File and words of each command line in a block of code."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^\s*segtoolkit (.+)$", text, re.MULTILINE):
            try:
                yield page.name, shlex.split(line, comments=True)
            except ValueError as error:  # says where to look
                raise AssertionError(f"{page.name}: {line}") from error


def test_no_command_writes_over_its_own_input() -> None:
    lines = list(shown())
    assert len(lines) > 80
    for page, words in lines:
        named = [words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-i", "-o")]
        assert len(named) == len(set(named)), f"{page}: {words}"


def test_every_verb_of_every_method_is_in_the_table_of_commands() -> None:
    table = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    missing = [
        f"{verb} {method}"
        for method in METHODS
        for verb in commands_of(method)
        if verb not in ("import", "export")  # of ``models``
        if not re.search(rf"^\| `segtoolkit {verb} (METHOD|{method})\b", table, re.MULTILINE)
    ]
    assert missing == []
