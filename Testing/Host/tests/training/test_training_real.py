"""The panel with the real worker, real runs and real data."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training_panel import ROOT, Panel

CHAOS = ROOT.parent / "shared" / "data" / "chaos_mr_t2"
METHODS = ROOT / "Testing" / "Data" / "methods"


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker knows the toy method of Testing/Data."""
    monkeypatch.setenv("SEGTOOLKIT_METHOD_PATH", str(METHODS))


def toy(panel: Panel, **values: object) -> None:
    """Choose the toy, which the panel has never heard of, and change its settings."""
    titles = [panel.methodCombo.itemText(row) for row in range(panel.methodCombo.count())]
    panel.methodCombo.setCurrentIndex(titles.index("Toy"))
    panel.settle()
    panel.panel.plan.form.setValues(values)
    panel.panel.plan.form.changed.emit()
    panel.settle(0.5)


def begin(panel: Panel, name: str) -> str:
    """Press Start; returns the run's folder."""
    panel.runNameEdit.setText(name)
    panel.runNameEdit.textEdited.emit(name)
    panel.settle()
    panel.wait(panel.startButton.isEnabled, 30, "Start")
    panel.startButton.click()
    panel.wait(lambda: panel.jobs.followed.endswith(name), 30, f"the run {name}")
    return panel.jobs.followed


def state(panel: Panel, name: str) -> str:
    return next((job["state"] for job in panel.jobs.jobs if job["name"] == name), "")


def metrics(panel: Panel) -> list[int]:
    return [event["step"] for event in panel.jobs.events if event["t"] == "metric"]


def test_a_method_plugs_in_by_its_package_alone(real):
    """Preset, settings, estimate, training, curve, pictures and model of a method unknown to the panel."""
    panel = real
    toy(panel)
    assert panel.presetLabel.text() == "A second."
    assert not panel.foldCombo.isVisible()
    panel.wait(lambda: "About" in panel.estimateLabel.text(), 60, "the estimate")
    assert begin(panel, "first")
    panel.wait(lambda: state(panel, "first") == "finished", 60, "the end")
    panel.wait(lambda: metrics(panel)[-1:] == [20], 10, "the last event")
    panel.settle()
    assert metrics(panel) == list(range(1, 21))
    assert "best dice" in panel.stateLabel.text()
    assert [step for step, _path in panel.panel.running._pictures] == [5, 10, 15, 20]
    panel.select("first")
    assert panel.useModelButton.isEnabled()


@pytest.mark.slow
def test_stop_resume_kill_and_copy(real):
    panel = real
    toy(panel, steps=400, delay=0.05, log_every=1, snapshot_every=2, validate_every=50)
    begin(panel, "one")
    panel.wait(lambda: len(metrics(panel)) >= 2, 60, "two steps")
    panel.stopButton.click()
    panel.wait(lambda: state(panel, "one") == "stopped", 30, "the stop")
    panel.settle()
    before = metrics(panel)[-1]
    panel.select("one")
    panel.resumeRunButton.click()
    panel.wait(lambda: metrics(panel)[-1] > before + 1, 60, "further steps")
    pid = panel.jobs.status(panel.jobs.followed)["pid"]
    os.kill(pid, signal.SIGKILL)
    panel.wait(lambda: state(panel, "one") == "interrupted", 30, "the interruption")
    panel.settle()
    assert "Interrupted at step" in panel.stateLabel.text()
    panel.copyRunButton.click()
    panel.settle()
    assert panel.runNameEdit.text() == "one-2"
    assert panel.panel.plan.values()["delay"] == 0.05
    with panel.application.answers.given("ok"):
        panel.deleteRunButton.click()
    panel.wait(lambda: not state(panel, "one"), 30, "the deletion")
    assert not list((Path(panel.jobs.root)).glob("one"))


@pytest.mark.slow
def test_a_second_run_waits_for_the_first_with_the_reason(real):
    panel = real
    toy(panel, steps=4000, delay=0.05, log_every=1)
    begin(panel, "one")
    panel.wait(lambda: state(panel, "one") == "running", 60, "the first")
    begin(panel, "two")
    panel.wait(lambda: state(panel, "two") == "waiting", 30, "the second")
    panel.settle()
    assert "one" in panel.stateLabel.text().partition("waits.")[2]
    assert panel.stopButton.text() == "Leave the queue"
    panel.stopButton.click()
    panel.wait(lambda: state(panel, "two") in ("stopped", "new", "interrupted"), 30, "leaving the queue")
    assert state(panel, "one") == "running"


