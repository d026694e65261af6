"""The automatic-segmentation module in the stand-in application, with the real worker and models of bands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from autosegment_panel import BANDS, METHODS, MODELS, MODULE, Panel

os.environ["OMP_NUM_THREADS"] = "2"


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from brightness.models import make_model

    import host
    from host.slicer_parts import start

    ours = start._running is None  # else those who started it end it
    home = tmp_path_factory.mktemp("home")
    models = tmp_path_factory.mktemp("models")
    for name, settings in MODELS.items():
        make_model(models, name, **{"bands": BANDS, **settings})
    changed = {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "SEGTOOLKIT_METHOD_PATH": str(METHODS),
        "SEGTOOLKIT_MODELS": str(models),
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    running = host.start([MODULE])
    running.showModule("SegToolkitAutoSegment")
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
    application.closeScene()
    application.showModule("SegToolkitAutoSegment")
    found = Panel(application)
    found.wait(lambda: found.session.models and found.session.devices, what="models and devices")
    found.session.machine.device = "auto"
    found.session.machine.small = False
    found.panel.running.message = ""
    found.modelSearch.setText("")
    found.settle()
    yield found
    found.runner.cancel()
    application.closeScene()
    found.settle()


@pytest.fixture
def makeCt() -> Callable[..., Any]:
    """Makes CT volumes: both organs, and air around the body."""
    import SegToolkitTestData as data
    import slicer

    def make(name: str = "patient", **arguments: Any) -> Any:
        volume = data.makeVolume(name, **arguments)
        voxels = slicer.util.arrayFromVolume(volume)
        voxels[voxels < 60] = -1000
        slicer.util.arrayFromVolumeModified(volume)
        return volume

    return make


@pytest.fixture
def volume(panel: Panel, makeCt: Callable[..., Any]) -> Any:
    """A CT volume, chosen in the panel together with the model for it."""
    found = makeCt()
    panel.choose(found)
    return found
