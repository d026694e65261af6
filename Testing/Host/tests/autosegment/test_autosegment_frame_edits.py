"""Runs over all frames whose results a person touches: corrections are not taken back unasked."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data
from test_autosegment_frames import allFrames, cine, columns, showing  # noqa: F401 (cine is a fixture)


def correct(panel, run, volume, frame):
    """Draw another liver in a frame."""
    import slicer

    node, segmentId = panel.segmentation(run), run.results[0].segmentIds["liver"]
    showing(volume, frame)
    mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    mask[3, 4:8, 4:8] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segmentId, volume)
    return node, segmentId, mask.astype(bool)


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("frame", [0, 2])
def test_undo_does_not_take_a_correction_of_a_frame_back(panel, cine, frame, away):  # noqa: F811
    run = panel.over(allFrames(panel, cine))
    node, segmentId, mask = correct(panel, run, cine, frame)
    if away:
        showing(cine, 1)
    panel.panel.refresh()
    panel.settle()
    assert not panel.undoButton.isEnabled()
    assert "was changed after the run" in panel.undoButton.toolTip()
    with pytest.raises(Exception, match="undo would lose that"):
        panel.runner.undo()
    showing(cine, frame)
    assert np.array_equal(data.maskOf(node, segmentId, cine), mask)


def rename(node, segmentId):
    node.GetSegmentation().GetSegment(segmentId).SetName("tumour")


def remove(node, segmentId):
    node.GetSegmentation().RemoveSegment(segmentId)


def colour(node, segmentId):
    node.GetSegmentation().GetSegment(segmentId).SetColor(0.1, 0.2, 0.3)


@pytest.mark.parametrize("edit", [rename, remove, colour])
def test_names_colours_and_the_list_of_segments_count_as_well(panel, cine, edit):  # noqa: F811
    run = panel.over(allFrames(panel, cine))
    edit(panel.segmentation(run), run.results[0].segmentIds["liver"])
    showing(cine, 3)
    showing(cine, 0)
    assert not panel.runner.undoStack.canUndo()[0]


def test_looking_at_frames_and_showing_them_in_3d_is_no_correction(panel, cine):  # noqa: F811
    run = panel.over(allFrames(panel, cine))
    node = panel.segmentation(run)
    for frame in (0, 3, 1, 2):
        showing(cine, frame)
        node.CreateClosedSurfaceRepresentation()
        assert panel.runner.undoStack.canUndo() == (True, ""), frame
    node.RemoveClosedSurfaceRepresentation()
    panel.panel.refresh()
    panel.undoButton.click()
    panel.settle()
    assert panel.brought("Segmentation", "Table", "Sequence") == ["cine"]


def test_a_correction_in_a_frame_of_a_cancelled_run_counts_too(panel, cine):  # noqa: F811
    run = allFrames(panel, cine, "slow")
    panel.wait(lambda: len(run.results) == 1, what="the first frame")
    run.cancel()
    panel.settle()
    showing(cine, 3)
    showing(cine, 1)
    assert panel.runner.undoStack.canUndo()[0], "frames without a result, shown empty"
    correct(panel, run, cine, 0)
    assert not panel.runner.undoStack.canUndo()[0]


def test_what_was_corrected_and_put_back_can_be_undone(panel, cine):  # noqa: F811
    import slicer

    run = panel.over(allFrames(panel, cine))
    showing(cine, 2)
    node, segmentId = panel.segmentation(run), run.results[0].segmentIds["liver"]
    before = data.maskOf(node, segmentId, cine)
    correct(panel, run, cine, 2)
    slicer.util.updateSegmentBinaryLabelmapFromArray(before.astype(np.uint8), node, segmentId, cine)
    showing(cine, 0)
    assert panel.runner.undoStack.canUndo()[0]


@pytest.mark.parametrize("gone", ["sequence", "segmentation"])
def test_what_was_deleted_does_not_stand_in_the_way(panel, cine, gone):  # noqa: F811
    import slicer

    run = panel.over(allFrames(panel, cine))
    node, _segmentId, _mask = correct(panel, run, cine, 2)
    if gone == "sequence":
        for one in slicer.util.getNodesByClass("vtkMRMLSequenceNode"):
            if one.GetDataNodeClassName() == "vtkMRMLSegmentationNode":
                slicer.mrmlScene.RemoveNode(one)
        slicer.mrmlScene.RemoveNode(node)
        assert panel.runner.undoStack.canUndo()[0]
    else:
        slicer.mrmlScene.RemoveNode(node)
        assert not panel.runner.undoStack.canUndo()[0], "the corrections are in the sequence still"


@pytest.mark.parametrize("gone", [("table",), ("table", "chart"), ("chart",)])
def test_a_table_that_is_deleted_meanwhile_leaves_one_chart_at_most(panel, cine, gone):  # noqa: F811
    import slicer

    def count(kind):
        return len(slicer.util.getNodesByClass(f"vtkMRML{kind}Node"))

    kinds = ("Table", "PlotChart", "PlotSeries")
    before = [count(kind) for kind in kinds]
    run = allFrames(panel, cine, "slow")
    panel.wait(lambda: len(run.results) == 1, what="the first frame")
    ids = {"table": run.curve.tableId, "chart": run.curve.chartId}
    for name in gone:
        slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetNodeByID(ids[name]))
    panel.over(run)
    assert run.state.value == "done"
    made = [count(kind) - was for kind, was in zip(kinds, before, strict=True)]
    assert made == [1, 0 if gone == ("chart",) else 1, len(run.curve.ml)]
    assert not np.isnan(columns(run.curve.tableId)["liver ml"]).any()
    panel.panel.refresh()
    panel.undoButton.click()
    panel.settle()
    assert [count(kind) for kind in kinds] == before
