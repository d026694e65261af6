"""The panel from its opening to its result, by its widgets, on a made-up volume."""

from __future__ import annotations

import numpy as np
import SegToolkitTestData as data
import slicer


def test_an_empty_scene_says_what_to_do_first(panel):
    assert not panel.applyButton.isEnabled()
    assert not panel.previewButton.isEnabled()
    assert "Outline" in panel.reasonLabel.text()
    assert panel.applyButton.toolTip() == panel.reasonLabel.text()
    assert "Choose the volume" in panel.supportReasonLabel.text()


def test_reasons_lead_to_apply_step_by_step(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume)
    panel.supportVolumeSelector.setCurrentNode(volume)
    panel.settle()
    assert "does not cut" in panel.supportReasonLabel.text()
    panel.alignButton.click()
    panel.settle()
    assert "segmentation" in panel.supportReasonLabel.text()
    panel.supportSegmentSelector.setCurrentNode(segmentation)
    panel.settle()
    assert "Tick" in panel.supportReasonLabel.text()
    panel.supportSegmentSelector.setSelectedSegmentIDs(list(ids.values()))
    panel.showSlice(volume, 5)
    assert panel.supportReasonLabel.text() == ""
    assert panel.sliceLabel.text() == "axial, slice 5 (0 to 11)"
    panel.addSupportButton.click()
    panel.settle()
    assert panel.supportTable.rowCount() == 1
    assert panel.supportTable.item(0, 1).text() == "axial 5"
    assert int(panel.supportTable.item(0, 3).text()) == data.organMask("large organ")[5].sum()
    assert panel.reasonLabel.text() == ""
    assert panel.applyButton.isEnabled()


def test_a_slice_without_an_outline_is_refused(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume)
    panel.choose(volume, segmentation, list(ids.values()))
    panel.addSlice(volume, 9)
    assert panel.supportTable.rowCount() == 0
    assert "Nothing is outlined on slice 9" in panel.supportReasonLabel.text()


def test_apply_finds_the_organ_and_finishes_the_result(panel, patient):
    volume, segmentation, ids = patient
    segment = segmentation.GetSegmentation().GetSegment(ids["large organ"])
    segment.SetColor(0.2, 0.6, 0.3)
    entry = (
        "Segmentation category and type - DICOM master list~SCT^123037004^Anatomical Structure"
        "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
    )
    segment.SetTerminology(entry)
    run = panel.apply()
    assert run.state.value == "done", panel.told()
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    found = data.maskOf(result, run.results[0].segmentIds["large organ"], volume)
    assert data.dice(found, data.organMask("large organ")) > 0.7
    new = result.GetSegmentation().GetSegment(run.results[0].segmentIds["large organ"])
    assert new.GetName() == "large organ"
    assert np.allclose(new.GetColor(), (0.2, 0.6, 0.3))
    assert new.GetTerminology() == entry
    assert result.GetDisplayNode() is not None
    assert "large organ" in panel.resultLabel.text()
    assert panel.nextSliceButton.isEnabled() == (run.results[0].nextSlice is not None)


def test_the_outlined_slice_comes_back_as_drawn(panel, patient):
    volume, segmentation, ids = patient
    run = panel.apply()
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    found = data.maskOf(result, run.results[0].segmentIds["large organ"], volume)
    drawn = data.maskOf(segmentation, ids["large organ"], volume)
    assert np.array_equal(found[5], drawn[5])


def test_several_structures_are_found_at_once_and_one_can_be_left_out(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume, ("large organ", "small organ"))
    panel.choose(volume, segmentation, list(ids.values()))
    panel.addSlice(volume, 5)
    run = panel.apply()
    assert sorted(run.results[0].segmentIds) == ["large organ", "small organ"]
    from PySide6.QtCore import Qt

    panel.structureList.item(0).setCheckState(Qt.CheckState.Unchecked)
    panel.settle()
    assert sorted(panel.apply().results[0].segmentIds) == ["small organ"]