@pytest.mark.slow
def test_a_run_goes_on_while_another_module_is_shown_and_is_found_again(real):
    panel = real
    toy(panel, steps=4000, delay=0.02, log_every=1)
    begin(panel, "one")
    panel.wait(lambda: len(metrics(panel)) >= 2, 60, "two steps")
    panel.application.showModule("SegToolkitFewShot")
    panel.application.closeScene()
    panel.settle(1)
    before = metrics(panel)[-1]
    panel.application.showModule("SegToolkitTraining")
    panel.wait(lambda: metrics(panel)[-1] > before + 10, 30, "what was trained meanwhile")
    assert metrics(panel) == list(range(1, len(metrics(panel)) + 1))


@pytest.mark.slow
def test_a_run_folder_removed_under_a_living_run_is_told(real):
    panel = real
    toy(panel, steps=4000, delay=0.02, log_every=1)
    folder = begin(panel, "one")
    panel.wait(lambda: len(metrics(panel)) >= 2, 60, "two steps")
    pid = panel.jobs.status(folder)["pid"]
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    panel.wait(lambda: "no longer there" in panel.messageLabel.text() or state(panel, "one") == "failed", 30)
    with contextlib.suppress(ProcessLookupError):  # it may have noticed by itself and ended
        os.kill(pid, signal.SIGKILL)


def test_runs_folders_that_cannot_be_written_are_told(real, tmp_path):
    panel = real
    (tmp_path / "file").write_text("no folder")
    panel.session.machine.runsFolder = str(tmp_path / "file" / "runs")
    panel.jobs.poll()
    panel.settle(0.5)
    toy(panel)
    panel.wait(lambda: panel.jobs.problem or panel.startButton.isEnabled(), 20, "the list")
    if panel.jobs.problem is None:
        panel.startButton.click()
        panel.wait(lambda: panel.messageLabel.text(), 20, "the refusal")
    told = f"{panel.messageLabel.text()} {panel.reasonLabel.text()}"
    assert "file" in told
    assert told.strip().endswith(".")


@pytest.mark.slow
def test_a_training_outlives_the_application_and_its_model_is_used(tmp_path):
    """Real volumes from the scene; two lives of the application; the compact ALPNet."""
    if not CHAOS.is_dir():
        pytest.skip("../shared/data/chaos_mr_t2 is not there: nothing is trained on real volumes")
    images = sorted(CHAOS.glob("image_*.nii.gz"))[:3]
    label = images[0].with_name(images[0].name.replace("image_", "label_"))
    try:
        first = life("begin", tmp_path, *images, label)
        errors = [one for one in first["facts"]["problems"] if one["severity"] == "error"]
        assert (first["facts"]["images"], first["facts"]["labelled"], errors) == (3, 1, [])
        assert first["step"] >= 3
        assert first["quit"] < 3
        assert any("go on without Slicer: abdomen" in line for line in first["log"])
        second = life("again", tmp_path, images[0])
    finally:
        end_all(tmp_path / "home")
    assert second["first"] == list(range(1, len(second["first"]) + 1))
    assert second["first"][-1] >= first["step"]
    assert second["curves"] == ["abdomen"]
    assert "Finished early" in second["state"]
    assert "abdomen" in second["models"]
    assert second["chosen"] == "abdomen"
    assert second["result"] == "done"


def end_all(home: Path) -> None:
    """No run of a test that failed goes on behind it."""
    for folder in (home / "runs").glob("*"):
        call = [sys.executable, "-m", "SegToolkitLib", "jobs", "kill", str(folder)]
        subprocess.run(call, cwd=ROOT, capture_output=True, check=False)


def life(phase: str, folder: Path, *files: Path) -> dict:
    """One process of the application from start to end."""
    script = Path(__file__).with_name("reopened.py")
    call = [sys.executable, str(script), phase, str(folder), *map(str, files)]
    done = subprocess.run(call, capture_output=True, encoding="utf-8", timeout=500, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(lines[-1].removeprefix("TOLD "))
