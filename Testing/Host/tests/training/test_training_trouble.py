"""What goes wrong: workers killed, folders gone, disks that cannot be written, clicks twice."""

from __future__ import annotations

import os
import shutil
import signal


def ready(panel, dataset):
    panel.choose(dataset)
    panel.wait(panel.startButton.isEnabled, what="Start")


def test_a_killed_worker_is_replaced_and_the_list_comes_back(panel, world):
    world.run("one", state="running", step=1, total=9)
    panel.polled()
    first = panel.session.worker("quick").pid
    os.kill(first, signal.SIGKILL)
    world.run("one", state="running", step=2, total=9)
    panel.wait(lambda: panel.row("one")[3] == "2/9", what="the list")
    assert panel.session.worker("quick").pid != first
    panel.settle()
    assert panel.jobs.problem is None


def test_a_worker_killed_in_the_middle_of_a_check_is_told(panel, world, dataset):
    world.set("seconds", "dataset_check", 30)
    panel.datasetCombo.setEditText(str(dataset))
    panel.datasetCombo.lineEdit().editingFinished.emit()
    panel.wait(lambda: world.asked("dataset_check"), what="the check")
    os.kill(world.asked("dataset_check")[0]["pid"], signal.SIGKILL)
    panel.wait(lambda: "ended unexpectedly" in panel.datasetLabel.text(), what="the end")
    world.set("seconds", "dataset_check", 0)
    panel.recheckButton.click()
    panel.wait(panel.startButton.isEnabled, what="Start")


def test_a_start_that_is_refused_is_told_and_can_be_repeated(panel, world, dataset):
    told = {
        "code": "write-failed",
        "text": "The run one cannot be made in /runs: Read-only file system.",
        "hint": "Choose a folder of runs where you may write.",
    }
    world.set("errors", "job_start", told)
    ready(panel, dataset)
    panel.startButton.click()
    panel.wait(lambda: "Read-only file system" in panel.messageLabel.text(), what="the refusal")
    assert "Choose a folder of runs where you may write." in panel.messageLabel.text()
    panel.settle()
    assert panel.startButton.isEnabled()
    world.facts["errors"].clear()
    world.write()
    panel.startButton.click()
    panel.wait(lambda: panel.runsTable.rowCount() == 1, what="the run")


def test_a_second_click_starts_nothing(panel, world, dataset):
    world.set("seconds", "job_start", 0.5)
    ready(panel, dataset)
    panel.startButton.click()
    panel.startButton.click()
    panel.settle()
    assert not panel.startButton.isEnabled()
    panel.wait(lambda: panel.runsTable.rowCount() == 1, what="the run")
    panel.settle(0.3)
    assert len(world.asked("job_start")) == 1


def test_a_data_set_that_was_removed_after_the_check_is_told(panel, world, dataset):
    ready(panel, dataset)
    shutil.rmtree(dataset)
    panel.startButton.click()
    panel.settle()
    assert "is no longer there" in panel.messageLabel.text()
    assert not panel.startButton.isEnabled()
    assert not world.asked("job_start")


def test_a_run_folder_that_was_removed_is_told_and_another_run_is_shown(panel, world):
    world.run("other", state="finished")
    world.run("one", state="running")
    panel.polled()
    assert panel.stateLabel.text().startswith("one")
    world.facts["jobs"] = [job for job in world.facts["jobs"] if job["name"] != "one"]
    world.write()
    panel.polled()
    assert "The folder of the run one is no longer there." in panel.messageLabel.text()
    assert panel.stateLabel.text().startswith("other")


def test_a_runs_folder_that_cannot_be_read_is_told(panel, world, dataset):
    told = {
        "code": "unreadable",
        "text": "The runs in /x cannot be listed.",
        "hint": "Choose another folder.",
    }
    world.set("errors", "jobs", told)
    panel.wait(lambda: "cannot be listed" in panel.runsReasonLabel.text(), what="the failure")
    panel.choose(dataset)
    assert not panel.startButton.isEnabled()
    world.facts["errors"].clear()
    world.write()
    panel.wait(panel.startButton.isEnabled, what="the list")


def test_methods_that_cannot_be_had_are_told(panel, world):
    told = {
        "code": "missing-package",
        "text": "The Python package pydantic is missing.",
        "hint": "Install it.",
    }
    world.set("errors", "methods", told)
    panel.session.methods = []
    panel.panel.plan.method = None
    panel.session.askMethods()
    panel.wait(lambda: "pydantic is missing" in panel.reasonLabel.text(), what="the failure")
    assert "pydantic is missing" in panel.setupLabel.text()


def test_torch_that_does_not_work_is_told_at_the_top(panel):
    panel.session.environmentProblem = "torch cannot be imported."
    panel.session.devicesChanged.emit()
    panel.settle()
    assert panel.setupFrame.isVisible()
    assert "torch cannot be imported." in panel.setupLabel.text()
    assert "torch cannot be imported." in panel.reasonLabel.text()


def test_the_report_holds_what_a_question_needs_and_no_home(panel, world):
    folder = world.runs / "one"
    error = {"code": "x", "text": "It failed.", "hint": ""}
    world.run("one", state="failed", error=error)
    (folder / "log.txt").write_text(f"the last words {os.environ['HOME']}/secret\n")
    panel.polled()
    report = panel.panel.running.report()
    for part in ("SegToolkitTraining", "the last words", "It failed.", "torch 2.8"):
        assert part in report
    assert os.environ["HOME"] not in report


def test_on_quit_live_runs_are_named_and_left_alone(panel, world, caplog):
    from SegToolkitGui.training.Session import TrainingSession

    world.run("one", state="running")
    world.run("two", state="finished")
    session = TrainingSession(panel.session.command)
    session.jobs.poll()
    panel.wait(lambda: session.jobs.known, what="the runs")
    pid = session.worker("quick").pid
    with caplog.at_level("INFO"):
        session.onQuit()
    assert "these trainings go on without Slicer: one" in caplog.text
    assert not world.asked("job_stop")
    from SegToolkitGui.Paths import processExists

    panel.wait(lambda: not processExists(pid), 5, "the worker's end")


def test_a_run_started_while_the_panel_closes_is_not_lost(panel, world, dataset):
    ready(panel, dataset)
    panel.startButton.click()
    panel.widget.exit()
    panel.application.closeScene()
    panel.wait(lambda: world.asked("job_start"), what="the start")
    panel.widget.enter()
    panel.wait(lambda: panel.runsTable.rowCount() == 1, what="the run")
