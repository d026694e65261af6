"""What people type, load and remove that the panel did not ask for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import slicer


def type_(edit, text):
    """Letter by letter, with the pauses of a hand."""
    edit.setText(text)
    edit.textEdited.emit(text)


@pytest.mark.parametrize("text", ["/" + "x" * 5000, "a\0b", "\n", "C:\\nowhere", "~nobody/x", "https://a/b"])
def test_whatever_is_typed_as_a_folder_is_answered(panel, world, text):
    panel.datasetCombo.setEditText(text)
    panel.datasetCombo.lineEdit().editingFinished.emit()
    panel.settle()
    assert not panel.startButton.isEnabled()
    assert panel.reasonLabel.text()
    type_(panel.collectFolderEdit, text)
    panel.settle()
    assert not world.asked("dataset_check")


@pytest.mark.parametrize("typed", ["~/data é", "data é"])
def test_folders_are_told_to_the_worker_as_absolute_paths(panel, world, tmp_path, monkeypatch, typed):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data é").mkdir()
    panel.choose(Path(typed))
    assert [one["path"] for one in world.asked("dataset_check")] == [str(tmp_path / "data é")]
    assert panel.datasetCombo.currentText() == str(tmp_path / "data é")


def test_a_name_of_several_words_can_be_typed(panel):
    for text in ("my", "my ", "my d"):
        type_(panel.collectNameEdit, text)
        panel.settle()
        assert panel.collectNameEdit.text() == text
    for text in ("/tmp/my", "/tmp/my ", "/tmp/my d"):
        type_(panel.collectFolderEdit, text)
        panel.settle()
        assert panel.collectFolderEdit.text() == text


def test_what_is_being_typed_stays_when_a_check_ends(panel, world, dataset, monkeypatch):
    world.set("seconds", "dataset_check", 0.4)
    panel.datasetCombo.setEditText(str(dataset))
    panel.datasetCombo.lineEdit().editingFinished.emit()
    panel.wait(lambda: world.asked("dataset_check"), what="the check")
    line = panel.datasetCombo.lineEdit()
    monkeypatch.setattr(type(line), "hasFocus", lambda self: True)
    panel.datasetCombo.setEditText("/some/where/el")
    panel.wait(lambda: not panel.panel.data.checking, what="the end of the check")
    panel.settle()
    assert panel.datasetCombo.currentText() == "/some/where/el"


@pytest.mark.parametrize("fold", ["abc", "-1", "1.5", "99999999999999999999", " "])
def test_a_fold_that_is_none_is_forgotten(panel, dataset, fold):
    panel.choose(dataset)
    panel.logic.parameterNodeOfScene().SetParameter("fold", fold)
    panel.widget.life.takeScene()
    panel.settle()
    assert panel.panel.plan.values()["data"]["fold"] == 0
    assert panel.panel.parameters.fold == ""


def test_choices_that_cannot_be_read_are_reset(panel):
    from host import problems

    panel.logic.parameterNodeOfScene().SetParameter("volumes_len", "many")
    problems.take("slot")  # the wrapper's own observer, which reads at once
    panel.widget.life.takeScene()
    problems.take("slot")
    panel.settle()
    assert panel.panel.parameters.volumes == []


BROKEN = [
    ("job.json", "[]"),
    ("job.json", "null"),
    ("job.json", "{"),
    ("config.json", "[1]"),
    ("config.json", '{"optimiser": 3}'),
    ("config.json", '{"optimiser": {"steps": "many"}, "data": {"fold": "x"}}'),
    ("config.json", '{"optimiser": {"steps": [1], "learning_rate": {}}, "data": {"fold": [0]}, "seed": {}}'),
    ("job.json", '{"method": "alpnet", "places": [1], "dataset": 5, "device": 7}'),
    ("job.json", '{"method": 5}'),
]


@pytest.mark.parametrize(("file", "text"), BROKEN)
def test_a_run_with_damaged_files_can_be_copied_or_says_why(panel, world, dataset, file, text):
    folder = world.runs / "one"
    world.run("one", state="finished")
    job = {"method": "alpnet", "dataset": str(dataset), "places": {}, "device": "cpu", "name": "one"}
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "config.json").write_text("{}")
    (folder / file).write_text(text)
    panel.polled()
    panel.select("one")
    panel.copyRunButton.click()
    panel.settle(0.6)
    told = panel.messageLabel.text()
    assert "cannot be read" in told or "There is no method" in told or "as one began" in told
    panel.resetSettingsButton.click()
    panel.settle()
    assert panel.panel.plan.values()["optimiser"]["steps"] == 20


def test_nodes_that_a_person_removes_come_back(panel, world):
    world.run("one", state="running", step=1, total=9)
    world.events("one", {"t": "metric", "step": 1, "loss": 0.5})
    panel.polled()
    panel.wait(lambda: panel.jobs.events, what="the events")
    panel.settle()
    for kind in ("PlotSeries", "PlotChart", "PlotView", "Table"):
        for node in slicer.util.getNodesByClass(f"vtkMRML{kind}Node"):
            slicer.mrmlScene.RemoveNode(node)
    world.events("one", {"t": "metric", "step": 2, "loss": 0.25})
    world.run("one", state="running", step=2, total=9)
    panel.polled()
    panel.wait(lambda: len(panel.jobs.events) == 2, what="the events")
    panel.settle()
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert table.GetTable().GetNumberOfRows() == 2
    assert slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")


def test_without_its_parameter_node_the_panel_goes_on(panel, dataset):
    slicer.mrmlScene.RemoveNode(panel.logic.parameterNodeOfScene())
    panel.settle()
    panel.choose(dataset)
    panel.settle()
    assert panel.panel.parameters.dataset == str(dataset)
    assert panel.logic.getParameterNode().dataset == str(dataset)


ARGUMENTS = [
    {"settings": "abc"},
    {"settings": {5: 6}},
    {"settings": [1]},
    {"places": [1]},
    {"name": 5},
    {"name": " "},
    {"dataset": 7},
    {"device": 7},
    {"method": None},
    {"preset": ["quick"]},
    {"places": {"coco": "/no/such/file"}},
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_a_script_is_told_which_argument_is_wrong(panel, dataset, arguments):
    from SegToolkitGui.Errors import UserError

    run = panel.logic.startTraining(**{"dataset": dataset, **arguments})
    with pytest.raises(UserError) as told:
        run.wait(5)
    assert run.over
    assert str(told.value)


def test_a_script_may_give_paths_as_people_do(panel, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "weights.pth").write_bytes(b"")
    run = panel.logic.startTraining(Path("data"), places={"coco": "weights.pth"})
    panel.wait(lambda: run.folder or run.over, what="the run")
    order = world.asked("job_start")[0]
    assert order["dataset"] == str(tmp_path / "data")
    assert order["places"] == {"coco": str(tmp_path / "weights.pth")}
