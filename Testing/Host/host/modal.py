"""Dialogs that wait for a person.

In a test nobody answers: in the application a raw exec_() would block for ever. Here it is recorded as a
problem and answered with a refusal, unless the test has said who answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from host import problems

Answer = Callable[[Any, str, tuple[Any, ...]], Any]
_answers: list[Answer] = []

STATIC = {
    "QMessageBox": {"information", "question", "warning", "critical", "about", "aboutQt"},
    "QInputDialog": {"getText", "getInt", "getDouble", "getItem", "getMultiLineText"},
    "QFileDialog": {"getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"},
    "QColorDialog": {"getColor"},
    "QFontDialog": {"getFont"},
}
WAITING = frozenset({"exec", "exec_"})
WAITING_BASES = ("QDialog", "QMenu")


def waits(className: str, bases: tuple[str, ...], member: str) -> bool:
    """Whether a call of this member waits for a person."""
    if member in WAITING:
        return any(name in bases for name in WAITING_BASES)
    return any(member in STATIC.get(name, ()) for name in (className, *bases))


@contextmanager
def answering(answer: Answer) -> Iterator[None]:
    """Within the block, `answer(dialog or class name, member, arguments)` is what a person would choose."""
    _answers.append(answer)
    try:
        yield
    finally:
        _answers.remove(answer)


def ask(dialog: Any, className: str, member: str, arguments: tuple[Any, ...]) -> Any:
    """The answer to a waiting call; refusals if nobody answers."""
    if _answers:
        return _answers[-1](dialog, member, arguments)
    problems.record("modal", f"{className}.{member}{arguments!r} would wait for a person")
    if member in WAITING or className == "QMessageBox":
        return 0
    if member == "getOpenFileNames":
        return ()
    return "" if className == "QFileDialog" else None
