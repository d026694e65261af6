"""Answers of a person to message boxes, decided beforehand by a test.

slicer.util's display functions stay the real ones. With --testing they never show anything; without it they
end in a box whose exec_() asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PySide6.QtWidgets import QMessageBox

from host import modal

BUTTONS = {
    "ok": QMessageBox.StandardButton.Ok,
    "cancel": QMessageBox.StandardButton.Cancel,
    "yes": QMessageBox.StandardButton.Yes,
    "no": QMessageBox.StandardButton.No,
    "retry": QMessageBox.StandardButton.Retry,
    "close": QMessageBox.StandardButton.Close,
}


class Answers:
    """A queue of answers and a record of what was asked.

    `with application.answers.given("ok", "no"):` answers the next two boxes; each box's text is in
    `asked`. A box that nobody answers is recorded by host.modal as a problem and refused.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._queue: list[Any] = []

    @contextmanager
    def given(self, *answers: Any) -> Iterator[list[str]]:
        """Within the block, boxes get these answers in order; AssertionError if the number differs."""
        self._queue.extend(answers)
        first = len(self.asked)
        asked: list[str] = []
        try:
            with modal.answering(self._answer):
                yield asked
        finally:
            left, self._queue = self._queue, []
            asked.extend(self.asked[first:])
        assert not left, f"nobody asked for the answers {left}"

    def _answer(self, dialog: Any, member: str, arguments: tuple[Any, ...]) -> Any:
        text = (
            dialog.text() if isinstance(dialog, QMessageBox) else str(arguments[-1] if arguments else member)
        )
        self.asked.append(text)
        assert self._queue, f"a box asks, but no answer is left: {text}"
        answer = self._queue.pop(0)
        return BUTTONS[answer] if isinstance(answer, str) and answer in BUTTONS else answer
