"""Clicks twice, slow disks, full disks, things that are under way at the same time."""

from __future__ import annotations

import time

import pytest


def test_packages_can_be_installed_and_the_workers_come_back(panel, world, monkeypatch):
    setup = panel.panel.setup
    first = panel.session.worker("quick").pid
    done = []
    monkeypatch.setattr(setup.install, "install", lambda: done.append(panel.session.log))
    setup.onInstall()
    assert done == [[]]  # no worker lives that has the old packages loaded
    world.run("one", state="finished")
    panel.wait(lambda: panel.runsTable.rowCount() == 1, what="the list")
    assert panel.session.worker("quick").pid not in (None, first)


@pytest.mark.parametrize("verb", ["job_kill", "job_start", "job_delete"])
def test_the_list_goes_on_while_an_order_takes_long(panel, world, verb):
    world.run("one", state="running", step=1, total=9)
    panel.polled()
    world.set("seconds", verb, 3)
    world.set("errors", verb, {"code": "x", "text": "No.", "hint": ""})
    told = []
    panel.session.act(verb, {"folder": str(world.runs / "one")}, told.append, told.append)
    panel.wait(lambda: world.asked(verb), what="the order")
    world.run("one", state="running", step=2, total=9)
    began = time.monotonic()
    panel.wait(lambda: panel.row("one")[3] == "2/9", 2.5, "the list")
    assert time.monotonic() - began < 2.5
    assert not told
    panel.wait(lambda: told, what="the answer")


def test_a_slow_deletion_ends_with_what_was_done(panel, world):
    world.run("one", state="finished")
    panel.polled()
    panel.select("one")
    world.set("seconds", "job_delete", 1.5)
    with panel.application.answers.given("ok"):
        panel.deleteRunButton.click()
    panel.settle(0.5)
    assert not panel.followedFrame.isVisible()
    assert not panel.deleteRunButton.isEnabled()
    panel.wait(lambda: panel.runsTable.rowCount() == 0, what="the deletion")
    panel.settle()
    assert "one was deleted" in panel.messageLabel.text()


def test_a_deletion_that_fails_is_told_and_the_run_is_back(panel, world):
    world.run("one", state="finished")
    panel.polled()
    panel.select("one")
    world.set("errors", "job_delete", {"code": "delete-failed", "text": "It is in use.", "hint": "Close it."})
    with panel.application.answers.given("ok"):
        panel.deleteRunButton.click()
    panel.wait(lambda: "It is in use. Close it." in panel.messageLabel.text(), what="the refusal")
    panel.settle()
    assert panel.deleteRunButton.isEnabled()
    assert panel.stateLabel.text().startswith("one")


def test_a_second_click_takes_a_model_once(panel, world):
    world.run("one", state="finished", model=str(world.runs / "one" / "result" / "model"))
    panel.polled()
    panel.select("one")
    world.set("seconds", "add_model", 0.5)
    panel.useModelButton.click()
    panel.useModelButton.click()
    panel.settle()
    assert not panel.useModelButton.isEnabled()
    assert "one" in panel.messageLabel.text()
    panel.wait(lambda: "is ready" in panel.messageLabel.text(), what="the model")
    panel.settle()
    assert panel.useModelButton.isEnabled()
    assert len(world.asked("add_model")) == 1


def test_a_second_click_resumes_once(panel, world):
    world.run("one", state="stopped", step=1, total=9)
    panel.polled()
    panel.select("one")
    world.set("seconds", "job_resume", 0.5)
    panel.resumeRunButton.click()
    panel.resumeRunButton.click()
    panel.wait(lambda: panel.row("one")[2] == "starts", what="the run")
    panel.settle(0.3)
    assert len(world.asked("job_resume")) == 1
    world.run("one", state="stopped", step=2, total=9)
    panel.polled()
    panel.resumeRunButton.click()
    panel.wait(lambda: len(world.asked("job_resume")) == 2, what="the second time")


