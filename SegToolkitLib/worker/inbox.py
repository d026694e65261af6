"""Requests as files: taken in the order of their names, each once."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from SegToolkitLib.errors import SegToolkitError

NAME = re.compile(r"^\d{1,18}\.json$")
LIMIT_BYTES = 16 << 20
# On Windows a virus scanner may hold a new file for a moment.
PATIENCE_SECONDS = 2.0


class Inbox:
    """The folder ``requests`` of a worker's folder.

    Args:
        folder: of the worker; ``requests`` in it is made.

    Raises:
        SegToolkitError: "no-folder".
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "requests"
        self._stuck: set[str] = set()
        try:
            if not folder.is_dir():
                raise FileNotFoundError(2, "there is no such folder")
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SegToolkitError(
                "no-folder",
                f"The exchange folder {folder} cannot be used: {error.strerror or error}.",
                "Give an existing folder that may be written.",
            ) from error

    def next(self) -> tuple[str, str] | None:
        """Name and text of the next request, which is removed; None if none waits."""
        try:
            names = [name for name in os.listdir(self._folder) if NAME.match(name)]  # noqa: PTH208
        except OSError:
            return None  # the watch tells whether the folder is gone for good
        waiting = [name for name in names if name not in self._stuck]
        if not waiting:
            return None
        name = min(waiting, key=lambda one: (len(one), one))
        text = self._read(self._folder / name)
        try:
            (self._folder / name).unlink()
        except OSError:
            self._stuck.add(name)  # it cannot be removed, but it is answered once all the same
        return name, text

    def _read(self, path: Path) -> str:
        """Text of a file; "" if it cannot be read, which is no request either."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if path.stat().st_size > LIMIT_BYTES:
                    return ""
                return path.read_text(encoding="utf-8", errors="replace")
            except OSError:
                if time.monotonic() > end:
                    return ""
                time.sleep(0.02)


def parse(name: str, text: str) -> dict[str, Any]:
    """A request as plain values with ``id`` and ``do``.

    Raises:
        SegToolkitError: "bad-request".
    """
    hint = 'A request is a JSON object such as {"id": "7", "do": "models"}.'
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SegToolkitError("bad-request", f"{name} is not JSON: {error}.", hint) from error
    if not isinstance(values, dict):
        raise SegToolkitError("bad-request", f"{name} holds a JSON {type(values).__name__}.", hint)
    if request_id(values) is None or not isinstance(values.get("do"), str):
        raise SegToolkitError("bad-request", f"{name} has no 'id' or no 'do'.", hint)
    return values


def request_id(values: object) -> str | int | None:
    """The id that a request carries, if it carries a usable one."""
    found = values.get("id") if isinstance(values, dict) else None
    return found if isinstance(found, (str, int)) and not isinstance(found, bool) else None
