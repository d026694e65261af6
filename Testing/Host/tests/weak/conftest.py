"""The weak-supervision module in the stand-in application, with the real worker and small models."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from weak_panel import MODULES, Panel

os.environ["OMP_NUM_THREADS"] = "2"
NAME = "SegToolkitWeakSupervision"


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import host
    from host.slicer_parts import start

    ours = start._running is None  # else those who started it end it
    home = tmp_path_factory.mktemp("home")
    models = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, str(Path(__file__).with_name("weak_models.py")), str(models)], check=True)
    changed = {"HOME": str(home), "USERPROFILE": str(home), "SEGTOOLKIT_MODELS": str(models)}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    running = host.start(MODULES)
    running.showModule(NAME)
    yield running
    panel = Panel(running)
    panel.session.stopWorkers()  # others begin with models of their own
    panel.session.models = []
    panel.session.forgetFailures()
    running.leaveModule()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    if ours:
        running.quit()


@pytest.fixture
def panel(application: Any) -> Iterator[Panel]:
    application.leaveModule()  # the self-test leaves the panel by itself
    application.closeScene()
    application.showModule(NAME)
    found = Panel(application)
    found.wait(lambda: found.session.models, 300, "models")
    found.session.machine.device = "auto"
    found.session.machine.dataset = ""
    found.panel.running.message = ""
    found.settle()
    yield found
    found.runner.cancel()
    application.closeScene()
    found.settle()


@pytest.fixture
def images(panel: Panel) -> dict[str, Any]:
    """Two volumes on one grid, chosen in the panel together with the model for them."""
    import SegToolkitTestData as data

    volumes = {"FLAIR": data.makeVolume("anna FLAIR"), "T1c": data.makeVolume("anna T1c", seed=1)}
    panel.choose(**volumes)
    panel.chooseModel("balls")
    return volumes


@pytest.fixture
def mapped(panel: Panel, images: dict[str, Any]) -> dict[str, Any]:
    """The same with maps."""
    run = panel.press(panel.applyButton)
    assert run.error is None, run.error
    return images


@pytest.fixture
def easy(panel: Panel, mapped: dict[str, Any]) -> dict[str, Any]:
    """Maps of the large organ, and choices with which they become a mask of it."""
    import SegToolkitTestData as data
    import slicer

    parameters = panel.parameters
    parameters.smoothing, parameters.smallest, parameters.supported = "none", 0.0, False
    for node in panel.panel.maps.maps().values():
        values = slicer.util.arrayFromVolume(node)
        values[:] = 0.1
        values[data.organMask("large organ")] = 0.9
        slicer.util.arrayFromVolumeModified(node)
    panel.settle()
    return mapped
