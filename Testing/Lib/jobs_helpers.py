"""What the tests of jobs share: a home of their own, pretended trainings, waiting for a state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from SegToolkitLib.jobs import control
from SegToolkitLib.jobs.job_file import create
from SegToolkitLib.jobs.status import JobStatus, list_jobs, status

PRETEND = Path(__file__).parent / "pretend_methods"
PATIENCE_SECONDS = 40.0


@contextmanager
def own_home(folder: Path, monkeypatch: Any) -> Iterator[Path]:
    """A home of SegToolkit in ``folder``; at the end nothing that was started lives on."""
    home = folder / "Zuhause 家"
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(home))
    monkeypatch.setenv("SEGTOOLKIT_METHOD_PATH", str(PRETEND))
    try:
        yield home
    finally:
        for one in list_jobs(home / "runs"):
            with suppress(Exception):
                control.kill(Path(one.folder))


def make(home: Path, name: str, device: str = "cpu", memory_mb: float | None = None, **settings: Any) -> Path:
    """A pretended training that is not started."""
    return create(home / "runs", name, "pretend", None, settings, device=device, memory_mb=memory_mb)


def until(condition: Callable[[], Any]) -> Any:
    """Wait until the condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def until_state(folder: Path, *states: str) -> JobStatus:
    """Wait for one of these states."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := status(folder)).state not in states:
        console = folder / "console.txt"
        words = console.read_text("utf-8", "replace") if console.exists() else ""
        assert time.monotonic() < end, f"{folder.name} is {found}\n{words}"
        time.sleep(0.05)
    return found


def is_there(pid: int) -> bool:
    """Whether a process that is no zombie has the id."""
    from SegToolkitLib.processes import birth

    return birth(pid) is not None
