"""Runs, previews and zips into which somebody breaks: from a callback, by deleting, by clearing folders."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SegToolkitTestData as data
import slicer


def segmentations():
    return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")}


def waitForZip(panel):
    panel.wait(lambda: panel.panel.support.zip is None, 30, "the zip")
    panel.settle()


@pytest.mark.parametrize("state", ["preparing", "running", "importing"])
def test_a_callback_that_cancels_leaves_nothing(panel, patient, state):
    before = segmentations()

    def cancel(run):
        if run.state.value == state:
            panel.runner.cancel()

    panel.settle()
    panel.runner.stateChanged.connect(cancel)
    try:
        panel.applyButton.click()
        run = panel.runner.run
        panel.wait(lambda: run.over, what="the end")
        panel.application.processEvents(0.5)
    finally:
        panel.runner.stateChanged.disconnect(cancel)
    assert run.state.value == "cancelled"
    assert segmentations() == before
    assert panel.session.client.state in ("off", "stopping")
    assert not panel.runner.busy
    assert panel.apply().state.value == "done", panel.told()


def test_a_cancel_in_mid_import_takes_back_what_is_in_the_scene(panel, patient, monkeypatch):
    from SegToolkitGui.run import SceneRun

    monkeypatch.setattr(SceneRun, "PIECE_MS", 0)  # as many pieces as there can be, on a fast machine too
    volume, segmentation, ids = patient
    before = segmentations()
    example = panel.logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
    run = panel.logic.process(volume, [example], confidence=True, waitForCompletion=False)

    def cancel(phase, step, total):
        if segmentations() != before:  # the segmentation is there, the confidence is not
            panel.runner.cancel()

    run.progressed.connect(cancel)
    panel.wait(lambda: run.over, what="the end")
    assert run.state.value == "cancelled"
    assert segmentations() == before


def test_a_log_line_that_cancels_does_not_lock_the_panel(panel, patient):
    volume, segmentation, ids = patient
    other = data.makeVolume("other", seed=2)
    example = panel.logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
    run = panel.logic.process(other, [example], waitForCompletion=False)
    run.logged.connect(lambda text: panel.runner.cancel())
    panel.wait(lambda: run.over, what="the end")
    panel.application.processEvents(0.3)
    assert run.state.value == "cancelled"
    assert not panel.runner.busy


def test_a_preview_that_is_deleted_meanwhile_is_told(panel, patient):
    panel.settle()
    panel.previewButton.click()
    run = panel.runner.run
    slicer.mrmlScene.RemoveNode(panel.runner.previewNode())
    panel.wait(lambda: run.over, what="the end")
    assert run.error.code == "input-gone"


def test_a_preview_chosen_as_output_is_kept_with_the_result(panel, patient):
    panel.preview()
    chosen = panel.runner.previewNode()
    panel.outputSelector.setCurrentNode(chosen)
    run = panel.apply()
    assert run.results[0].segmentationId == chosen.GetID()
    assert chosen.GetScene() is not None
    assert chosen.GetSaveWithScene()


def test_a_corrected_preview_serves_as_an_example(panel, patient):
    volume = patient[0]
    panel.showSlice(volume, 7)
    panel.preview()
    corrected = panel.runner.previewNode()
    panel.choose(volume, corrected, list(corrected.GetSegmentation().GetSegmentIDs()))
    panel.addSlice(volume, 7)
    assert panel.supportTable.rowCount() == 2
    assert corrected.GetSaveWithScene()
    assert panel.apply().state.value == "done", panel.told()
    assert corrected.GetScene() is not None
    assert panel.apply().state.value == "done", panel.told()


def test_undo_waits_for_the_end_of_a_run(panel, patient):
    from SegToolkitGui.Errors import UserError

    panel.apply()
    panel.applyButton.click()
    run = panel.runner.run
    with pytest.raises(UserError, match="under way"):
        panel.logic.undo()
    panel.wait(lambda: run.over, what="the end")
    before = segmentations()
    panel.logic.undo()
    panel.logic.undo()
    assert len(before - segmentations()) == 2


def test_reasons_and_table_follow_the_outlines(panel, patient):
    volume, segmentation, ids = patient
    segmentId, segments = ids["large organ"], segmentation.GetSegmentation()

    def shown(column):
        panel.application.processEvents(0.2)  # no settle: nobody refreshes by hand
        return panel.supportTable.item(0, column).text()

    segments.GetSegment(segmentId).SetName("renamed")
    assert shown(2) == "renamed"
    assert panel.structureList.item(0).text() == "renamed"
    count, moved = data.organMask("large organ")[5].sum(), data.transformNode()
    volume.SetAndObserveTransformNodeID(moved.GetID())
    assert int(shown(3)) != count
    volume.SetAndObserveTransformNodeID(None)
    assert int(shown(3)) == count
    empty = np.zeros(tuple(reversed(data.SIZE)), np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(empty, segmentation, segmentId, volume)
    assert shown(3) == "0"
    segments.RemoveSegment(segmentId)
    assert shown(2) == ""
    assert not panel.applyButton.isEnabled()


def test_a_session_folder_that_is_swept_away_is_made_again_for_us_alone(panel, patient):
    assert panel.apply().state.value == "done"
    shutil.rmtree(panel.session.folder)
    # At once, before the worker notices: it hears nothing any more.
    assert panel.apply().state.value == "done", panel.told()
    assert panel.session.folder.stat().st_mode & 0o077 == 0


def test_a_full_disk_is_told_and_locks_nothing(panel, patient, tmp_path, monkeypatch):
    from SegToolkitGui.scene import NrrdFile

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(NrrdFile, "write", full)
    run = panel.apply()
    assert run.error.code == "disk"
    assert "No space left" in str(run.error)
    panel.panel.support.exportZip(str(tmp_path / "examples.zip"))
    waitForZip(panel)
    assert "No space left" in panel.resultLabel.text()
    assert panel.exportSupportButton.isEnabled()


def test_a_fault_of_ours_in_a_zip_locks_nothing(panel, patient, tmp_path, monkeypatch):
    from SegToolkitGui.scene import MaskExport

    monkeypatch.setattr(MaskExport, "exportMask", lambda *_arguments: 1 / 0)
    panel.panel.support.exportZip(str(tmp_path / "examples.zip"))
    waitForZip(panel)
    assert "ZeroDivisionError" in panel.resultLabel.text()
    assert panel.exportSupportButton.isEnabled()


def test_examples_of_a_zip_do_not_come_into_the_next_scene(panel, patient, tmp_path):
    path = tmp_path / "examples.zip"
    panel.panel.support.exportZip(str(path))
    waitForZip(panel)
    panel.panel.support.importZip(str(path))
    panel.application.processEvents(0.02)
    panel.application.closeScene()
    waitForZip(panel)
    assert panel.supportTable.rowCount() == 0
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def test_models_that_cannot_be_looked_up_are_told_with_the_cause(panel, patient, monkeypatch):
    from PySide6.QtCore import QTimer

    from SegToolkitGui.Errors import UserError

    def fails(verb, body, onEvent=None, onFinished=None):
        QTimer.singleShot(5, lambda: onFinished(None, UserError("x", "Models cannot be read.", "Mend it.")))

    known, panel.session.models = panel.session.models, []
    panel.session.forgetFailures()
    with monkeypatch.context() as patched:
        patched.setattr(panel.session.client, "request", fails)
        panel.settle()
        panel.wait(lambda: panel.session.modelsProblem, what="the answer")
        panel.settle()
        assert "Models cannot be read. Mend it." in panel.reasonLabel.text()
        assert panel.setupFrame.isVisibleTo(panel.widget.uiWidget)
    panel.checkAgainButton.click()
    panel.wait(lambda: panel.session.models, what="models")
    panel.settle()
    assert panel.session.models == known
    assert panel.reasonLabel.text() == ""


def test_without_a_temporary_folder_the_panel_opens_and_says_why(panel, monkeypatch):
    from SegToolkitGui import Paths
    from SegToolkitGui.fewshot.Session import FewShotSession

    def refused(**_arguments):
        raise PermissionError(13, "Permission denied")

    session = FewShotSession()
    monkeypatch.setattr(Paths.tempfile, "mkdtemp", refused)
    for holder in (panel.panel, panel.runner):
        monkeypatch.setattr(holder, "session", session)
    try:
        panel.settle()
        panel.settle()
        assert "Permission denied" in panel.reasonLabel.text()
        assert "Permission denied" in panel.setupLabel.text()
        assert not panel.applyButton.isEnabled()
    finally:
        session.shutDown()
