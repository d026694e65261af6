"""Reading events.jsonl while another process writes it: new lines, the newest ones, the best validation."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from SegToolkitLib.errors import SegToolkitError

FILE_NAME = "events.jsonl"
BLOCK_BYTES = 1 << 15
BEST = b'"best": true'
START = b'{"t": "start"'

Event = dict[str, Any]


def events(folder: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Events that were written since the last call.

    Args:
        folder: of the run.
        offset: what the last call returned; 0 at first.

    Returns:
        The events whose lines are complete, and the offset for the next call. Lines that are no events
        (one that a kill cut off) are left out. A file that became shorter is read from its beginning.

    Raises:
        SegToolkitError: "no-run": the folder is not there.
    """
    try:
        with (folder / FILE_NAME).open("rb") as handle:
            if not 0 <= offset <= handle.seek(0, os.SEEK_END):
                offset = 0
            handle.seek(offset)
            text = handle.read()
    except FileNotFoundError as error:
        if folder.is_dir():
            return [], 0
        raise no_run(folder) from error
    except OSError as error:
        raise SegToolkitError(
            "unreadable",
            f"{folder / FILE_NAME} could not be read: {error.strerror or error}.",
            "Check the folder and its permissions.",
        ) from error
    complete = text.rfind(b"\n") + 1
    found = (_parsed(line) for line in text[:complete].splitlines())
    return [event for event in found if event is not None], offset + complete


def size_of(folder: Path) -> int:
    """Bytes of the file; 0 where there is none."""
    try:
        return (folder / FILE_NAME).stat().st_size
    except OSError:
        return 0


def newest_first(folder: Path, most_bytes: int) -> Iterator[tuple[int, Event]]:
    """Events with their offsets, from the last one backwards through at most ``most_bytes`` of the file."""
    try:
        handle = (folder / FILE_NAME).open("rb")
    except OSError:
        return
    with handle:
        for offset, line in _lines_backwards(handle, most_bytes):
            event = _parsed(line)
            if event is not None:
                yield offset, event


def _lines_backwards(handle: BinaryIO, most_bytes: int) -> Iterator[tuple[int, bytes]]:
    position = handle.seek(0, os.SEEK_END)
    last = max(0, position - most_bytes)
    rest = b""
    while position > last:
        size = min(BLOCK_BYTES, position - last)
        position -= size
        handle.seek(position)
        parts = (handle.read(size) + rest).split(b"\n")
        rest = parts[0]
        end = position + sum(len(part) + 1 for part in parts)
        for part in reversed(parts[1:]):
            end -= len(part) + 1
            if part:
                yield end, part
    if position == 0 and rest:
        yield 0, rest


def first_event(folder: Path) -> Event | None:
    """The event that the file begins with."""
    try:
        with (folder / FILE_NAME).open("rb") as handle:
            return _parsed(handle.readline(BLOCK_BYTES))
    except OSError:
        return None


def newest_start(folder: Path, most_bytes: int) -> Event | None:
    """The newest event "start", as far as it lies in the last or the first bytes of the file."""
    try:
        with (folder / FILE_NAME).open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            for first, length in ((max(0, size - most_bytes), most_bytes), (0, BLOCK_BYTES)):
                handle.seek(first)
                text = handle.read(length)
                place = text.rfind(START)
                if place >= 0:
                    return _parsed(text[place:].partition(b"\n")[0])
    except OSError:
        pass
    return None


class BestValidations:
    """The best validation of each run, remembered, so that each file is searched once only."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, Event | None]] = {}

    def of(self, folder: Path) -> Event | None:
        """The newest validation that was the best so far, or None."""
        try:
            with (folder / FILE_NAME).open("rb") as handle:
                size = handle.seek(0, os.SEEK_END)
                searched, best = self._known.get(folder, (0, None))
                if size < searched:
                    searched, best = 0, None
                if size > searched:
                    best = _search(handle, searched, size) or best
                    self._known[folder] = (_last_line(handle, size), best)
                return best
        except (OSError, ValueError):
            return None


def _search(handle: BinaryIO, first: int, last: int) -> Event | None:
    with mmap.mmap(handle.fileno(), last, access=mmap.ACCESS_READ) as text:
        end = last
        while (place := text.rfind(BEST, first, end)) >= 0:
            start = text.rfind(b"\n", 0, place) + 1
            stop = text.find(b"\n", place)
            event = _parsed(text[start : stop if stop >= 0 else last])
            if event is not None and event["t"] == "validation":
                return event
            end = start
    return None


def _last_line(handle: BinaryIO, size: int) -> int:
    """Where the last, perhaps incomplete, line begins: from there on the file is searched again."""
    handle.seek(max(0, size - BLOCK_BYTES))
    tail = handle.read(min(size, BLOCK_BYTES))
    return size - len(tail) + tail.rfind(b"\n") + 1


def _parsed(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("t"), str) else None


def no_run(folder: Path) -> SegToolkitError:
    """What is said of a folder that is not there or holds no run."""
    return SegToolkitError(
        "no-run", f"{folder} holds no run.", "Look at the list of runs: it may have been deleted or moved."
    )
