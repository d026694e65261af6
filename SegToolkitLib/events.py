"""Progress, warnings and results on their way to a person or to another program.

To another program they are JSON objects, one a line on stdout (``--json``); to a person a progress bar
and sentences on stderr. Both receive the same calls.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from tqdm import tqdm

from SegToolkitLib.errors import SegToolkitError


class ReaderGoneError(BrokenPipeError):
    """Nobody reads any more what is reported."""


class Reporter:
    """Receives what happens; this base class keeps silent, which suits the Python API."""

    def hello(self, **facts: Any) -> None:
        """The process has started; ``facts`` are what the other side should know of it."""

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        """``step`` of ``total`` of ``phase`` is done; ``values`` are shown beside it."""

    def metric(self, name: str, value: float, **context: Any) -> None:
        """A measured number."""

    def warning(self, text: str, hint: str = "") -> None:
        """Something that does not stop the work."""

    def info(self, text: str) -> None:
        """A line for the log."""

    def error(self, error: SegToolkitError) -> None:
        """What stopped the work."""

    def done(self, **outputs: Any) -> None:
        """The work is finished; ``outputs`` names its files."""


class TerminalReporter(Reporter):
    """A progress bar for each phase and plain sentences, all on stderr."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._bar: tqdm | None = None
        self._phase = ""

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        if self._bar is None or phase != self._phase or self._bar.total != total:
            self._close()
            self._phase = phase
            self._bar = tqdm(
                total=total,
                # What had been done before, as of a training that goes on, says nothing of the speed.
                initial=max(step - 1, 0),
                desc=phase,
                file=self._stream,
                dynamic_ncols=True,
                mininterval=0.2,
            )
        if values:
            self._bar.set_postfix({k: _short(v) for k, v in values.items()}, refresh=False)
        self._bar.update(step - self._bar.n)
        if step >= total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, text: str) -> None:
        try:
            tqdm.write(text, file=self._stream)
        except BrokenPipeError as error:
            raise ReaderGoneError(*error.args) from error

    def warning(self, text: str, hint: str = "") -> None:
        self._say(f"Warning: {text} {hint}".rstrip())

    def info(self, text: str) -> None:
        self._say(text)

    def error(self, error: SegToolkitError) -> None:
        self._close()
        self._say(f"Error: {error.message}")
        if error.hint:
            self._say(f"  {error.hint}")


class JsonReporter(Reporter):
    """One JSON object a line; the field ``t`` names the kind of event.

    Args:
        stream: where to write; None takes stdout.
        common: fields that every event carries, such as the ``id`` of a request.
    """

    def __init__(self, stream: TextIO | None = None, **common: Any) -> None:
        self._stream = stream or sys.stdout
        self._common = common

    def _send(self, kind: str, **fields: Any) -> None:
        # ASCII, because a parent may decode our output with any locale.
        event = {"t": kind, **self._common, **fields}
        try:
            print(json.dumps(plain(event), default=str), file=self._stream, flush=True)
        except BrokenPipeError as error:
            raise ReaderGoneError(*error.args) from error

    def hello(self, **facts: Any) -> None:
        self._send("hello", pid=os.getpid(), **facts)

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        self._send("progress", phase=phase, step=step, total=total, **values)

    def metric(self, name: str, value: float, **context: Any) -> None:
        self._send("metric", name=name, value=value, **context)

    def warning(self, text: str, hint: str = "") -> None:
        self._send("warning", text=text, hint=hint)

    def info(self, text: str) -> None:
        self._send("log", text=text)

    def error(self, error: SegToolkitError) -> None:
        self._send("error", code=error.code, text=error.message, hint=error.hint)

    def done(self, **outputs: Any) -> None:
        self._send("done", outputs=outputs)


def plain(value: Any) -> Any:
    """The value with NaN and infinity as None, because JSON has no word for them."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
