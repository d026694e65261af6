"""The training module in the stand-in application, with a worker that tells what a test wants."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from training_panel import FAKE, MODULES, Panel, World, fresh

os.environ["OMP_NUM_THREADS"] = "2"


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import host

    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "USERPROFILE"):
        os.environ[name] = str(home)
    running = host.start(MODULES)
    yield running
    running.quit()


@pytest.fixture(scope="session")
def worldFolder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, so that the workers need not start anew for each."""
    return tmp_path_factory.mktemp("world")


@pytest.fixture
def world(worldFolder: Path, tmp_path: Path) -> World:
    return World(worldFolder, tmp_path / "runs")


@pytest.fixture
def panel(application: Any, world: World) -> Iterator[Panel]:
    """The panel, shown, with the stand-in for the worker."""
    application.leaveModule()
    application.panel("SegToolkitTraining")
    found = Panel(application)
    fresh(found, [sys.executable, str(FAKE), str(world.folder)])
    application.showModule("SegToolkitTraining")
    found.wait(
        lambda: found.session.methods and found.session.devices and found.jobs.known, what="the worker"
    )
    found.settle()
    yield found
    application.leaveModule()  # the next test begins afresh


@pytest.fixture(scope="session", autouse=True)
def nothing_stays(application: Any) -> Iterator[None]:
    """After the last test of this folder the scene and the session are as before."""
    yield
    fresh(Panel(application), None)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "data set é"
    folder.mkdir()
    (folder / "dataset.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture
def real(application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Panel]:
    """The panel with the real worker and a home of its own."""
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    application.leaveModule()
    application.panel("SegToolkitTraining")
    found = Panel(application)
    found.session.stopWorkers()
    fresh(found, None)
    application.showModule("SegToolkitTraining")
    found.wait(lambda: found.session.methods and found.jobs.known, 60, "the worker")
    found.settle()
    yield found
    for job in found.jobs.live:
        found.session.quick("job_kill", {"folder": job["folder"]}, lambda outputs, error: None)
    found.wait(lambda: found.session.worker("quick").state in ("idle", "off"), 30, "the ends")
    application.leaveModule()
    found.session.stopWorkers()
    fresh(found, None)
