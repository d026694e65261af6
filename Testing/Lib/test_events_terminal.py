"""Progress bars of the terminal."""

from __future__ import annotations

import io
import re

from SegToolkitLib.events import TerminalReporter


def test_what_was_done_before_the_first_word_makes_no_speed() -> None:
    stream = io.StringIO()
    reporter = TerminalReporter(stream)
    reporter.progress("training", 4001, 8000)
    reporter.progress("training", 8000, 8000)
    text = stream.getvalue()
    first = text.split("\r")[1]
    assert "4000/8000" in first
    assert re.search(r"\?it/s", first)
    assert "8000/8000" in text
