"""What a newcomer does in the first minutes, and where the panel has to answer beside the button."""

from __future__ import annotations

import SegToolkitTestData as data
import slicer


def test_a_segment_that_is_made_in_the_editor_counts_without_being_ticked(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume)
    panel.choose(volume, segmentation, list(ids.values()))
    new = segmentation.GetSegmentation().AddEmptySegment("", "vessel")
    panel.application.processEvents(0.2)
    panel.settle()
    assert list(panel.panel.parameters.supportSegmentIds) == [*ids.values(), new]


def test_segments_that_were_there_before_are_not_ticked(panel):
    volume = data.makeVolume()
    segmentation, _ids = data.outline(volume, ("large organ", "small organ"))
    panel.choose(volume, segmentation, [])
    panel.settle()
    assert list(panel.panel.parameters.supportSegmentIds) == []


def test_adding_an_empty_slice_is_told_beside_the_button_until_it_is_mended(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume)
    panel.choose(volume, segmentation, list(ids.values()))
    panel.showSlice(volume, 8)
    panel.addSupportButton.click()
    panel.settle()
    assert "Nothing is outlined on slice 8" in panel.supportReasonLabel.text()
    assert not panel.supportReasonLabel.isHidden()
    assert "Nothing is outlined" not in panel.resultLabel.text()
    panel.addSlice(volume, 5)
    assert panel.supportReasonLabel.text() == ""


def test_the_next_slice_of_another_patient_is_not_painted_into_the_first_ones_outlines(panel, patient):
    volume, segmentation, _ids = patient
    other = data.makeVolume("other")
    panel.queryVolumeSelector.setCurrentNode(other)
    panel.settle()
    panel.apply()
    assert panel.nextSliceButton.isEnabled(), panel.told()
    panel.nextSliceButton.click()
    panel.settle()
    assert panel.panel.parameters.supportVolume is other
    assert panel.panel.parameters.supportSegmentation is not segmentation
    del volume


def test_a_preview_keeps_the_suggested_slice_and_stays_in_the_range(panel, patient):
    volume, _segmentation, _ids = patient
    panel.apply()
    suggested = panel.panel.running.next
    assert suggested is not None
    panel.showSlice(volume, 7)
    panel.preview()
    assert panel.panel.running.next == suggested
    panel.rangeCombo.setCurrentIndex(1)
    panel.settle()
    panel.panel.parameters.firstSlice, panel.panel.parameters.lastSlice = 0, 6
    panel.settle()
    before = panel.runner.run
    panel.previewButton.click()
    panel.settle()
    assert panel.runner.run is before
    assert "outside the range" in panel.resultLabel.text()


def test_a_torch_that_does_not_work_is_not_offered_to_be_installed_again(panel, monkeypatch):
    monkeypatch.setattr(panel.session, "environmentProblem", "PyTorch cannot be imported.")
    panel.settle()
    assert "cannot be imported" in panel.setupLabel.text()
    assert panel.installButton.isHidden()
    assert not panel.applyButton.isEnabled()


def test_an_example_without_a_slice_is_refused_in_a_sentence(panel):
    import pytest

    from SegToolkitGui.Errors import UserError

    volume = data.makeVolume()
    segmentation, _ids = data.outline(volume)
    with pytest.raises(UserError, match="sliceIndex"):
        panel.logic.example(volume, segmentation)
    assert slicer.mrmlScene.GetNodeByID(volume.GetID()) is volume


def test_few_shot_models_of_one_title_are_told_apart(panel):
    models = panel.session.models
    starter = models[0]
    before = panel.modelCombo.itemText(0)
    try:
        panel.session.models = [*models, {**starter, "name": "later-run", "origin": "user"}]
        panel.settle()
        texts = [panel.modelCombo.itemText(row) for row in range(panel.modelCombo.count())]
        assert texts == [f"{before} ({starter['name']})", f"{before} (later-run)"]
        panel.modelCombo.setCurrentIndex(1)
        panel.settle()
        assert panel.modelSection.text().endswith("(later-run)")
        assert "Name: later-run\n" in panel.modelCard.toPlainText()
        panel.session.models = models  # the other is gone: nothing is left to be told apart
        panel.settle()
        assert panel.modelCombo.itemText(0) == before
    finally:
        panel.session.models = models
        panel.panel.model.take(starter["name"])
        panel.settle()
