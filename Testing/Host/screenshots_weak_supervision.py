"""Pictures of the weak-supervision panel in its main states, for the docs: ``make screenshots``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from screenshots import ROOT, save

NAME = "SegToolkitWeakSupervision"


def main() -> None:
    """Drive the panel from state to state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="segtoolkit-pictures-"))
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(folder)
    # The pictures show the panel, not the method: the networks of this model are untrained.
    os.environ["SEGTOOLKIT_MODELS"] = str(folder / "models")
    parts = ("Host", "Host/tests/weak", "Slicer")
    sys.path[:0] = [str(ROOT / "Testing" / part) for part in parts]
    import weak_models

    subprocess.run([sys.executable, weak_models.__file__, str(folder / "models")], check=True)
    import host

    application = host.start(
        [ROOT / "SegToolkit" / f"{one}.py" for one in ("SegToolkitTraining", NAME)],
    )
    application.showModule(NAME)
    import SegToolkitTestData as data
    import slicer

    module = slicer.util.getModuleWidget(NAME)
    panel, ui = module.panel, module.ui
    sections = (
        ui.imagesSection,
        ui.tagSection,
        ui.modelSection,
        ui.mapsSection,
        ui.refineSection,
        ui.reviewSection,
    )

    def until(condition, seconds=600):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(
                    f"waited in vain; the panel says {ui.resultLabel.text()} {ui.reasonLabel.text()}"
                )
            application.processEvents(0.01)

    def picture(name, *opened):
        for section in sections:
            section.setProperty("collapsed", section not in opened)
        application.processEvents(0.3)
        panel.refresh()
        save(application, module.uiWidget, options.out / f"weak-supervision-{name}.png")
        print(options.out / f"weak-supervision-{name}.png")

    until(lambda: panel.session.models and panel.session.devices)
    picture("empty", *sections)
    volumes = {"FLAIR": data.makeVolume("anna FLAIR"), "T1c": data.makeVolume("anna T1c", seed=1)}
    panel.parameters.modalities = list(volumes)
    from SegToolkitGui.weak.Images import ImageRows

    ImageRows(panel.parameterNode).setVolumes(list(volumes.values()))
    panel.parameters.model = "balls"
    panel.logic.setTags(volumes["FLAIR"], {0: False, **dict.fromkeys(range(2, 9), True), 11: False})
    panel.refresh()
    ui.applyButton.click()
    until(lambda: panel.runner.run is not None and panel.runner.run.over)
    madeUp(panel, data)
    panel.tags.show(5)
    picture("maps", ui.imagesSection, ui.tagSection, ui.mapsSection)
    panel.parameters.smoothing, panel.parameters.structure = "none", "Tumour"
    panel.refresh()
    ui.refineButton.click()
    until(lambda: panel.runner.run.over)
    panel.logic.accept(panel.parameters.outputSegmentation, range(2, 6))
    application.processEvents(0.3)
    ui.reviewTable.selectRow(3)
    picture("review", ui.refineSection, ui.reviewSection)
    panel.parameters.dataset = str(folder / "gliomas")
    panel.refresh()
    ui.collectButton.click()
    until(lambda: panel.runner.run.over and panel.dataset.facts)
    ui.trainSection.setProperty("collapsed", False)
    picture("training", ui.modelSection)
    application.quit()


def madeUp(panel, data):
    """Maps and figures as of a trained model: a blob, and some slices with poor agreement."""
    import numpy as np
    import slicer

    from SegToolkitGui.weak import MapNodes

    k = np.arange(data.SIZE[2])
    good = np.clip(1.15 - np.abs(k - 5.5) / 5, 0.05, 0.97)
    volume = panel.images.first()
    table = MapNodes.tableOf(volume)
    shown = {
        "probability FLAIR": np.clip(good + 0.02, 0, 1),
        "probability T1c": np.clip(good - 0.08, 0, 1),
        "modalities": np.where((k > 7) | (k < 2), 0.15, good * 0.9),
        "seeds": np.where(k == 9, 0.2, good * 0.85),
    }
    result = panel.runner.run.results[0]
    result.notes = ()
    for one in result.slices:
        row = one["slice"]
        one["present"] = dict.fromkeys(one["present"], bool(good[row] > 0.5))
        one.update(modalities=float(shown["modalities"][row]), seeds=float(shown["seeds"][row]))
    panel.running._tell(panel.runner.run)
    for name, values in shown.items():
        column = table.GetTable().GetColumnByName(name)
        for row, value in enumerate(values):
            column.SetValue(row, float(value))
    table.GetTable().Modified()
    centre, radii = data.ORGANS["large organ"]
    grid = np.meshgrid(*(np.arange(n) for n in reversed(data.SIZE)), indexing="ij")
    far = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid[::-1], centre, radii, strict=True))
    for name, node in panel.maps.maps().items():
        values = np.exp(-far / (1.2 if name == "FLAIR" else 0.9)).astype(np.float32)
        slicer.util.updateVolumeFromArray(node, values)
    panel.refresh()


if __name__ == "__main__":
    main()
