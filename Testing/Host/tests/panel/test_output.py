"""Where results go, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data
import slicer


def contents(segmentation, volume):
    """Name, colour and voxels of every segment."""
    segments = segmentation.GetSegmentation()
    return [
        (
            segments.GetSegment(one).GetName(),
            segments.GetSegment(one).GetColor(),
            data.maskOf(segmentation, one, volume).tobytes(),
        )
        for one in segments.GetSegmentIDs()
    ]


@pytest.fixture
def target(panel, patient):
    """A segmentation with a large organ that is wrong and a neighbour that overlaps it."""
    volume, _segmentation, _ids = patient
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "target")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name, box in (("large organ", np.s_[8:10, 2:12, 2:12]), ("neighbour", np.s_[3:9, 20:60, 20:60])):
        mask = np.zeros(tuple(reversed(data.SIZE)), np.uint8)
        mask[box] = 1
        one = node.GetSegmentation().AddEmptySegment("", name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, one, volume)
    panel.outputSelector.setCurrentNode(node)
    panel.settle()
    return node


@pytest.mark.parametrize(("mode", "names"), [(0, 3), (1, 2), (2, 2)])
def test_other_segments_are_never_changed_and_undo_is_one_step(panel, patient, target, mode, names):
    volume = patient[0]
    panel.outputModeCombo.setCurrentIndex(mode)
    before = contents(target, volume)
    run = panel.apply()
    assert run.state.value == "done", panel.told()
    after = contents(target, volume)
    assert len(after) == names
    assert next(one for one in after if one[0] == "neighbour") == before[1]
    old = np.frombuffer(before[0][2], bool)
    new = data.maskOf(target, run.results[0].segmentIds["large organ"], volume).ravel()
    # add: a segment of its own; replace: the old content is gone; merge: it is still there
    assert new[old].all() == (mode == 2)
    assert panel.undoButton.isEnabled()
    panel.undoButton.click()
    panel.settle()
    assert contents(target, volume) == before


def test_undo_of_a_new_segmentation_removes_it(panel, patient):
    run = panel.apply()
    panel.undoButton.click()
    panel.settle()
    assert slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId) is None
    assert not panel.undoButton.isEnabled()


def test_undo_is_refused_after_later_edits(panel, patient, target):
    volume = patient[0]
    run = panel.apply()
    segmentId = run.results[0].segmentIds["large organ"]
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        np.ones(tuple(reversed(data.SIZE)), np.uint8), target, segmentId, volume
    )
    panel.settle()
    assert not panel.undoButton.isEnabled()
    assert "changed" in panel.undoButton.toolTip()


def test_replace_within_a_range_keeps_the_other_slices(panel, patient, target):
    volume = patient[0]
    panel.outputModeCombo.setCurrentIndex(1)
    panel.rangeCombo.setCurrentIndex(1)
    panel.settle()
    panel.sliceRangeWidget.setValues(3, 6)
    run = panel.apply()
    found = data.maskOf(target, run.results[0].segmentIds["large organ"], volume)
    assert found[8:10, 2:12, 2:12].all()
    assert found[4].sum() > 100


def test_support_examples_travel_as_a_zip(panel, patient, tmp_path):
    _volume, segmentation, ids = patient
    segmentation.GetSegmentation().GetSegment(ids["large organ"]).SetColor(0.1, 0.9, 0.4)
    path = tmp_path / "Beispiele für alle.zip"
    panel.panel.support.exportZip(str(path))
    panel.wait(lambda: panel.panel.support.zip is None, what="the export")
    panel.settle()
    assert path.is_file(), panel.told()
    panel.application.closeScene()
    panel.settle()
    panel.panel.support.importZip(str(path))
    panel.wait(lambda: panel.panel.support.zip is None, what="the import")
    panel.settle()
    examples = panel.panel.supports.items()
    assert len(examples) == 1, panel.told()
    (example,) = examples
    assert (example.axis, example.index) == (2, 5)
    assert example.structureNames() == ["large organ"]
    loaded = example.segmentation.GetSegmentation().GetSegment(example.segmentIds[0])
    assert np.allclose(loaded.GetColor(), (0.1, 0.9, 0.4), atol=0.005)
    assert data.maskOf(example.segmentation, example.segmentIds[0], example.volume)[5].any()
    other = data.makeVolume("other", seed=8)
    panel.queryVolumeSelector.setCurrentNode(other)
    run = panel.apply()
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    found = data.maskOf(result, run.results[0].segmentIds["large organ"], other)
    assert data.dice(found, data.organMask("large organ")) > 0.6


def test_a_broken_zip_is_told(panel, tmp_path):
    path = tmp_path / "broken.zip"
    path.write_bytes(b"no zip at all")
    panel.panel.support.importZip(str(path))
    panel.wait(lambda: panel.panel.support.zip is None, what="the import")
    panel.settle()
    assert "zip" in panel.resultLabel.text().lower()
    assert panel.supportTable.rowCount() == 0


def test_console_process_blocks_and_gives_results(panel, patient):
    volume, segmentation, ids = patient
    events = []
    example = panel.logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
    run = panel.logic.process(volume, [example], keepLargest=True, eventCallback=events.append)
    assert run.state.value == "done"
    assert {event["t"] for event in events} >= {"progress"}
    assert run.results[0].segmentationId


def test_console_process_without_waiting(panel, patient):
    volume, segmentation, ids = patient
    example = panel.logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
    run = panel.logic.process(volume, [example], waitForCompletion=False)
    assert not run.over
    ended = []
    run.finished.connect(ended.append)
    panel.wait(lambda: run.over, what="the end")
    assert ended == [run]


def test_an_unknown_model_is_told_in_a_sentence(panel, patient):
    from SegToolkitGui.Errors import UserError

    with pytest.raises(UserError, match="model"):
        panel.logic.process(patient[0], model="no-such-model")


def test_a_deleted_output_does_not_lead_to_its_neighbour(panel, target):
    slicer.mrmlScene.RemoveNode(target)
    panel.settle()
    assert panel.panel.parameters.outputSegmentation is None
    assert panel.outputSelector.currentNode() is None  # and not the outlines of the example


@pytest.mark.parametrize(
    ("name", "selector"),
    [
        ("supportVolume", "supportVolumeSelector"),
        ("supportSegmentation", "supportSegmentSelector"),
        ("queryVolume", "queryVolumeSelector"),
    ],
)
def test_a_deleted_input_does_not_lead_to_its_neighbour(panel, patient, name, selector):
    data.outline(data.makeVolume("another patient"))
    panel.settle()
    slicer.mrmlScene.RemoveNode(getattr(panel.panel.parameters, name))
    panel.settle()
    assert getattr(panel.panel.parameters, name) is None
    assert getattr(panel, selector).currentNode() is None


def test_several_volumes_want_no_output_and_no_range(panel, target, patient):
    """However several volumes come about: their widgets are locked."""
    from PySide6.QtCore import Qt

    first, second = patient[0], data.makeVolume("second")
    panel.moreQueriesSelector.setCheckState(first, Qt.CheckState.Checked)  # the query itself: one volume
    panel.settle()
    panel.outputSelector.setCurrentNode(target)
    panel.panel.parameters.sliceRange = True
    panel.settle()
    assert panel.outputSelector.isEnabled()
    panel.queryVolumeSelector.setCurrentNode(second)
    panel.settle()
    assert not panel.outputSelector.isEnabled()
    assert panel.panel.parameters.outputSegmentation is None
    assert not panel.panel.parameters.sliceRange
    assert panel.reasonLabel.text() == ""
    assert panel.applyButton.isEnabled()
