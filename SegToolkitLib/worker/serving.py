"""The worker's main loop."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from SegToolkitLib import __version__
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import JsonReporter
from SegToolkitLib.worker import watch
from SegToolkitLib.worker.answers import Answers
from SegToolkitLib.worker.inbox import Inbox, parse, request_id

PROTOCOL = 1
POLL_SECONDS = 0.015


def serve(folder: Path, parent: int | None) -> int:
    """Answer requests until one says ``quit``; return the exit code.

    Args:
        folder: exchange folder; requests come into its folder ``requests``.
        parent: process to live with.
    """
    if hasattr(os, "setsid"):
        with suppress(OSError):  # it leads its group already
            os.setsid()
    folder = folder.absolute()
    stream = own_stdout()
    reporter = JsonReporter(stream)
    try:
        reporter.hello(protocol=PROTOCOL, version=__version__)
        inbox = Inbox(folder)
    except SegToolkitError as error:
        reporter.error(error)
        return 2
    watch.start(folder, parent)
    try:
        return _loop(inbox, stream)
    except (BrokenPipeError, ValueError) as error:
        # Nobody reads what we say: the window has let go of us.
        print(f"The pipe to the parent is closed ({error}).", file=sys.stderr)
        return watch.EXIT_ABANDONED


def _loop(inbox: Inbox, stream: TextIO) -> int:
    answers = Answers()
    while True:
        waiting = inbox.next()
        if waiting is None:
            time.sleep(POLL_SECONDS)
            continue
        try:
            values = parse(*waiting)
        except SegToolkitError as error:
            JsonReporter(stream, id=_id_in(waiting[1])).error(error)
            continue
        reporter = JsonReporter(stream, id=values["id"])
        if values["do"] == "quit":
            reporter.done()
            return 0
        answers.answer(values, reporter)


def _id_in(text: str) -> Any:
    """The id of a request that is wrong otherwise; None where none can be found."""
    import json

    with suppress(ValueError, RecursionError):
        return request_id(json.loads(text))
    return None


def own_stdout() -> TextIO:
    """Stdout for events alone; whatever libraries print goes to stderr from now on."""
    sys.stdout.flush()
    copy = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    # Text of our own encoding and line ends, whatever the locale and the system.
    return open(copy, "w", encoding="ascii", newline="\n")  # noqa: PTH123
