"""What happens in a run, written into its folder as well as passed on."""

from __future__ import annotations

import time
from typing import Any

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.training.run_folder import RunFolder

EVERY_SECONDS = 0.5


class StopAskedError(Exception):
    """The run was asked to stop before its training began."""


class LoggedReporter(Reporter):
    """Passes everything on, and keeps warnings and progress in the run's folder.

    Progress is written twice a second at most, and where a phase ends.

    Args:
        run: whose folder.
        reporter: who hears of it besides.
        stoppable: raise :class:`StopAskedError` from :meth:`progress` where the run is asked to stop;
            the training's own progress never does, because its loop finishes the step first.
    """

    def __init__(self, run: RunFolder, reporter: Reporter, stoppable: bool = False) -> None:
        self._run, self._reporter, self.stoppable = run, reporter, stoppable
        self._written: tuple[str, float] = ("", 0.0)

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        now = time.monotonic()
        before, at = self._written
        if phase != before or step >= total or now - at >= EVERY_SECONDS:
            self._written = phase, now
            self._run.event("progress", phase=phase, step=step, total=total)
        self._reporter.progress(phase, step, total, **values)
        if self.stoppable and phase != "training" and self._run.asked_to_stop():
            raise StopAskedError

    def metric(self, name: str, value: float, **context: Any) -> None:
        self._reporter.metric(name, value, **context)

    def warning(self, text: str, hint: str = "") -> None:
        self._run.event("warning", text=text, hint=hint)
        self._run.log(f"Warning: {text} {hint}".rstrip())
        self._reporter.warning(text, hint)

    def info(self, text: str) -> None:
        self._reporter.info(text)

    def error(self, error: SegToolkitError) -> None:
        self._reporter.error(error)

    def done(self, **outputs: Any) -> None:
        self._reporter.done(**outputs)
