"""Cancelling, deleting, closing and dying in the middle of a run, and what the panel keeps."""

from __future__ import annotations

import os

import pytest
import SegToolkitTestData as data


@pytest.mark.parametrize("state", ["preparing", "running", "importing"])
def test_cancel_leaves_nothing(panel, volume, state):
    panel.chooseModel("slow")
    run = panel.begin()
    if state == "importing":
        run.stateChanged.connect(lambda now: run.cancel() if now.value == "importing" else None)
    else:
        panel.wait(lambda: run.state.value == state, what=state)
        panel.panel.running.strip.cancelButton.click()
    panel.over(run)
    assert run.state.value == "cancelled"
    assert panel.brought("Segmentation", "Table", "PlotChart") == []
    assert "nothing half-done" in panel.resultLabel.text()
    panel.chooseModel("abdomen")
    assert panel.apply().state.value == "done"


def test_closing_the_scene_ends_the_run(panel, volume):
    panel.chooseModel("slow")
    run = panel.begin()
    panel.wait(lambda: run.state.value == "running", what="the run")
    panel.application.closeScene()
    panel.over(run)
    assert run.state.value == "failed"
    assert panel.brought("Segmentation", "Table", "PlotChart") == []
    assert "scene was closed" in panel.resultLabel.text()


def test_deleting_the_only_volume_ends_the_run(panel, volume):
    import slicer

    panel.chooseModel("slow")
    run = panel.begin()
    panel.wait(lambda: run.state.value == "running", what="the run")
    slicer.mrmlScene.RemoveNode(volume)
    panel.over(run)
    assert run.state.value == "failed"
    assert "patient was deleted" in panel.resultLabel.text()
    assert panel.session.workerState not in ("busy", "idle")  # it was stopped in the middle of its work
    assert panel.brought("Segmentation", "Table", "PlotChart") == []


def test_deleting_the_output_ends_the_run(panel, volume):
    import slicer

    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    panel.outputSelector.setCurrentNode(output)
    panel.chooseModel("slow")
    run = panel.begin()
    panel.wait(lambda: run.state.value == "running", what="the run")
    slicer.mrmlScene.RemoveNode(output)
    panel.over(run)
    assert run.state.value == "failed"
    assert "mine was deleted" in panel.resultLabel.text()


def test_a_dying_model_is_told_and_the_next_run_works(panel, volume):
    panel.chooseModel("dying")
    run = panel.apply()
    assert run.error.code == "worker-died"
    panel.chooseModel("abdomen")
    assert panel.apply().state.value == "done"


def test_a_model_that_refuses_is_told_with_its_hint(panel, volume):
    panel.chooseModel("failing")
    panel.apply()
    assert panel.resultLabel.text() == "The volume is too dark. Give a brighter one."
    assert "#c0392b" in panel.resultLabel.styleSheet()


def test_while_it_runs_nothing_can_be_changed(panel, volume):
    panel.chooseModel("slow")
    run = panel.begin()
    panel.settle()
    names = "inputSelector moreSelector modelList addModelButton organList modeCombo outputSelector"
    names += " volumesCheck mapsFrame smallCheck applyButton compareButton dicomSegButton undoButton"
    for name in names.split():
        assert not getattr(panel, name).isEnabled(), name
    run.cancel()
    panel.settle()
    assert panel.applyButton.isEnabled()


def test_a_run_goes_on_while_another_module_is_shown(panel, volume):
    panel.chooseModel("slow")
    run = panel.begin()
    panel.application.leaveModule()
    panel.wait(lambda: run.over, what="the end of the run")
    panel.application.showModule("SegToolkitAutoSegment")
    panel.settle()
    assert run.state.value == "done"
    assert "Organs found: 2" in panel.resultLabel.text()


def test_choices_are_saved_with_the_scene(panel, volume, tmp_path):
    import slicer

    panel.mapCheck().click()
    panel.modeCombo.setCurrentIndex(1)
    panel.organList.item(0).setCheckState(panel.organList.item(0).checkState().Unchecked)
    panel.toleranceSpin.setValue(3.5)
    panel.settle()
    path = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    panel.application.closeScene()
    panel.settle()
    assert not panel.mapCheck().isChecked()
    slicer.util.loadScene(str(path))
    panel.settle()
    assert panel.inputSelector.currentNode().GetName() == "patient"
    assert panel.mapCheck().isChecked()
    assert panel.modeCombo.currentIndex() == 1
    assert panel.panel.organs.wanted() == ["spleen", "gallbladder"]
    assert panel.toleranceSpin.value() == 3.5


def test_choices_that_cannot_be_read_are_reset(panel):
    from host import problems

    node = panel.logic.parameterNodeOfScene()
    node.SetParameter("toleranceMm", "no number")
    assert problems.take("slot")  # what Slicer's wrapper prints by itself
    assert panel.logic.getParameterNode().toleranceMm == 2.0


def test_what_was_left_out_stays_left_out_with_another_model(panel, volume):
    panel.organList.item(0).setCheckState(panel.organList.item(0).checkState().Unchecked)
    panel.settle()
    panel.chooseModel("plain")
    assert panel.panel.organs.wanted() == ["spleen", "gallbladder"]
    panel.allOrgansButton.click()
    panel.settle()
    assert panel.panel.organs.wanted() is None


def test_little_memory_is_kept_for_this_machine(panel, volume):
    panel.smallCheck.click()
    panel.application.closeScene()
    panel.settle()
    assert panel.smallCheck.isChecked()
    assert panel.session.machine.small
    panel.choose(data.makeVolume())
    assert panel.panel.settings().small


def test_undo_does_not_lose_later_edits(panel, volume):
    import numpy as np
    import slicer

    segmentation = panel.segmentation(panel.apply())
    empty = np.zeros(data.SIZE[::-1], np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(empty, segmentation, "liver", volume)
    panel.settle()
    assert not panel.undoButton.isEnabled()
    assert "was changed after the run" in panel.undoButton.toolTip()


def test_the_report_names_model_and_error(panel, volume):
    panel.chooseModel("failing")
    panel.apply()
    report = panel.panel.running.report()
    for text in ("Module: SegToolkitAutoSegment", "Model: failing", "Error: too-dark", "State: failed"):
        assert text in report


def test_module_can_be_reloaded(panel, volume):
    panel.apply()
    panel.widget.onReload()
    import slicer

    again = slicer.util.getModuleWidget("SegToolkitAutoSegment")
    panel.wait(lambda: again.logic.session.models, what="models after the reload")
    again.panel.refresh()
    assert again.panel.parameters.inputVolume is volume


@pytest.mark.skipif(os.name == "nt", reason="no such permission")
def test_nothing_stays_in_the_exchange_folder(panel, volume):
    panel.apply()
    assert list((panel.session.folder / "results").iterdir()) == []


def test_a_new_scene_knows_nothing_of_the_last_result(panel, volume, makeCt):
    import slicer

    panel.apply()
    panel.application.closeScene()
    makeCt("another")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "another")  # under the IDs of the old ones
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "another")
    panel.settle()
    assert panel.panel.running.resultNode() is None
    assert panel.tableSection.isHidden()
    assert not panel.show3DButton.isEnabled()
