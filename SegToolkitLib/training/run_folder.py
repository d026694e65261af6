"""A run is a folder: whoever holds it can resume it, compare it, or move it to another machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from SegToolkitLib import __version__
from SegToolkitLib.atomic import write_json
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import plain
from SegToolkitLib.validation import read_json

# A stop file from before this process was meant for another one.
STARTED = time.time()


class RunFolder:
    """settings.json, events.jsonl, log.txt, checkpoints/, pictures/ and result/ of one run.

    Args:
        path: the folder; made where it does not exist.
        writes: whether events and log are written; of several processes, one does.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path = path
        self.writes = writes
        self.settings_file = path / "settings.json"
        self.events_file = path / "events.jsonl"
        self.log_file = path / "log.txt"
        self.checkpoints = path / "checkpoints"
        self.pictures = path / "pictures"
        self.result = path / "result"
        self.stop_file = path / "stop"

    @classmethod
    def create(
        cls,
        path: Path,
        method: str,
        settings: dict[str, Any],
        data: dict[str, Any] | None,
        start: dict[str, Any] | None = None,
        steps: int | None = None,
    ) -> RunFolder:
        """Start a run folder.

        Args:
            path: an empty or missing folder.
            method: name of the method package.
            settings: everything the method needs to run again.
            data: fingerprint of the data; None until they have been read (see :meth:`keep_data`).
            start: where the data lie and what else the run began with, for resuming it.
            steps: of the whole run, for readers that do not know the method.

        Raises:
            SegToolkitError: the folder already holds a run.
        """
        run = cls(path)
        run.refuse_existing()
        try:
            run.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SegToolkitError(
                "write-failed",
                f"The run folder {path} cannot be made: {error.strerror or error}.",
                "Choose a folder where you may write.",
            ) from error
        write_json(
            run.settings_file,
            {
                "method": method,
                "steps": steps,
                "settings": settings,
                "data": data,
                "start": start or {},
                "made_with": provenance(),
            },
        )
        return run

    def keep_data(self, data: dict[str, Any]) -> None:
        """Write down the data's fingerprint: from now on the run is one that can only be resumed."""
        write_json(self.settings_file, {**self.settings(), "data": data})

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run that got as far as reading its data."""
        return self.settings_file.exists() and self.settings().get("data", {}) is not None

    @property
    def failed_at_start(self) -> bool:
        """Whether its run failed before it had read its data: there is nothing to go on with."""
        return not self.begun and [event["t"] for event in self.events()][-1:] == ["error"]

    def refuse_existing(self) -> None:
        """Raise SegToolkitError if the folder already holds a run that has begun."""
        if self.begun:
            raise SegToolkitError(
                "run-exists",
                f"{self.path} already holds a run.",
                "Continue it with --resume, or choose another folder with --run.",
            )

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run.

        Raises:
            SegToolkitError: there is no run in ``path``.
        """
        run = cls(path)
        if not run.settings_file.is_file():
            raise SegToolkitError(
                "no-run", f"{path} holds no run (settings.json is missing).", "Start one without --resume."
            )
        return run

    def settings(self) -> dict[str, Any]:
        """Content of settings.json."""
        return read_json(self.settings_file)

    def event(self, kind: str, **fields: Any) -> None:
        """Append one JSON line to events.jsonl; what is no finite number becomes null.

        Raises:
            SegToolkitError: "write-failed".
        """
        if not self.writes:
            return
        line = json.dumps(plain({"t": kind, "time": round(time.time(), 3), **fields}))
        with _told(self.events_file), self.events_file.open("a+b") as handle:
            if handle.seek(0, os.SEEK_END):
                handle.seek(-1, os.SEEK_END)
                if handle.read(1) != b"\n":
                    # A run that was killed in mid-line: what it began must not swallow this one.
                    line = "\n" + line
            handle.write(line.encode() + b"\n")

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Events so far; a line cut off by a kill is left out."""
        if not self.events_file.exists():
            return []
        found = []
        for line in self.events_file.read_text(encoding="utf-8").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if kind is None or event["t"] == kind:
                found.append(event)
        return found

    def log(self, text: str) -> None:
        """Append one line to log.txt."""
        if not self.writes:
            return
        with _told(self.log_file), self.log_file.open("a", encoding="utf-8") as handle:
            handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def asked_to_stop(self) -> str | None:
        """ "stop" or "finish", where somebody has put the file ``stop`` into the folder; None otherwise."""
        try:
            text = self.stop_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        return "finish" if text.strip() == "finish" else "stop"

    def forget_old_stop(self) -> None:
        """Remove a stop file that was meant for a process before this one."""
        with suppress(OSError):
            if self.stop_file.stat().st_mtime < STARTED:
                self.stop_file.unlink()


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Make the folder, and tell in a sentence what the system objects to."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SegToolkitError(
            "write-failed",
            f"{file} could not be written: {error.strerror or error}.",
            "Check that you may write there and that the disk is not full, then resume the run.",
        ) from error


def provenance() -> dict[str, Any]:
    """Versions and machine kind, for settings.json and model cards."""
    return {
        "segtoolkit": __version__,
        "torch": _version("torch"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "git_commit": _git_commit(),
    }


def _version(package: str) -> str | None:
    """Version of an installed package, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Commit of the source tree, or None where the library is installed without one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=root,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
