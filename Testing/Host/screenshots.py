"""Pictures of the panel in its main states, for README and docs: ``make screenshots``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIDTH = 480  # pixels, as wide as Slicer's module panel is by default


def save(application, widget, path: Path) -> None:
    """Grab the panel as high as its contents are."""
    from PIL import Image
    from PySide6.QtCore import QSize

    widget.setFixedWidth(WIDTH)
    for _twice in range(2):  # wrapped texts know their height only when they have their width
        application.processEvents(0.1)
        height = max(widget.minimumSizeHint().height(), widget.heightForWidth(WIDTH))
        widget.resize(QSize(WIDTH, height))
    application.processEvents(0.1)
    widget.grab().save(str(path))
    picture = Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


def compose(panel: Path, result: Path, path: Path) -> None:
    """The panel beside what comes out, for README and the Extensions Manager."""
    from PIL import Image

    right = Image.open(result).convert("RGB")
    left = Image.open(panel).convert("RGB")
    left = left.resize(
        (round(left.width * right.height / left.height), right.height), Image.Resampling.LANCZOS
    )
    both = Image.new("RGB", (left.width + right.width, right.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    both.quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    print(path)


def main() -> None:
    """Drive the panel from state to state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["HOME"] = os.environ["USERPROFILE"] = tempfile.mkdtemp(prefix="segtoolkit-pictures-")
    sys.path[:0] = [str(ROOT / "Testing" / "Host"), str(ROOT / "Testing" / "Slicer")]
    import host

    application = host.start([ROOT / "SegToolkit" / "SegToolkitFewShot.py"])
    application.showModule("SegToolkitFewShot")
    import SegToolkitTestData as data
    import slicer

    module = slicer.util.getModuleWidget("SegToolkitFewShot")
    panel, ui, runner = module.panel, module.ui, module.logic.runner

    def until(condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(
                    f"waited in vain; the panel says {ui.resultLabel.text()} {ui.reasonLabel.text()}"
                )
            application.processEvents(0.01)

    def picture(name):
        application.processEvents(0.3)
        panel.refresh()
        save(application, module.uiWidget, options.out / f"panel-{name}.png")
        print(options.out / f"panel-{name}.png")

    until(lambda: panel.session.models and panel.session.devices)
    picture("empty")
    volume = data.makeVolume("MR abdomen")
    segmentation, ids = data.outline(volume, ("large organ", "small organ"))
    colours = {"large organ": (0.87, 0.51, 0.39), "small organ": (0.35, 0.55, 0.85)}
    for name, one in ids.items():
        segmentation.GetSegmentation().GetSegment(one).SetColor(*colours[name])
    panel.supports.add(volume, segmentation, list(ids.values()), 2, 5)
    panel.parameters.supportVolume = volume
    panel.parameters.supportSegmentation = segmentation
    panel.parameters.supportSegmentIds = list(ids.values())
    panel.parameters.queryVolume = volume
    from SegToolkitGui.scene import ViewSlice

    ViewSlice.showSlice(panel.sliceNode(), volume, 2, 5)
    panel.refresh()
    for model in panel.session.models:
        panel.session.acceptLicence(model["name"], lambda outputs, error: None)
    until(lambda: panel.session.client.state == "idle")
    picture("ready")
    ui.applyButton.click()
    run = runner.run
    until(lambda: run.state.value == "running")
    runner.progressed.emit("segmenting", 4, 12)
    picture("running")
    until(lambda: run.over)
    picture("done")
    ui.drawButton.click()
    ui.editorSection.setProperty("collapsed", False)
    picture("drawing")
    ui.editorSection.setProperty("collapsed", True)
    ui.applyButton.click()
    run = runner.run
    until(lambda: run.state.value == "running" and panel.session.client.pid)
    os.kill(panel.session.client.pid, 9)
    until(lambda: run.over)
    picture("failed")
    from SegToolkitGui import InstallLogic

    InstallLogic._isFulfilled = lambda requirement: False  # the panel's own words for a bare Slicer
    InstallLogic._torchState = lambda: ("missing", "")
    panel.setup.status = panel.setup.install.status()
    panel.running.message = ""
    panel.running.strip.setState("idle", "Ready")
    panel.running.strip.logButton.setProperty("collapsed", True)
    picture("setup")
    pictures = ROOT / "Resources" / "Pictures"
    compose(options.out / "panel-done.png", pictures / "demo.png", options.out / "few-shot.png")
    application.quit()


if __name__ == "__main__":
    main()
