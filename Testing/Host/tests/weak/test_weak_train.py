"""Training from the panel: begun with what was chosen, shown in a line, its model taken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import slicer


class Jobs:
    """The list of runs, as far as the panel looks at it."""

    def __init__(self):
        from SegToolkitGui.Signal import Signal

        self.jobsChanged = Signal()
        self.jobs = {}
        self.lookers = []
        self.followed = ""

    def look(self, looker):
        self.lookers.append(looker)

    def lookAway(self, looker):
        self.lookers.remove(looker)

    def status(self, folder):
        return self.jobs.get(folder)

    def follow(self, folder):
        self.followed = folder

    def tell(self, folder, **status):
        self.jobs[folder] = {"folder": folder, "name": "cmer-quick", **status}
        self.jobsChanged.emit()


class Training:
    """The logic of the module Training: what was begun, and the runs."""

    def __init__(self):
        self.session = SimpleNamespace(jobs=Jobs())
        self.started = []

    def startTraining(self, dataset, **arguments):
        from SegToolkitGui.Signal import Signal

        run = SimpleNamespace(
            folder="", state="starting", over=False, error=None, stateChanged=Signal(), name="cmer-quick"
        )
        self.started.append((dataset, arguments, run))
        return run


@pytest.fixture
def training(panel, monkeypatch):
    from SegToolkitGui.weak import TrainPart

    double = Training()
    monkeypatch.setattr(TrainPart, "trainingLogic", lambda: double)
    yield double
    panel.parameters.run = ""
    panel.settle()


@pytest.fixture
def collected(panel, images, tmp_path):
    """A data set with this patient."""
    panel.logic.setTags(images["FLAIR"], {0: False, 4: True})
    panel.panel.dataset.choose(str(tmp_path / "set"))
    panel.settle()
    panel.press(panel.collectButton)
    panel.wait(lambda: panel.panel.dataset.facts, 120, "what the data set holds")
    panel.settle()
    return str(tmp_path / "set")


def begin(panel, training):
    """Press Train; the run begins."""
    panel.trainButton.click()
    _dataset, _arguments, run = training.started[-1]
    run.folder, run.state = "/runs/cmer-quick", "running"
    training.session.jobs.tell(run.folder, state="running", step=20, total=100)
    run.stateChanged.emit(run)
    panel.settle()
    return run


def test_no_training_without_data(panel, images, training):
    assert not panel.trainButton.isEnabled()
    assert panel.trainButton.toolTip() == "Collect patients into a data set first."


def test_a_training_begins_with_what_was_chosen(panel, training, collected):
    panel.presetCombo.setCurrentIndex(0)
    panel.seedsSpin.setValue(2)
    panel.settle()
    run = begin(panel, training)
    dataset, arguments, _run = training.started[-1]
    assert dataset == collected
    assert arguments["method"] == "cmer"
    assert arguments["preset"] == "quick"
    assert arguments["settings"] == {"data.modalities": ["FLAIR", "T1c"], "seeds": 2}
    assert panel.trainLabel.text() == "cmer-quick: runs, step 20 of 100."
    assert panel.parameters.run == run.folder
    assert not panel.trainButton.isEnabled()
    panel.openRunButton.click()
    panel.application.processEvents(0.05)
    assert training.session.jobs.followed == run.folder
    panel.application.showModule("SegToolkitWeakSupervision")
    panel.settle()
    assert training.session.jobs.lookers


def test_nobody_looks_while_the_panel_is_hidden(panel, training, collected):
    begin(panel, training)
    panel.application.leaveModule()
    assert not training.session.jobs.lookers


def test_the_model_of_a_finished_run_is_taken(panel, training, collected, tmp_path):
    run = begin(panel, training)
    assert not panel.useModelButton.isEnabled()
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("weak_models.py")), str(tmp_path / "made")], check=True
    )
    model = tmp_path / "made" / "one-seed"
    model = model.rename(tmp_path / "made" / "trained")
    card = (model / "model.json").read_text(encoding="utf-8").replace('"one-seed"', '"trained"')
    (model / "model.json").write_text(card, encoding="utf-8")
    training.session.jobs.tell(run.folder, state="finished", step=100, total=100, model=str(model))
    panel.settle()
    panel.useModelButton.click()
    panel.useModelButton.clicked.emit()  # twice: nobody is asked whether to replace what was just taken
    panel.wait(lambda: panel.session.model("trained") is not None, 120, "the model")
    panel.settle()
    assert panel.panel.modelName() == "trained"
    assert panel.trainButton.isEnabled()


def test_what_keeps_a_training_from_beginning_is_told(panel, training, collected):
    from SegToolkitGui.Errors import UserError

    panel.trainButton.click()
    run = training.started[-1][2]
    run.error, run.state, run.over = UserError("x", "There is no room."), "failed", True
    run.stateChanged.emit(run)
    panel.settle()
    assert panel.trainLabel.text() == "There is no room."
    assert "There is no room." in panel.resultLabel.text()


def test_train_pressed_twice_begins_one_training(panel, training, collected):
    panel.trainButton.click()
    panel.trainButton.clicked.emit()
    panel.settle()
    assert len(training.started) == 1
    assert not panel.panel.running.failed, panel.told()


def test_a_data_set_that_was_deleted_is_no_longer_told_of(panel, training, collected):
    assert "Patients in the data set: 1" in panel.datasetLabel.text()
    shutil.rmtree(collected)
    panel.settle()
    assert panel.datasetLabel.text() == "A new data set will be made in this folder."
    assert panel.trainButton.toolTip() == "Collect patients into a data set first."


def test_the_real_module_is_found(panel):
    from SegToolkitGui.weak.TrainPart import trainingLogic

    assert trainingLogic() is slicer.util.getModuleLogic("SegToolkitTraining")
