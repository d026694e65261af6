"""The process of a job: the command line's ``train``, in this process, with a quiet console."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any, TextIO

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter


class ConsoleReporter(Reporter):
    """Lines with their time. Progress is left out: the run's events have it, and a console file grows.

    Args:
        stream: where to write; None takes stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._phase = ""

    def _say(self, text: str) -> None:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=self._stream, flush=True)

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        if phase != self._phase:
            self._phase = phase
            self._say(f"{phase.capitalize()} ...")

    def warning(self, text: str, hint: str = "") -> None:
        self._say(f"Warning: {text} {hint}".rstrip())

    def info(self, text: str) -> None:
        self._say(text)

    def error(self, error: SegToolkitError) -> None:
        self._say(f"Error: {error}")


def run_here(folder: Path, reporter: Reporter, seen: int | None = None) -> None:
    """Run the job in ``folder`` in this process, when it is its turn; ``seen`` as in ``jobs.process``.

    Raises:
        SegToolkitError: what ended it.
    """
    from SegToolkitLib.jobs.devices import Device, resolve
    from SegToolkitLib.jobs.process import run_job
    from SegToolkitLib.worker import torch_facts
    from SegToolkitLib.worker.answers import told

    def train(arguments: list[str]) -> object:
        options = parsed(arguments)
        sys.argv = ["segtoolkit", *arguments]  # what the run says it was started with
        return options.command.run(options, quiet)

    def device(asked: str) -> Device:
        return resolve(asked, lambda: torch_facts.ask()[0])

    # A person who runs it in a terminal sees the bar.
    quiet = reporter if sys.stderr.isatty() else ConsoleReporter()
    run_job(folder, train, device, told, seen)


def parsed(arguments: list[str]) -> Namespace:
    """Arguments of ``segtoolkit``, checked.

    Raises:
        SegToolkitError: "bad-arguments", in the parser's words.
    """
    from SegToolkitLib import cli

    words = io.StringIO()
    try:
        with contextlib.redirect_stderr(words):
            return cli._parser().parse_args(arguments)
    except SystemExit as error:
        said = words.getvalue().strip().rpartition("error: ")[2] or "it asks for help only"
        raise SegToolkitError(
            "bad-arguments",
            f"segtoolkit {shlex.join(arguments)} cannot be run: {said}.",
            f"See segtoolkit {shlex.join(arguments[:2])} --help.",
        ) from error
