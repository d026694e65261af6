"""Second runs, odd outputs and odd grids: what a person brings about without meaning to."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data


def accept(_box, _member, _arguments):
    """Presses OK."""
    from PySide6.QtWidgets import QMessageBox

    return QMessageBox.StandardButton.Ok.value


def shear(volume):
    """Give a volume axes that are not at right angles."""
    import slicer

    matrix = np.eye(4)
    matrix[0, 1] = 0.3
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


def test_terms_of_a_run_that_was_cancelled_do_not_count_as_accepted(panel, volume, tmp_path):
    from autosegment_panel import BANDS
    from brightness.models import make_model

    from host import modal

    make_model(tmp_path, "strange", bands=BANDS, permissive=False)
    added = []
    panel.session.addModel({"path": str(tmp_path / "strange"), "replace": True}, lambda *a: added.append(a))
    panel.wait(lambda: added and panel.session.model("strange"), what="the model")
    panel.settle()
    panel.chooseModel("strange")
    with modal.answering(accept):
        run = panel.begin()
        run.cancel()
        panel.over(run)
        run = panel.apply()
    assert run.state.value == "done", panel.told()
    panel.wait(lambda: panel.session.model("strange")["licence"]["accepted"], what="the worker's word")


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_two_runs_into_one_segmentation_are_undone_one_after_the_other(panel, volume, mode):
    output, ids = data.outline(volume, ("large organ", "small organ"))
    output.GetSegmentation().GetSegment(ids["large organ"]).SetName("liver")
    before = {one: data.maskOf(output, one, volume) for one in ids.values()}
    panel.outputSelector.setCurrentNode(output)
    panel.outputModeCombo.setCurrentIndex(("replace", "add", "merge").index(mode))
    panel.apply()
    panel.apply()
    for _twice in range(2):
        panel.settle()
        assert panel.undoButton.isEnabled(), panel.undoButton.toolTip()
        panel.undoButton.click()
    assert list(output.GetSegmentation().GetSegmentIDs()) == list(before)
    for one, mask in before.items():
        assert np.array_equal(data.maskOf(output, one, volume), mask)


def test_what_was_edited_between_two_runs_is_not_lost_to_undo(panel, volume):
    import slicer

    output = panel.segmentation(panel.apply())
    empty = np.zeros(data.SIZE[::-1], np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(empty, output, "liver", volume)
    panel.outputSelector.setCurrentNode(output)
    panel.apply()
    panel.undoButton.click()
    panel.settle()
    assert not panel.undoButton.isEnabled()
    assert "was changed after the run" in panel.undoButton.toolTip()


def test_a_cancelled_second_run_leaves_the_first_one_to_be_undone(panel, volume, monkeypatch):
    import slicer

    from SegToolkitGui.run import SceneRun

    monkeypatch.setattr(SceneRun, "PIECE_MS", 0)  # else the map may be there before Cancel can be pressed
    output = panel.segmentation(panel.apply())
    first = data.maskOf(output, "liver", volume)
    voxels = slicer.util.arrayFromVolume(volume)
    voxels[: len(voxels) // 2][first[: len(voxels) // 2]] = 180  # the second run finds half of the liver
    slicer.util.arrayFromVolumeModified(volume)
    panel.outputSelector.setCurrentNode(output)
    panel.mapCheck().click()
    run = panel.begin()
    seen = []

    def cancelOnceTheSegmentsAreThere(*_progress):
        if not seen and run.state.value == "importing":
            mask = data.maskOf(output, "liver", volume)
            if not np.array_equal(mask, first):
                seen.append(mask)
                run.cancel()

    run.progressed.connect(cancelOnceTheSegmentsAreThere)
    panel.over(run)
    assert run.state.value == "cancelled"
    assert seen
    assert seen[0].any()
    assert np.array_equal(data.maskOf(output, "liver", volume), first)
    assert panel.undoButton.isEnabled(), panel.undoButton.toolTip()
    panel.undoButton.click()
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_run_that_fails_does_not_hide_the_last_result(panel, volume):
    segmentation = panel.segmentation(panel.apply())
    panel.chooseModel("failing")
    panel.apply()
    assert not panel.tableSection.isHidden()
    assert panel.show3DButton.isEnabled()
    assert panel.panel.running.resultNode() is segmentation


def test_a_double_click_on_apply_is_no_mistake(panel, volume):
    panel.chooseModel("slow")
    panel.applyButton.click()
    run = panel.runner.run
    panel.applyButton.click()
    panel.settle()
    assert panel.runner.run is run
    assert panel.resultLabel.text() == ""
    run.cancel()


def test_an_output_made_of_surfaces_is_refused_before_the_run(panel, volume):
    import slicer
    import vtk

    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mesh")
    output.GetSegmentation().SetSourceRepresentationName("Closed surface")
    sphere = vtk.vtkSphereSource()
    sphere.Update()
    output.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "liver", [1, 0, 0])
    panel.outputSelector.setCurrentNode(output)
    panel.settle()
    assert not panel.applyButton.isEnabled()
    assert "mesh are not kept as a binary labelmap" in panel.reasonLabel.text()


def test_one_slice_is_segmented(panel, makeCt):
    import slicer

    volume = makeCt()
    slicer.util.updateVolumeFromArray(volume, slicer.util.arrayFromVolume(volume)[5:6].copy())
    panel.choose(volume)
    run = panel.apply()
    voxels = slicer.util.arrayFromVolume(volume)
    found = data.maskOf(panel.segmentation(run), run.results[0].segmentIds["liver"], volume)
    assert np.array_equal(found, (voxels >= 380) & (voxels <= 520))


def test_one_broken_volume_of_five_is_told_and_the_others_are_segmented(panel, makeCt):
    volumes = [makeCt(f"volume {number}") for number in range(5)]
    shear(volumes[2])
    run = panel.logic.process(volumes, model="abdomen")
    panel.settle()
    assert [result.name for result in run.results] == [f"volume {number}" for number in (0, 1, 3, 4)]
    assert "volume 2 failed: The axes of volume 2 are not at right angles" in panel.resultLabel.text()


def test_a_table_that_is_deleted_meanwhile_is_made_again(panel, makeCt):
    import slicer

    volumes = [makeCt(name) for name in ("one", "two")]
    run = panel.logic.process(volumes, model="slow", waitForCompletion=False)
    panel.wait(lambda: run.results and run.state.value == "running", what="the second volume")
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetNodeByID(run.tableId))
    panel.over(run)
    assert [row[0] for row in panel.rows(panel.volumesTable)] == ["one"] * 3 + ["two"] * 3
    panel.undoButton.click()
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode")


@pytest.mark.parametrize(("kind", "told"), [("empty", "holds no image"), ("sheared", "not at right angles")])
def test_a_grid_on_which_nothing_can_be_compared_is_refused(panel, makeCt, kind, told):
    import slicer

    from SegToolkitGui.Errors import UserError

    pair = [data.outline(makeCt())[0] for _twice in range(2)]
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    if kind == "sheared":
        grid = makeCt()
        shear(grid)
    with pytest.raises(UserError, match=told):
        panel.logic.compare(*pair, volume=grid)


def test_the_module_can_be_reloaded_during_a_run(panel, volume):
    import slicer

    panel.chooseModel("slow")
    run = panel.begin()
    panel.wait(lambda: run.state.value == "running", what="the run")
    panel.widget.onReload()
    assert run.state.value == "cancelled"
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    again = slicer.util.getModuleWidget("SegToolkitAutoSegment")
    panel.wait(lambda: again.logic.session.models, what="models after the reload")


def test_a_deleted_output_does_not_lead_to_its_neighbour(panel, volume):
    import slicer

    outlines, output = (data.outline(volume)[0] for _number in range(2))
    panel.outputSelector.setCurrentNode(output)
    panel.settle()
    assert panel.panel.parameters.outputSegmentation is output
    slicer.mrmlScene.RemoveNode(output)
    panel.settle()
    assert outlines.GetScene() is not None
    assert panel.panel.parameters.outputSegmentation is None