def test_cancelling_a_collection_leaves_other_work_alone(panel, world):
    done = []
    world.set("seconds", "add_model", 1)
    body = {"path": "/runs/one/result/model"}
    panel.session.slow.ask("model", "add_model", body, None, lambda outputs, error: done.append(error))
    panel.panel.collect.busy = True
    panel.panel.collect.onCancel()
    panel.wait(lambda: done, what="the model")
    assert done == [None]
    panel.panel.collect.busy = False


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")]
)
def test_a_disk_that_cannot_be_written_ends_a_collection(panel, world, tmp_path, monkeypatch, error):
    import SegToolkitTestData as data
    from PySide6.QtCore import Qt

    from SegToolkitGui.training import SceneCollect

    node = data.makeVolume("one")
    panel.collectVolumesSelector.setCheckState(node, Qt.CheckState.Checked)
    panel.panel.parameters.collectFolder, panel.panel.parameters.collectName = str(tmp_path / "new"), "New"
    panel.settle()

    def refused(*_arguments, **_named):
        raise error

    monkeypatch.setattr(SceneCollect.Path, "mkdir", refused)
    panel.collectButton.click()
    panel.settle()
    monkeypatch.undo()
    assert not panel.panel.collect.busy
    assert error.strerror in panel.messageLabel.text()
    panel.settle()
    assert panel.collectButton.isEnabled()


def test_no_training_begins_on_a_data_set_that_is_being_written(panel, world, dataset):
    panel.choose(dataset)
    panel.wait(panel.startButton.isEnabled, what="Start")
    panel.panel.parameters.collectFolder = str(dataset)
    panel.panel.collect.busy = True
    panel.settle()
    assert not panel.startButton.isEnabled()
    assert "being added" in panel.reasonLabel.text()
    panel.panel.collect.busy = False
    panel.settle()
    assert panel.startButton.isEnabled()


METHODS = {
    "name": "alike",
    "title": "Alike",
    "summary": "",
    "metric": None,
    "places": [],
    "presets": [
        {"name": name, "title": name, "help": "", "values": {"width": 3}}
        for name in ("quick", "quick-coarse")
    ],
    "schema": {"type": "object", "properties": {"width": {"type": "integer", "default": 2}}},
}


def test_the_proposed_name_follows_presets_whose_names_begin_alike(panel, world):
    world.set("answers", "methods", {"methods": [METHODS]})
    panel.session.askMethods()
    panel.wait(lambda: panel.methodCombo.count() == 1, what="the methods")
    panel.settle()
    for index, begin in ((1, "alike-quick-coarse-20"), (0, "alike-quick-20"), (1, "alike-quick-coarse-20")):
        panel.presetCombo.setCurrentIndex(index)
        panel.settle()
        assert panel.runNameEdit.text().startswith(begin)


def test_a_run_that_a_script_started_is_not_lost_when_other_runs_are_shown(panel, world, dataset, tmp_path):
    run = panel.logic.startTraining(dataset, name="mine")
    panel.wait(lambda: run.folder, what="the run")
    world.run("mine", state="running", step=1, total=9)
    panel.polled()
    # Another folder of runs is chosen: the list has other runs.
    panel.session.machine.runsFolder = str(tmp_path / "others")
    world.set("answers", "jobs", {"jobs": [], "root": str(tmp_path / "others")})
    panel.polled()
    panel.settle()
    assert run.state == "running"
    world.run("mine", state="finished", step=9)
    run.wait(10)
    assert run.state == "finished"


def test_a_run_can_be_killed_before_it_has_begun(panel, world, dataset):
    run = panel.logic.startTraining(dataset, name="mine")
    run.kill()
    panel.wait(lambda: world.asked("job_kill"), what="the order")
    assert world.asked("job_kill")[0]["folder"] == str(world.runs / "mine")
    assert run.wait(10).state == "interrupted"
    assert run.error is None


def test_a_module_reloaded_while_it_is_shown_goes_on(panel, world):
    world.run("one", state="running")
    panel.polled()
    old = panel.session
    pid = old.worker("quick").pid
    panel.widget.onReload()
    again = type(panel)(panel.application)
    assert again.session is not old
    assert again.panel.shown
    assert again.reasonLabel.text()
    from SegToolkitGui.Paths import processExists

    again.wait(lambda: not processExists(pid), 5, "the old worker's end")
    assert not world.asked("job_stop")
    assert not world.asked("job_kill")
