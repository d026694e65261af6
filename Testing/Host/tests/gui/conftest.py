"""Stand-ins for what the application provides, and an event loop to turn.

The host is started if it can be; while it cannot, its modules `qt` and `ctk` and the few names below are
enough for these tests.
"""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
HOST = Path(__file__).resolve().parents[2]
REPOSITORY = HOST.parents[1]
for folder in (HOST, REPOSITORY / "SegToolkit", Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import host  # noqa: E402

host.start([])


@pytest.fixture
def turn() -> Callable[..., bool]:
    """turn(condition, seconds) turns the event loop until the condition holds; it returns whether it does."""
    from PySide6.QtCore import QCoreApplication, QEventLoop

    def turnUntil(condition: Callable[[], bool] = lambda: False, seconds: float = 10.0) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(0.002)
        return True

    return turnUntil


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.SimpleNamespace:
    """A stand-in for slicer.app with the members that these classes use; `texts` is its clipboard."""
    import slicer

    texts: list[str] = []
    app = types.SimpleNamespace(
        temporaryPath=str(tmp_path / "temporary é"),
        applicationVersion="5.13.0-2026-08-20",
        repositoryRevision="abc1234",
        testingEnabled=lambda: False,
        clipboard=lambda: types.SimpleNamespace(setText=texts.append),
        texts=texts,
    )
    monkeypatch.setattr(slicer, "app", app, raising=False)
    return app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder with blanks and ünïcode 肝"


@pytest.fixture
def newClient(folder: Path, turn: Callable) -> Iterator[Callable]:
    clients: list = []

    def new(mode: str = "normal", command: list[str] | None = None) -> Any:
        from worker_parts import FAKE

        from SegToolkitGui.WorkerClient import WorkerClient

        clients.append(WorkerClient(folder, command or [sys.executable, str(FAKE), mode]))
        return clients[-1]

    yield new
    for client in clients:
        client.killNow()
        turn(seconds=0.02)  # Qt objects go one turn later
