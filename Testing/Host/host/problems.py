"""What went wrong without stopping the program, kept so that a test fails for it.

PythonQt prints an exception in a slot and goes on; so does VTK for an observer. People never see it, the
program just does not do what it should. Each such case is recorded here, and conftest.py fails the test in
which it happened.
"""

import sys
import traceback
from types import TracebackType
from typing import NamedTuple


class Problem(NamedTuple):
    """One event.

    kind: "slot" (exception in a slot, observer or timer call), "connect" (unknown signal), "wrong-type" (an
    argument or value that PythonQt converts silently), "modal" (a dialog that would wait for a person), "ui"
    (a .ui file).
    """

    kind: str
    text: str


_recorded: list[Problem] = []


def record(kind: str, text: str) -> None:
    """Print it, as the application would, and remember it."""
    print(text, file=sys.stderr)
    _recorded.append(Problem(kind, text))


def recordException(error: BaseException, where: str) -> None:
    """Print the traceback of an exception that nobody can catch, and remember it."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    record("slot", f"{where}\n{text}")


def recorded() -> list[Problem]:
    """All since the last take()."""
    return list(_recorded)


def take(kind: str | None = None) -> list[Problem]:
    """All since the last take(), or those of one kind, which are forgotten: for a test that expects them."""
    taken = [problem for problem in _recorded if kind in (None, problem.kind)]
    _recorded[:] = [problem for problem in _recorded if problem not in taken]
    return taken


def installHook() -> None:
    """Record what reaches sys.excepthook: exceptions in VTK observers and in overridden Qt methods."""
    previous = sys.excepthook
    if getattr(previous, "_ofHost", False):
        return

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _recorded.append(Problem("slot", "".join(traceback.format_exception(kind, error, trace))))
        previous(kind, error, trace)

    hook._ofHost = True  # type: ignore[attr-defined]
    sys.excepthook = hook
