"""The few-shot module in the stand-in application, with the real worker process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
MODULE = ROOT / "SegToolkit" / "SegToolkitFewShot.py"
CHAOS = ROOT.parent / "shared" / "data" / "chaos_mr_t2"
for folder in ("SegToolkit", "Testing/Slicer"):
    sys.path.append(str(ROOT / folder))

# Nobody's own models, settings or accepted terms take part, and a worker uses two threads.
os.environ["OMP_NUM_THREADS"] = "2"


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import host

    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "USERPROFILE"):
        os.environ[name] = str(home)
    running = host.start([MODULE])
    running.showModule("SegToolkitFewShot")
    yield running
    running.quit()


class Panel:
    """What a test does with the panel, by its widgets."""

    def __init__(self, application: Any) -> None:
        import slicer

        self.application = application
        self.widget = slicer.util.getModuleWidget("SegToolkitFewShot")
        self.panel = self.widget.panel
        self.logic = self.widget.logic
        self.runner = self.logic.runner
        self.session = self.logic.session

    def __getattr__(self, name: str) -> Any:
        """A widget by its name in the .ui file."""
        return getattr(self.widget.ui, name)

    def wait(self, condition: Callable[[], Any], seconds: float = 60, what: str = "") -> None:
        """Let events happen until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for {what or condition}; {self.told()}"
            self.application.processEvents(0.005)

    def settle(self) -> None:
        """Let pending refreshes happen."""
        self.application.processEvents(0.1)
        self.panel.refresh()

    def ready(self) -> None:
        """Wait until models and devices are known."""
        self.wait(lambda: self.session.models and self.session.devices, what="models and devices")
        self.settle()

    def told(self) -> str:
        """What the panel says."""
        return f"reason: {self.reasonLabel.text()!r}, result: {self.resultLabel.text()!r}"

    def apply(self, seconds: float = 120) -> Any:
        """Press Apply and wait for the end of the run."""
        return self._press(self.applyButton, seconds)

    def preview(self, seconds: float = 60) -> Any:
        """Press Preview and wait for the end of the run."""
        return self._press(self.previewButton, seconds)

    def _press(self, button: Any, seconds: float) -> Any:
        self.settle()
        assert button.isEnabled(), self.told()
        before = self.runner.run
        button.click()
        assert self.runner.run is not before, self.told()
        run = self.runner.run
        self.wait(lambda: run.over, seconds, "the end of the run")
        self.settle()
        return run

    def choose(self, volume: Any, segmentation: Any, segmentIds: list[str]) -> None:
        """Choose support volume, segmentation and segments."""
        self.supportVolumeSelector.setCurrentNode(volume)
        self.supportSegmentSelector.setCurrentNode(segmentation)
        self.settle()
        self.supportSegmentSelector.setSelectedSegmentIDs(list(segmentIds))
        self.settle()

    def range(self) -> tuple[float, float]:
        """First and last slice of the range widget."""
        widget = self.sliceRangeWidget
        return widget.property("minimumValue"), widget.property("maximumValue")

    def showSlice(self, volume: Any, index: int, axis: int = 2) -> None:
        """Bring the chosen view to a slice."""
        from SegToolkitGui.scene import ViewSlice

        ViewSlice.showSlice(self.panel.sliceNode(), volume, axis, index)
        self.settle()

    def addSlice(self, volume: Any, index: int, axis: int = 2) -> None:
        """Go to a slice and press "Add this slice"."""
        self.showSlice(volume, index, axis)
        assert self.addSupportButton.isEnabled(), self.supportReasonLabel.text()
        self.addSupportButton.click()
        self.settle()


@pytest.fixture
def panel(application: Any) -> Iterator[Panel]:
    application.closeScene()
    found = Panel(application)
    found.ready()
    found.runner.session.machine.device = "auto"
    for model in found.session.models:
        if model["usable"] and not model["licence"]["accepted"]:
            found.session.acceptLicence(model["name"], lambda outputs, error: None)
            found.wait(lambda: found.session.client.state == "idle", what="accepted terms")
    found.settle()
    yield found
    found.runner.cancel()
    application.closeScene()
    found.settle()


@pytest.fixture
def patient(panel: Panel) -> tuple[Any, Any, dict[str, str]]:
    """A made-up volume with one example added by the widgets: volume, segmentation, segment IDs."""
    import SegToolkitTestData as data

    volume = data.makeVolume()
    segmentation, ids = data.outline(volume)
    panel.choose(volume, segmentation, list(ids.values()))
    panel.addSlice(volume, 5)
    return volume, segmentation, ids


@pytest.fixture(scope="session")
def chaos() -> Path:
    if not CHAOS.is_dir():
        pytest.skip("../shared/data/chaos_mr_t2 is not there: nothing is tried on a real patient")
    return CHAOS
