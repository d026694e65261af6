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


def save(widget, path: Path) -> None:
    """Grab the panel as high as its contents are, and write it with few colours."""
    from PIL import Image
    from PySide6.QtCore import QSize

    widget.setFixedWidth(WIDTH)
    widget.layout().activate()
    height = max(widget.sizeHint().height(), widget.minimumSizeHint().height())
    widget.resize(QSize(WIDTH, height))
    widget.grab().save(str(path))
    Image.open(path).convert("RGB").quantize(96).save(path, optimize=True)


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
        save(module.uiWidget, options.out / f"panel-{name}.png")
        print(options.out / f"panel-{name}.png")

    until(lambda: panel.session.models and panel.session.devices)
    picture("empty")
    volume = data.makeVolume("MR abdomen")
    segmentation, ids = data.outline(volume, ("large organ", "small organ"))
    colours = {"large organ": (0.87, 0.51, 0.39), "small organ": (0.72, 0.40, 0.67)}
    for name, one in ids.items():
        segmentation.GetSegmentation().GetSegment(one).SetColor(*colours[name])
    for index in (5, 8):
        panel.supports.add(volume, segmentation, list(ids.values()), 2, 5)
        del index
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
    ui.applyButton.click()
    run = runner.run
    until(lambda: run.state.value == "running" and panel.session.client.pid)
    os.kill(panel.session.client.pid, 9)
    until(lambda: run.over)
    picture("failed")
    ui.drawButton.click()
    ui.editorSection.setProperty("collapsed", False)
    picture("drawing")
    ui.editorSection.setProperty("collapsed", True)
    status = panel.setup.status
    missing = type(status)(
        ready=False,
        text="Packages are missing: torch, pydantic, safetensors, scikit-image.",
        hint="Press Install... to see what would be fetched.",
        details="",
        sizeText=status.sizeText,
    )
    panel.setup.status = missing
    picture("setup")
    application.quit()


if __name__ == "__main__":
    main()
