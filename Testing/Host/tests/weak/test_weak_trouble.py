"""An impatient person, processes that die, nodes that go: sentences, and a panel that goes on working."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
import slicer


def begin(panel, what, folder):
    """Begin a run of a kind, by its button where it has one that asks nothing."""
    if what == "maps":
        return panel.begin(panel.applyButton)
    if what == "mask":
        return panel.begin(panel.refineButton)
    panel.logic.setTags(panel.panel.images.first(), {0: False, 4: True})
    panel.panel.dataset.choose(str(folder))
    panel.settle()
    return panel.begin(panel.collectButton)


def nodes():
    return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLStorableNode")}


KINDS = ("maps", "mask", "collection")


# What a collection answers is its end: it imports nothing.
STAGES = [(what, state) for what in KINDS for state in ("preparing", "running", "importing")]
STAGES.remove(("collection", "importing"))


@pytest.mark.parametrize(("what", "state"), STAGES)
def test_cancel_at_every_stage_leaves_nothing(panel, easy, tmp_path, monkeypatch, what, state):
    from SegToolkitGui.run import SceneRun, SegmentRun

    for module in (SceneRun, SegmentRun):  # as many pieces as there can be
        monkeypatch.setattr(module, "PIECE_MS", 0)
    panel.logic.setTags(panel.panel.images.first(), {0: False, 4: True})
    for image in easy.values():
        slicer.util.arrayFromVolumeModified(image)  # else its file is there already
    before = nodes()

    def cancel(_phase, _step, _total):
        if panel.runner.run.state.value == state:
            panel.runner.cancel()

    panel.runner.progressed.connect(cancel)
    try:
        run = begin(panel, what, tmp_path / "set")
        panel.over(run)
    finally:
        panel.runner.progressed.disconnect(cancel)
    assert run.state.value == "cancelled", (run.state, run.error)
    assert nodes() == before
    assert "Cancelled" in panel.resultLabel.text()
    run = panel.over(begin(panel, what, tmp_path / "set"))
    assert run.error is None, run.error
    # What the killed worker had begun is swept up by now; it may have been done before it heard of its end.
    assert not list((tmp_path / "set").glob(".adding-*"))
    assert len(list((tmp_path / "set").glob("images*/*.nii.gz"))) in (
        (2, 4) if what == "collection" else (0,)
    )


@pytest.mark.parametrize("what", KINDS)
def test_a_button_pressed_twice_begins_one_run(panel, easy, tmp_path, what):
    begun = []
    panel.runner.stateChanged.connect(lambda run: begun.append(run))
    run = begin(panel, what, tmp_path / "set")
    button = {"maps": panel.applyButton, "mask": panel.refineButton}.get(what, panel.collectButton)
    button.clicked.emit()  # the second click came before the button was disabled
    panel.over(run)
    assert set(begun) == {run}
    assert run.error is None, run.error
    assert not panel.panel.running.failed, panel.told()
    panel.undoButton.clicked.emit()
    panel.undoButton.clicked.emit()
    panel.undoButton.clicked.emit()
    panel.settle()


def test_the_worker_may_die_while_it_works_and_while_it_waits(panel, images):
    run = panel.begin(panel.applyButton)
    panel.wait(lambda: run.state.value == "running" and panel.session.client.pid, 60, "the worker")
    os.kill(panel.session.client.pid, signal.SIGKILL)
    panel.over(run)
    assert run.error.code == "worker-died"
    assert "ended unexpectedly" in panel.resultLabel.text()
    assert panel.applyButton.isEnabled()
    run = panel.press(panel.applyButton)
    assert run.error is None, run.error
    os.kill(panel.session.client.pid, signal.SIGKILL)
    panel.settle()
    run = panel.press(panel.applyButton)
    assert run.error is None, run.error


def test_a_model_that_was_deleted_is_told(panel, images):
    folder = Path(os.environ["SEGTOOLKIT_MODELS"]) / "balls"
    shutil.move(folder, folder.parents[0].with_name("away"))
    panel.session.stopWorkers()  # it may hold the model already
    try:
        run = panel.press(panel.applyButton)
        assert run.error is not None
        assert run.error.code != "internal"
        assert "balls" in panel.resultLabel.text()
        panel.wait(lambda: panel.session.model("balls") is None, 30, "that it is gone")
    finally:
        shutil.move(folder.parents[0].with_name("away"), folder)
        panel.session.askModels()
        panel.wait(lambda: panel.session.model("balls") is not None, 30, "that it is back")


@pytest.mark.parametrize("place", ["a file", "in a file", "other files"])
def test_places_that_cannot_take_a_data_set_are_told(panel, easy, tmp_path, place):
    target = tmp_path / "place"
    if place == "other files":
        target.mkdir()
        (target / "letter.txt").write_text("dear", encoding="utf-8")
    else:
        target.write_text("x", encoding="utf-8")
    if place == "in a file":
        target = target / "set"
    panel.logic.setTags(easy["FLAIR"], {0: False, 4: True})
    panel.panel.dataset.choose(str(target))
    panel.settle()
    run = panel.press(panel.collectButton)
    if place == "other files":
        assert (target / "letter.txt").read_text(encoding="utf-8") == "dear"
    else:
        assert target.is_file() == (place == "a file")
        assert "place" in panel.resultLabel.text()
    assert (run.error is None) == (place == "other files"), run.error
    assert run.error is None or run.error.code != "internal"


def test_the_module_is_reloaded_with_work_under_way(panel, images):
    from weak_panel import Panel

    run = panel.begin(panel.applyButton)
    panel.wait(lambda: run.state.value == "running", 60, "the worker")
    panel.widget.onReload()
    again = Panel(panel.application)
    again.wait(lambda: again.session.models, 300, "models after the reload")
    again.settle()
    assert again.panel.images.names() == ["FLAIR", "T1c"]
    assert run.over
    run = again.press(again.applyButton)
    assert run.error is None, run.error


def test_without_a_model_the_panel_says_so_and_asks_no_more(panel, images, monkeypatch):
    from PySide6.QtCore import QTimer

    asked, session = [], panel.session

    def none(verb, body, onEvent=None, onFinished=None):
        asked.append(verb)
        QTimer.singleShot(5, lambda: onFinished({"models": [], "folder": ""}, None))

    known, session.models = session.models, []
    session.forgetFailures()
    with monkeypatch.context() as patched:
        patched.setattr(session.client, "request", none)
        panel.settle()
        panel.wait(lambda: asked, what="the question")
        for _refresh in range(4):
            panel.settle()
        assert asked == ["models"]
        assert panel.modelLabel.text().startswith("There is no model that makes maps yet")
        assert panel.reasonLabel.text().startswith("There is no model that makes maps")
    session.forgetFailures()
    panel.settle()
    panel.wait(lambda: session.models, what="models")
    assert session.models == known
