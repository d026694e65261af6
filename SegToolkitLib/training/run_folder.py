"""A run is a folder: whoever holds it can resume it, compare it, or move it to another machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import torch

from SegToolkitLib import __version__
from SegToolkitLib.atomic import write_json
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.validation import read_json


class RunFolder:
    """settings.json, events.jsonl, log.txt, checkpoints/ and result/ of one run.

    Args:
        path: the folder; made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings_file = path / "settings.json"
        self.events_file = path / "events.jsonl"
        self.log_file = path / "log.txt"
        self.checkpoints = path / "checkpoints"
        self.result = path / "result"
        self.stop_file = path / "stop"

    @classmethod
    def create(
        cls,
        path: Path,
        method: str,
        settings: dict[str, Any],
        data: dict[str, Any],
        start: dict[str, Any] | None = None,
    ) -> RunFolder:
        """Start a run folder.

        Args:
            path: an empty or missing folder.
            method: name of the method package.
            settings: everything the method needs to run again.
            data: fingerprint of the data.
            start: where the data lie and what else the run began with, for resuming it.

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
                "settings": settings,
                "data": data,
                "start": start or {},
                "made_with": provenance(),
            },
        )
        return run

    def refuse_existing(self) -> None:
        """Raise SegToolkitError if the folder already holds a run."""
        if self.settings_file.exists():
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
        """Append one JSON line to events.jsonl."""
        self.path.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"t": kind, "time": round(time.time(), 3), **fields})
        with self.events_file.open("a+b") as handle:
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
        self.path.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("a", encoding="utf-8") as handle:
            handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


class LoggedReporter(Reporter):
    """Passes everything on, and keeps warnings in the run's log.txt.

    Args:
        run: whose log.
        reporter: who hears of it besides.
    """

    def __init__(self, run: RunFolder, reporter: Reporter) -> None:
        self._run, self._reporter = run, reporter

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        self._reporter.progress(phase, step, total, **values)

    def metric(self, name: str, value: float, **context: Any) -> None:
        self._reporter.metric(name, value, **context)

    def warning(self, text: str, hint: str = "") -> None:
        self._run.log(f"Warning: {text} {hint}".rstrip())
        self._reporter.warning(text, hint)

    def info(self, text: str) -> None:
        self._reporter.info(text)

    def error(self, error: SegToolkitError) -> None:
        self._reporter.error(error)

    def done(self, **outputs: Any) -> None:
        self._reporter.done(**outputs)


def provenance() -> dict[str, Any]:
    """Versions and machine kind, for settings.json and model cards."""
    return {
        "segtoolkit": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "git_commit": _git_commit(),
    }


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
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