def test_preview_shows_the_slice_of_the_view_and_leaves_no_trace_after_apply(panel, patient):
    volume, _segmentation, _ids = patient
    panel.showSlice(volume, 7)
    run = panel.preview()
    assert run.state.value == "done", panel.told()
    node = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    assert not node.GetSaveWithScene()
    found = data.maskOf(node, run.results[0].segmentIds["large organ"], volume)
    assert found[7].any()
    assert not np.delete(found, 7, axis=0).any()
    assert not panel.undoButton.isEnabled()
    panel.apply()
    assert panel.runner.previewNode() is None


def test_a_slice_range_limits_the_search(panel, patient):
    volume, _segmentation, _ids = patient
    panel.rangeCombo.setCurrentIndex(1)
    panel.settle()
    panel.showSlice(volume, 3)
    panel.firstFromViewButton.click()
    panel.showSlice(volume, 6)
    panel.lastFromViewButton.click()
    panel.settle()
    assert panel.range() == (3, 6)
    run = panel.apply()
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    found = data.maskOf(result, run.results[0].segmentIds["large organ"], volume)
    assert found[3:7].any()
    assert not found[:3].any()
    assert not found[7:].any()


def test_another_patient_is_found_too(panel, patient):
    other = data.makeVolume("other", kind="oblique", seed=4)
    panel.queryVolumeSelector.setCurrentNode(other)
    run = panel.apply()
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    found = data.maskOf(result, run.results[0].segmentIds["large organ"], other)
    assert data.dice(found, data.organMask("large organ")) > 0.6


def test_several_volumes_in_one_run(panel, patient):
    volume, _segmentation, _ids = patient
    others = [data.makeVolume(f"patient {n}", seed=n) for n in (2, 3)]
    panel.queryVolumeSelector.setCurrentNode(volume)
    from PySide6.QtCore import Qt

    for node in others:
        panel.moreQueriesSelector.setCheckState(node, Qt.CheckState.Checked)
    panel.settle()
    assert not panel.rangeCombo.isEnabled()
    run = panel.apply()
    assert [one.volumeId for one in run.results] == [volume.GetID(), *(node.GetID() for node in others)]
    assert len({one.segmentationId for one in run.results}) == 3
    assert "3 volumes" in panel.resultLabel.text()


def test_confidence_comes_as_a_volume(panel, patient):
    volume, _segmentation, _ids = patient
    panel.confidenceCheck.setChecked(True)
    run = panel.apply()
    node = slicer.mrmlScene.GetNodeByID(run.results[0].confidenceId)
    values = slicer.util.arrayFromVolume(node)
    assert values.shape == slicer.util.arrayFromVolume(volume).shape
    assert values.min() >= 0
    assert 0.5 < values.max() <= 1


def test_next_slice_jumps_the_view(panel, patient):
    volume, _segmentation, _ids = patient
    run = panel.apply()
    index = run.results[0].nextSlice
    assert index is not None
    panel.showSlice(volume, 0)
    panel.nextSliceButton.click()
    panel.settle()
    assert panel.sliceLabel.text().startswith(f"axial, slice {index} (")


def test_draw_makes_a_segment_and_opens_the_editor(panel):
    volume = data.makeVolume()
    panel.supportVolumeSelector.setCurrentNode(volume)
    panel.settle()
    panel.drawButton.click()
    panel.settle()
    segmentation = panel.panel.parameters.supportSegmentation
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1
    role = segmentation.GetReferenceImageGeometryReferenceRole()
    assert segmentation.GetNodeReferenceID(role) == volume.GetID()
    assert not panel.editorSection.property("collapsed")
    assert panel.segmentEditor.segmentationNode() is segmentation
    assert panel.segmentEditor.sourceVolumeNode() is volume
    assert "Tick" not in panel.supportReasonLabel.text()
