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
    def create(cls, path: Path, method: str, settings: dict[str, Any], data: dict[str, Any]) -> RunFolder:
        """Start a run folder.

        Args:
            path: an empty or missing folder.
            method: name of the method package.
            settings: everything the method needs to run again.
            data: where the data lie and their fingerprint.

        Raises:
            SegToolkitError: the folder already holds a run.
        """
        run = cls(path)
        run.refuse_existing()
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        write_json(
            run.settings_file,
            {"method": method, "settings": settings, "data": data, "made_with": provenance()},
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
        return json.loads(self.settings_file.read_text(encoding="utf-8"))

    def event(self, kind: str, **fields: Any) -> None:
        """Append one JSON line to events.jsonl."""
        self.path.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"t": kind, "time": round(time.time(), 3), **fields})
        with self.events_file.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

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
        with self.log_file.open("a", encoding="utf-8") as handle:
            handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


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
