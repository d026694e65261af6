"""Pictures of the automatic-segmentation panel in its main states, for the docs: ``make screenshots``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from screenshots import ROOT, save

METHODS = ROOT / "Testing" / "Data" / "methods"


def main() -> None:
    """Drive the panel from state to state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="segtoolkit-pictures-"))
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(folder)
    # The pictures show the panel, not a method: a model of the tests answers at once.
    os.environ["SEGTOOLKIT_METHOD_PATH"] = str(METHODS)
    os.environ["SEGTOOLKIT_MODELS"] = str(folder / "models")
    sys.path[:0] = [str(ROOT / "Testing" / part) for part in ("Host", "Host/tests/autosegment", "Slicer")]
    sys.path.insert(0, str(METHODS))
    from brightness.models import make_model
    from dicom_database import Database

    organs = {"liver": (380, 520), "spleen": (590, 740), "pancreas": (100, 140), "stomach": (141, 150)}
    make_model(
        folder / "models", "abdomen", bands=organs, title="Abdomen, CT (model of the tests)", delay=0.2
    )
    make_model(folder / "models", "abdomen-mr", modality="MR", title="Abdomen, MR (model of the tests)")
    heart = {"left ventricle": (380, 520), "right ventricle": (590, 740), "myocardium": (90, 140)}
    make_model(folder / "models", "heart", bands=heart, title="Heart (model of the tests)")
    import host

    application = host.start([ROOT / "SegToolkit" / "SegToolkitAutoSegment.py"])
    application.showModule("SegToolkitAutoSegment")
    import numpy as np
    import SegToolkitTestData as data
    import slicer

    module = slicer.util.getModuleWidget("SegToolkitAutoSegment")
    panel, ui = module.panel, module.ui

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
        save(application, module.uiWidget, options.out / f"auto-segment-{name}.png")
        print(options.out / f"auto-segment-{name}.png")

    def finished(button):
        button.click()
        run = panel.runner.run
        until(lambda: run.over)
        application.processEvents(0.5)
        return run

    until(lambda: panel.session.models and panel.session.devices)
    picture("empty")
    volume = data.makeVolume("CT abdomen")
    voxels = slicer.util.arrayFromVolume(volume)
    voxels[voxels < 60] = -1000
    panel.parameters.inputVolume = volume
    panel.parameters.model = "abdomen"
    panel.parameters.maps = ["uncertainty", "darkness"]
    panel.refresh()
    ui.applyButton.click()
    run = panel.runner.run
    until(lambda: run.state.value == "running" and "outlining" in panel.running.strip.progressBar.format())
    picture("running")
    until(lambda: run.over)
    application.processEvents(0.5)
    picture("done")
    reference, ids = data.outline(volume, ("large organ", "small organ"))
    for name, one in ids.items():
        segment = reference.GetSegmentation().GetSegment(one)
        segment.SetName({"large organ": "Liver", "small organ": "Spleen"}[name])
        mask = np.roll(data.organMask(name), 2, axis=2).astype("uint8")  # two voxels aside
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, reference, one, volume)
    panel.parameters.reference = reference
    panel.refresh()
    slicer.dicomDatabase = Database()
    sections = (ui.modelSection, ui.organsSection, ui.outputSection, ui.tableSection)
    for section in sections:
        section.setProperty("collapsed", True)
    ui.dicomSection.setProperty("collapsed", False)
    application.processEvents(0.2)
    ui.dicomTree.expandAll()
    first = ui.dicomTree.topLevelItem(0)
    first.setCheckState(0, first.checkState(0).Checked)
    picture("patients")
    for section in (ui.volumesSection, ui.modelSection, ui.organsSection, ui.outputSection, ui.tableSection):
        section.setProperty("collapsed", True)
    ui.compareSection.setProperty("collapsed", False)
    finished(ui.compareButton)
    picture("compare")
    first.setCheckState(0, first.checkState(0).Unchecked)
    cine = beatingHeart(data)
    panel.parameters.inputVolume, panel.parameters.model = cine, "heart"
    for section in (ui.compareSection, ui.modelSection, ui.organsSection, ui.dicomSection):
        section.setProperty("collapsed", True)
    ui.volumesSection.setProperty("collapsed", False)
    panel.refresh()
    application.processEvents(0.3)
    finished(ui.allFramesButton)
    for section in (ui.compareSection, ui.outputSection):
        section.setProperty("collapsed", True)
    picture("frames")
    application.quit()


def beatingHeart(data, frames=12):
    """A volume that belongs to a sequence; its organs lose voxels at their ends and win them back."""
    import numpy as np
    import slicer

    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("ms")
    frame = data.makeVolume("frame")
    whole = slicer.util.arrayFromVolume(frame).copy()
    whole[whole < 60] = -1000
    for number in range(frames):
        voxels = whole.copy()
        for low, high, share in ((380, 520, 0.55), (590, 740, 0.4)):
            mask = (whole >= low) & (whole <= high)
            columns = np.flatnonzero(mask.any(axis=(0, 1)))
            kept = 1 - share * np.sin(np.pi * number / frames) ** 2
            gone = columns[round(kept * len(columns)) :]
            voxels[:, :, gone] = np.where(mask[:, :, gone], 180, voxels[:, :, gone])
        slicer.util.updateVolumeFromArray(frame, voxels)
        sequence.SetDataNodeAtValue(frame, str(70 * number))
    scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateAllProxyNodes()
    return browser.GetProxyNode(sequence)


if __name__ == "__main__":
    main()
