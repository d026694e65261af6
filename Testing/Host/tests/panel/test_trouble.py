"""What goes wrong in the middle: cancelled, killed, closed, deleted, clicked twice."""

from __future__ import annotations

import os
import signal

import pytest
import SegToolkitTestData as data
import slicer


def begin(panel, until="running"):
    """Press Apply and wait until the worker is at work; returns the run."""
    panel.settle()
    panel.applyButton.click()
    run = panel.runner.run
    panel.wait(lambda: run.state.value == until or run.over, what=until)
    assert run.state.value == until, panel.told()
    return run


def segmentations():
    return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")}


def test_cancel_in_mid_run_leaves_nothing_and_the_next_run_works(panel, patient):
    from SegToolkitGui.Paths import processExists

    before = segmentations()
    run = begin(panel)
    panel.wait(lambda: panel.session.client.pid, what="the worker's pid")
    pid = panel.session.client.pid
    panel.panel.running.strip.cancelButton.click()
    panel.settle()
    assert run.state.value == "cancelled"
    assert "Cancelled" in panel.resultLabel.text()
    panel.wait(lambda: not processExists(pid), 5, "the worker's end")
    assert segmentations() == before
    results = panel.session.folder / "results"
    panel.wait(lambda: not list(results.iterdir()), 5, "an empty folder of results")
    assert panel.apply().state.value == "done", panel.told()


def test_a_killed_worker_is_told_and_replaced(panel, patient):
    run = begin(panel)
    panel.wait(lambda: panel.session.client.pid, what="the worker's pid")
    os.kill(panel.session.client.pid, signal.SIGKILL)
    panel.wait(lambda: run.over, what="the end")
    panel.settle()
    assert run.state.value == "failed"
    assert run.error.code == "worker-died"
    assert "worker" in panel.resultLabel.text().lower()
    assert panel.apply().state.value == "done", panel.told()


def test_a_closed_scene_ends_the_run(panel, patient):
    run = begin(panel)
    panel.application.closeScene()
    panel.settle()
    assert run.state.value == "failed"
    assert "closed" in str(run.error)
    assert segmentations() == set()
    assert not panel.applyButton.isEnabled()


def test_a_deleted_input_ends_the_run(panel, patient):
    volume, _segmentation, _ids = patient
    run = begin(panel)
    slicer.mrmlScene.RemoveNode(volume)
    panel.settle()
    assert run.state.value == "failed"
    assert "patient was deleted" in panel.resultLabel.text()
    assert "remove this example" in panel.reasonLabel.text()
    panel.supportTable.selectRow(0)
    panel.settle()
    panel.removeSupportButton.click()
    panel.settle()
    assert panel.supportTable.rowCount() == 0


def test_deleted_outlines_are_told_before_a_run(panel, patient):
    _volume, segmentation, ids = patient
    segmentation.GetSegmentation().RemoveSegment(ids["large organ"])
    panel.settle()
    assert not panel.applyButton.isEnabled()
    assert "deleted" in panel.reasonLabel.text()
    assert panel.supportTable.item(0, 0).toolTip()


def test_a_second_click_starts_nothing(panel, patient):
    from SegToolkitGui.Errors import UserError

    run = begin(panel, "preparing")
    panel.applyButton.click()
    panel.previewButton.click()
    assert panel.runner.run is run
    panel.settle()
    assert not panel.applyButton.isEnabled()
    assert not panel.previewButton.isEnabled()
    with pytest.raises(UserError, match="under way"):
        panel.logic.process(patient[0], waitForCompletion=False)
    panel.wait(lambda: run.over, what="the end")
    assert run.state.value == "done"


def test_a_run_goes_on_while_another_module_is_shown(panel, patient):
    run = begin(panel)
    panel.widget.exit()
    panel.wait(lambda: run.over, what="the end")
    panel.widget.enter()
    panel.settle()
    assert run.state.value == "done"
    assert "large organ" in panel.resultLabel.text()


def test_edits_of_the_volume_during_a_run_do_not_mix_with_it(panel, patient):
    volume, _segmentation, _ids = patient
    run = begin(panel)
    slicer.util.arrayFromVolume(volume)[:] = 0
    slicer.util.arrayFromVolumeModified(volume)
    panel.wait(lambda: run.over, what="the end")
    assert run.state.value == "done", panel.told()
    # The next run sees the volume as it is now.
    again = panel.apply()
    found = again.results[0].segmentIds if again.results else {}
    result = slicer.mrmlScene.GetNodeByID(again.results[0].segmentationId) if again.results else None
    area = data.maskOf(result, found["large organ"], volume)[8].sum() if found else 0
    assert again.state.value == "failed" or area != data.organMask("large organ")[8].sum()


def test_declined_terms_start_nothing(panel, patient):
    model = panel.session.model(panel.panel.modelName())
    model["licence"]["accepted"] = False
    panel.settle()
    before = panel.runner.run
    with panel.application.answers.given("cancel") as asked:
        panel.applyButton.click()
    assert "CC BY-NC-SA" in asked[0]
    panel.settle()
    assert panel.runner.run is before
    assert "terms were not accepted" in panel.resultLabel.text()
    model["licence"]["accepted"] = True


def test_reports_can_be_copied_after_a_failure(panel, patient):
    run = begin(panel)
    panel.wait(lambda: panel.session.client.pid, what="the worker's pid")
    os.kill(panel.session.client.pid, signal.SIGKILL)
    panel.wait(lambda: run.over, what="the end")
    report = panel.panel.running.report()
    assert "worker-died" in report
    assert "SegToolkitFewShot" in report
    assert os.environ["HOME"] not in report
