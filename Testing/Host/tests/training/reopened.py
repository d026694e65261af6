"""One life of the application with the training panel and the real worker: python reopened.py PHASE FOLDER.

"begin" collects volumes of the scene into a data set, starts a training and ends the application in its
middle; "again" opens the application anew, finds the run, stops it and uses its model. Each prints what it
saw as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
STEPS = 400  # more than the test waits for


def start(folder: Path):
    """The application with both modules, and the panel."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["OMP_NUM_THREADS"] = "2"
    os.environ["SEGTOOLKIT_HOME"] = str(folder / "home")
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(folder)
    sys.path[:0] = [str(ROOT / "Testing" / "Host"), str(HERE)]
    from training_panel import MODULES, Panel

    import host

    application = host.start(MODULES)
    application.showModule("SegToolkitTraining")
    panel = Panel(application)
    panel.wait(lambda: panel.session.methods and panel.jobs.known, 60, "the worker")
    panel.settle()
    return application, panel


def begin(folder: Path, images: list[str], labels: list[str]) -> dict:
    """Collect, check, train a few steps, quit."""
    application, panel = start(folder)
    import slicer
    from PySide6.QtCore import Qt

    for number, path in enumerate(images):
        volume = slicer.util.loadVolume(path)
        panel.collectVolumesSelector.setCheckState(volume, Qt.CheckState.Checked)
        if number < len(labels):
            segmentation = slicer.util.loadSegmentation(labels[number])
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
            panel.collectSegmentationsSelector.setCheckState(segmentation, Qt.CheckState.Checked)
    for edit, text in ((panel.collectFolderEdit, str(folder / "data")), (panel.collectNameEdit, "Abdomen")):
        edit.setText(text)
        edit.textEdited.emit(text)
    panel.settle()
    assert panel.collectButton.isEnabled(), panel.collectLabel.text()
    panel.collectButton.click()
    panel.wait(lambda: not panel.panel.collect.busy, 120, "the data set")
    panel.wait(lambda: panel.panel.data.facts, 60, panel.told())
    facts = panel.panel.data.facts
    panel.foldCombo.setCurrentIndex(0)
    panel.settle()
    values = panel.panel.plan.values()
    values["optimiser"]["steps"] = STEPS
    values["optimiser"]["pairs_per_step"] = 1
    values["log_every"], values["snapshot_every"], values["validate_every"] = 1, 2, 4
    panel.panel.plan.form.setValues(values)
    panel.panel.plan.form.changed.emit()
    panel.settle(0.6)
    text = "abdomen"
    panel.runNameEdit.setText(text)
    panel.runNameEdit.textEdited.emit(text)
    panel.wait(panel.startButton.isEnabled, 60, "Start")
    panel.startButton.click()
    panel.wait(lambda: _metrics(panel) and len(_metrics(panel)) >= 3, 200, "three steps")
    panel.settle(1.2)
    told = {"facts": facts, "step": _metrics(panel)[-1]["step"], "state": panel.stateLabel.text()}
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    began = time.monotonic()
    application.quit()
    return {**told, "quit": time.monotonic() - began, "log": lines}


def again(folder: Path, image: str) -> dict:
    """Open it again: the run goes on, is stopped, and its model is used in the few-shot panel."""
    application, panel = start(folder)
    panel.wait(lambda: panel.jobs.followed, 20, "the run")
    panel.wait(lambda: len(_metrics(panel)) >= 3, 20, "its curve")
    first = [event["step"] for event in _metrics(panel)]
    panel.wait(lambda: _metrics(panel)[-1]["step"] > first[-1], 60, "further steps")
    curves = panel.panel.running.curves.runNames
    panel.wait(lambda: panel.panel.running._pictures, 60, "a validation")
    panel.wait(panel.keepButton.isEnabled, 10, "Stop and keep best")
    panel.keepButton.click()
    panel.wait(lambda: panel.row("abdomen")[2] == "finished", 60, "the model")
    told = {"first": first, "curves": curves, "state": panel.stateLabel.text()}
    panel.select("abdomen")
    assert panel.useModelButton.isEnabled(), panel.useModelButton.toolTip()
    panel.useModelButton.click()
    panel.wait(lambda: "is ready" in panel.messageLabel.text(), 60, "the model in the collection")
    told["message"] = panel.messageLabel.text()
    return {**told, **_predict(application, panel, image)}


def _predict(application, panel, image: str) -> dict:
    """Segment with the new model in the few-shot panel."""
    import numpy as np
    import slicer

    application.showModule("SegToolkitFewShot")
    logic = slicer.util.getModuleLogic("SegToolkitFewShot")
    panel.wait(lambda: logic.session.models, 60, "the few-shot panel's models")
    names = [one["name"] for one in logic.session.models]
    chosen = slicer.util.getModuleWidget("SegToolkitFewShot").panel.modelName()
    volume = slicer.util.loadVolume(image)
    voxels = slicer.util.arrayFromVolume(volume)
    index = voxels.shape[0] // 2
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "outline")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "liver")
    mask = np.zeros(voxels.shape, np.uint8)
    mask[index, 60:150, 40:120] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)
    example = logic.example(volume, segmentation, [segment], sliceIndex=index)
    run = logic.process(volume, [example], slices=(index, index), device="cpu", acceptLicence=True)
    application.quit()
    return {"models": names, "chosen": chosen, "result": run.state.value}


def _metrics(panel) -> list[dict]:
    return [event for event in panel.jobs.events if event["t"] == "metric"]


if __name__ == "__main__":
    phase, place, *rest = sys.argv[1:]
    if phase == "begin":
        told = begin(Path(place), rest[:-1], rest[-1:])
    else:
        told = again(Path(place), rest[0])
    print("TOLD " + json.dumps(told))
