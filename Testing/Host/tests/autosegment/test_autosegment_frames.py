"""Sequences: one frame, all frames, the curve of volumes, what a heart does, what goes wrong meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data

FRAMES = 4
# Slices of the large organ that are left in each frame, of as many as it has.
LEFT = (1.0, 0.5, 0.75, 1.0)


def organ(voxels):
    return (voxels >= 380) & (voxels <= 520)


def shrunk(voxels, share):
    """The volume with less of its large organ."""
    voxels = voxels.copy()
    mask = organ(voxels)
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    gone = slices[round(share * len(slices)) :]
    voxels[gone] = np.where(mask[gone], 180, voxels[gone])
    return voxels


@pytest.fixture
def cine(panel, makeCt):
    """A volume that shows frame 2 of four; the large organ shrinks to a half and grows again."""
    return makeCine(makeCt)


def makeCine(makeCt, unit="ms"):
    import slicer

    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit(unit)
    frame = makeCt("frame")
    whole = slicer.util.arrayFromVolume(frame).copy()
    for number, share in enumerate(LEFT):
        slicer.util.updateVolumeFromArray(frame, shrunk(whole, share))
        sequence.SetDataNodeAtValue(frame, str(40 * number))
    scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetSelectedItemNumber(1)
    logic = slicer.modules.sequences.logic()
    logic.UpdateAllProxyNodes()
    return browser.GetProxyNode(sequence)


def showing(volume, frame):
    """The browser at a frame."""
    import slicer

    from SegToolkitGui.scene.SequenceFrames import browserOf

    browserOf(volume).SetSelectedItemNumber(frame)
    slicer.modules.sequences.logic().UpdateAllProxyNodes()


def allFrames(panel, volume, model="abdomen"):
    panel.choose(volume, model)
    panel.settle()
    assert panel.allFramesButton.isEnabled(), panel.allFramesButton.toolTip()
    panel.allFramesButton.click()
    return panel.runner.run


def columns(nodeId):
    import slicer

    table = slicer.mrmlScene.GetNodeByID(nodeId).GetTable()
    found = {}
    for number in range(table.GetNumberOfColumns()):
        column = table.GetColumn(number)
        found[column.GetName()] = [column.GetValue(row) for row in range(table.GetNumberOfRows())]
    return found


def test_a_volume_of_no_sequence_has_no_frames(panel, volume):
    for widget in (panel.frameRow, panel.frameLabel, panel.allFramesButton, panel.curveFrame, panel.phaseRow):
        assert widget.isHidden()


def test_apply_segments_the_frame_that_is_shown(panel, cine):
    import slicer

    panel.choose(cine)
    assert (panel.frameSpin.value(), panel.frameSpin.maximum()) == (2, FRAMES)
    assert panel.frameCountLabel.text() == "of 4, time (ms): 40"
    panel.frameSpin.setValue(3)
    panel.settle()
    assert "time (ms): 80" in panel.frameCountLabel.text()
    run = panel.begin()
    showing(cine, 0)
    panel.over(run)
    assert run.results[0].frame == 2
    node = panel.segmentation(run)
    assert node.GetName() == "cine frame 3 segmentation"
    found = data.maskOf(node, run.results[0].segmentIds["liver"], cine)
    showing(cine, 2)
    assert np.array_equal(found, organ(slicer.util.arrayFromVolume(cine)))
    assert panel.frameSpin.value() == 1  # refreshed soon
    panel.settle()
    assert panel.frameSpin.value() == 3


def test_all_frames_make_a_sequence_beside_the_volumes(panel, cine):
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    cine.SetAndObserveTransformNodeID(transform.GetID())
    run = panel.over(allFrames(panel, cine))
    assert run.state.value == "done", panel.told()
    assert [result.frame for result in run.results] == [0, 1, 2, 3]
    assert panel.frameSpin.value() == 2  # the browser stays where it was
    assert panel.brought("Segmentation", "ScalarVolume") == ["cine segmentation", "cine"]
    node = panel.segmentation(run)
    assert node.GetTransformNodeID() == transform.GetID()
    assert node.GetDisplayNode().GetVisibility()
    assert node.GetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole()) == cine.GetID()
    segmentation = node.GetSegmentation()
    for frame in (3, 0, 1, 2):
        showing(cine, frame)
        names = [segmentation.GetNthSegment(n).GetName() for n in range(3)]
        assert names == ["liver", "spleen", "gallbladder"]
        found = data.maskOf(node, run.results[frame].segmentIds["liver"], cine)
        assert np.array_equal(found, organ(slicer.util.arrayFromVolume(cine)))
    assert panel.resultLabel.text().startswith("4 of 4 frames segmented")
    panel.settle()
    assert panel.show3DButton.isEnabled()


def test_all_frames_have_a_curve_of_volumes(panel, cine):
    import slicer

    run = panel.over(allFrames(panel, cine))
    found = columns(run.tableId)
    assert list(found) == ["Frame", "time (ms)", "liver ml", "spleen ml", "gallbladder ml"]
    assert found["Frame"] == [1, 2, 3, 4]
    assert found["time (ms)"] == [0, 40, 80, 120]
    voxelMl = np.prod(data.SPACING) / 1000
    for frame in range(FRAMES):
        showing(cine, frame)
        ml = organ(slicer.util.arrayFromVolume(cine)).sum() * voxelMl
        assert found["liver ml"][frame] == pytest.approx(ml)
    chart = slicer.mrmlScene.GetNodeByID(run.curve.chartId)
    assert chart.GetXAxisTitle() == "time (ms)"
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [one.GetYColumnName() for one in series] == ["liver ml", "spleen ml", "gallbladder ml"]
    assert {one.GetXColumnName() for one in series} == {"time (ms)"}
    assert not panel.tableSection.isHidden()
    assert panel.tableSection.text() == "Volume curve"
    assert panel.volumesTable.rowCount() == FRAMES
    assert panel.panel.curve.chart.plot.isVisibleTo(panel.curveFrame)
    assert panel.heartLabel.isHidden()  # abdominal organs eject nothing
    panel.apply()
    assert panel.curveFrame.isHidden()
    assert panel.tableSection.text() == "Volumes of the organs"


def test_ventricles_have_an_ejection_fraction(panel, cine):
    run = panel.over(allFrames(panel, cine, "heart"))
    left, right = run.ventricles
    assert (left["end_diastole"], left["end_systole"]) == (0, 1)
    assert left["ejection_fraction"] == pytest.approx(1 - left["esv_ml"] / left["edv_ml"])
    assert 0.3 < left["ejection_fraction"] < 0.7
    assert right["ejection_fraction"] == 0
    text = panel.heartLabel.text()
    assert f"ejection fraction <b>{100 * left['ejection_fraction']:.0f} %</b>" in text
    assert "rest on the spacing" in text
    found = columns(run.heartTableId)
    assert found["Ventricle"] == ["left ventricle", "right ventricle"]
    assert found["EDV ml"][0] == pytest.approx(columns(run.tableId)["left ventricle ml"][0])
    panel.diastoleButton.click()
    panel.settle()
    assert panel.frameSpin.value() == 1
    panel.systoleButton.click()
    panel.settle()
    assert panel.frameSpin.value() == 2


def test_a_volume_that_goes_at_the_very_end_costs_the_fractions_alone(panel, cine, monkeypatch):
    import slicer

    from SegToolkitGui.autosegment.FramesRun import FramesRun

    asked = FramesRun._asked

    def gone(run, verb, body):
        outputs = yield from asked(run, verb, body)
        if verb == "ejection":
            slicer.mrmlScene.RemoveNode(cine)
        return outputs

    monkeypatch.setattr(FramesRun, "_asked", gone)
    run = panel.over(allFrames(panel, cine, "heart"))
    assert (run.state.value, len(run.results), run.ventricles) == ("done", FRAMES, [])


@pytest.mark.parametrize(
    ("name", "terminology", "left"),
    [
        ("left ventricle", "", True),
        ("LV cavity", "", True),
        ("RV", "", False),
        ("cavity", "Context~SCT^1^Body~SCT^87878005^Left ventricle~^^~Context~^^~^^", True),
    ],
)
def test_the_left_ventricle_is_told_by_code_or_name(panel, name, terminology, left):
    from SegToolkitGui.autosegment.CurvePart import _isLeft

    assert _isLeft(name, terminology) is left


def test_maps_of_all_frames_are_sequences_too(panel, cine):
    import slicer

    panel.choose(cine)
    panel.mapCheck("darkness").click()
    run = panel.over(allFrames(panel, cine))
    node = slicer.mrmlScene.GetNodeByID(run.results[0].mapIds["darkness"])
    for frame in range(FRAMES):
        showing(cine, frame)
        voxels = slicer.util.arrayFromVolume(cine).astype(float)
        dark = (voxels.max() - voxels) / np.ptp(voxels)
        assert slicer.util.arrayFromVolume(node) == pytest.approx(dark, abs=1e-5)
    assert panel.overlayCombo.count() == 2


def test_what_a_person_corrects_in_a_frame_stays(panel, cine):
    import slicer

    run = panel.over(allFrames(panel, cine))
    node, segmentId = panel.segmentation(run), run.results[0].segmentIds["liver"]
    showing(cine, 2)
    mask = np.zeros(slicer.util.arrayFromVolume(cine).shape, np.uint8)
    mask[3, 4:8, 4:8] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segmentId, cine)
    showing(cine, 0)
    assert data.maskOf(node, segmentId, cine).sum() != mask.sum()
    showing(cine, 2)
    assert np.array_equal(data.maskOf(node, segmentId, cine), mask.astype(bool))


def test_one_undo_takes_all_frames_back(panel, cine):
    import slicer

    made = ("Segmentation", "Table", "PlotChart", "PlotSeries", "Sequence")
    before = [len(slicer.util.getNodesByClass(f"vtkMRML{kind}Node")) for kind in made]
    panel.choose(cine, "heart")
    panel.mapCheck().click()
    panel.over(allFrames(panel, cine, "heart"))
    assert panel.undoButton.isEnabled()
    panel.undoButton.click()
    panel.settle()
    assert [len(slicer.util.getNodesByClass(f"vtkMRML{kind}Node")) for kind in made] == before
    assert panel.brought("ScalarVolume") == ["cine"]
    assert panel.tableSection.isHidden()
    showing(cine, 3)
    assert panel.over(allFrames(panel, cine)).state.value == "done"


def test_cancelling_keeps_the_frames_that_are_finished(panel, cine):
    run = allFrames(panel, cine, "slow")
    panel.settle()
    assert not panel.allFramesButton.isEnabled()
    assert not panel.frameRow.isEnabled()
    panel.wait(lambda: len(run.results) == 1, what="the first frame")
    run.cancel()
    panel.settle()
    assert run.state.value == "cancelled"
    assert "Frames that were finished are kept." in panel.resultLabel.text()
    assert run.ventricles == []
    values = columns(run.tableId)["liver ml"]
    assert values[0] > 0
    assert np.isnan(values[1:]).all()
    node = panel.segmentation(run)
    for frame, segments in ((0, 3), (2, 0)):
        showing(cine, frame)
        assert node.GetSegmentation().GetNumberOfSegments() == segments
    panel.undoButton.click()
    panel.settle()
    assert panel.brought("Segmentation", "Table", "Sequence") == ["cine"]


def test_a_frame_that_fails_does_not_end_the_run(panel, cine):
    import slicer

    from SegToolkitGui.scene.SequenceFrames import dataNodeOfFrame

    slicer.util.arrayFromVolume(dataNodeOfFrame(cine, 1))[:] = 7
    run = panel.over(allFrames(panel, cine))
    assert run.state.value == "done"
    assert [result.frame for result in run.results] == [0, 2, 3]
    assert [name for name, _error in run.failures] == ["Frame 2"]
    assert "Frame 2 failed" in panel.resultLabel.text()
    assert np.isnan(columns(run.tableId)["liver ml"][1])


@pytest.mark.parametrize("gone", ["volume", "browser", "result", "scene"])
def test_what_is_deleted_meanwhile_ends_the_run_with_a_sentence(panel, cine, gone):
    import slicer

    from SegToolkitGui.scene.SequenceFrames import browserOf

    run = allFrames(panel, cine, "slow")
    panel.wait(lambda: len(run.results) == 1, what="the first frame")
    if gone == "scene":
        panel.application.closeScene()
    else:
        nodes = {"volume": cine, "browser": browserOf(cine), "result": panel.segmentation(run)}
        slicer.mrmlScene.RemoveNode(nodes[gone])
    panel.over(run)
    assert run.state.value == "failed"
    assert run.error.code in ("input-gone", "no-frame", "output-deleted", "volume-deleted")
    assert panel.resultLabel.text() or gone == "scene"


def test_scripts_segment_all_frames(panel, makeCt, cine):
    from SegToolkitGui.Errors import UserError

    run = panel.logic.process(cine, model="heart", allFrames=True, maps=["uncertainty"])
    assert len(run.results) == FRAMES
    assert len(run.ventricles) == 2
    single = makeCt("single")
    output, _ids = data.outline(cine, ("large organ",))
    for arguments, told in (
        ({"inputVolume": single}, "belongs to no sequence"),
        ({"inputVolume": [cine, single]}, "choose it alone"),
        ({"inputVolume": cine, "outputSegmentation": output}, "sequence of segmentations"),
    ):
        with pytest.raises(UserError, match=told):
            panel.logic.process(model="abdomen", allFrames=True, **arguments)


def test_frames_that_are_only_counted_have_no_second_column(panel, makeCt):
    import slicer

    volume = makeCine(makeCt)
    from SegToolkitGui.scene.SequenceFrames import browserOf, indexValues

    sequence = browserOf(volume).GetMasterSequenceNode()
    for number in range(FRAMES):
        sequence.UpdateIndexValue(str(40 * number), str(number))
    assert indexValues(volume) == ("", [])
    assert slicer.mrmlScene.GetNodeByID(sequence.GetID()) is sequence


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([2], "frame 3"),
        ([0, 1], "frames 1, 2"),
        ([0, 1, 2, 3, 8], "frames 1 to 4, 9"),
        ([5, 0], "frames 1, 6"),
    ],
)
def test_frames_are_named_as_people_count(panel, frames, text):
    from SegToolkitGui.autosegment.FramesText import named

    assert named(frames) == text


def test_a_panel_that_nobody_sees_does_not_follow_a_sequence(panel, cine, monkeypatch):
    panel.choose(cine)
    seen = []
    monkeypatch.setattr(panel.panel, "changed", lambda: seen.append(1))
    panel.widget.exit()
    showing(cine, 3)
    panel.application.processEvents(0.05)
    assert not seen
    panel.widget.enter()
    assert panel.frameSpin.value() == 4
    showing(cine, 0)
    assert seen
