"""Questions that take seconds or minutes: one at a time, on a worker of their own, each to be taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Signal import Signal
from SegToolkitGui.WorkerClient import OnEvent, OnFinished

# What is asked first if several things wait. "model" and "collect" write files and are never broken off for
# another.
KINDS = ("model", "collect", "check", "environment", "estimate")


@dataclass(eq=False)
class _Work:
    kind: str
    verb: str
    body: dict
    onEvent: OnEvent | None
    onFinished: OnFinished


class SlowWork:
    """Holds what waits, and gives the worker one piece after the other.

    Args:
        request: asks the worker, which nobody else asks: (verb, body, onEvent, onFinished).
        interrupt: ends what it does at once.

    Attributes:
        changed: Signal(), something began or ended.
    """

    def __init__(self, request: Callable[..., Any], interrupt: Callable[[], Any]) -> None:
        self.changed = Signal()
        self._request = request
        self._interrupt = interrupt
        self._waiting: list[_Work] = []
        self._current: _Work | None = None

    @property
    def kind(self) -> str:
        """Kind of the work under way, "" if there is none."""
        return self._current.kind if self._current else ""

    def has(self, kind: str) -> bool:
        """Whether work of a kind is under way or waits."""
        return self.kind == kind or any(work.kind == kind for work in self._waiting)

    def ask(self, kind: str, verb: str, body: dict, onEvent: OnEvent | None, onFinished: OnFinished) -> None:
        """Ask the worker; arguments as in WorkerClient.request.

        Of checks and estimates only the last one asked counts: an earlier one ends with code "cancelled". A
        more urgent piece interrupts an estimate, which is begun anew afterwards.
        """
        if kind in ("check", "estimate"):
            self.cancel(kind)
        self._waiting.append(_Work(kind, verb, body, onEvent, onFinished))
        self._waiting.sort(key=lambda work: KINDS.index(work.kind))
        if self.kind == "estimate" and kind != "estimate":
            interrupted, self._current = self._current, None
            self._waiting.append(interrupted)
            self._interrupt()
        self._advance()

    def cancel(self, kind: str) -> None:
        """End all work of a kind with code "cancelled"."""
        stopped = [work for work in self._waiting if work.kind == kind]
        self._waiting = [work for work in self._waiting if work.kind != kind]
        if self.kind == kind:
            stopped.insert(0, self._current)
            self._current = None
            self._interrupt()
        for work in stopped:
            work.onFinished(None, UserError("cancelled", ""))
        self._advance()

    def clear(self) -> None:
        """Forget everything; no callback runs any more."""
        self._waiting, self._current = [], None

    def _advance(self) -> None:
        if self._current is None and self._waiting:
            work = self._current = self._waiting.pop(0)
            self._request(
                work.verb,
                work.body,
                lambda event: self._onEvent(work, event),
                lambda outputs, error: self._onFinished(work, outputs, error),
            )
        self.changed.emit()

    def _onEvent(self, work: _Work, event: dict) -> None:
        if work is self._current and work.onEvent is not None:
            work.onEvent(event)

    def _onFinished(self, work: _Work, outputs: dict | None, error: Any) -> None:
        if work is not self._current:
            return  # interrupted or cancelled: told already, or to be asked again
        self._current = None
        work.onFinished(outputs, error)
        self._advance()
