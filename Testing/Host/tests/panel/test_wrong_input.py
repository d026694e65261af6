"""Scenes, volumes, names and arguments that nobody should have given, and what is said about them."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data
import slicer

from host import problems

NOT_EXAMPLES = (
    "5",
    "null",
    '[{"uid": 1, "segments": 5, "axis": "x", "index": null}]',
    '[{"uid": "1", "segments": ["a"], "axis": 7, "index": 3}]',
    '[{"uid": ["1"], "segments": ["a"], "axis": 2, "index": 3}]',
    '[{"uid": "1", "segments": [1], "axis": 2, "index": 1e9}]',
    '[{"uid": "1", "segments": ["a"], "axis": 2, "index": 3, "frame": "x"}]',
)


def makeVolume(spacing=data.SPACING, voxels=None, name="odd"):
    """A volume with these voxels [k, j, i] and this spacing."""
    node = data.makeVolume(name)
    if voxels is not None:
        slicer.util.updateVolumeFromArray(node, voxels)
    matrix = np.eye(4)
    matrix[:3, :3] = data.directions() * np.array(spacing)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


@pytest.mark.parametrize("text", NOT_EXAMPLES)
def test_examples_that_cannot_be_read_are_left_out(panel, patient, text):
    volume = patient[0]
    panel.logic.parameterNodeOfScene().SetParameter("SupportExamples", text)
    panel.settle()
    assert panel.supportTable.rowCount() == 0
    assert not panel.applyButton.isEnabled()
    panel.addSlice(volume, 5)
    assert panel.supportTable.rowCount() == 1


@pytest.mark.parametrize(("name", "text"), [("firstSlice", "abc"), ("leftOut_len", "many")])
def test_choices_that_cannot_be_read_are_reset_and_examples_stay(panel, patient, name, text):
    panel.keepLargestCheck.setChecked(True)
    panel.settle()
    panel.logic.parameterNodeOfScene().SetParameter(name, text)
    problems.take("slot")  # the wrapper's own observer, which reads at once
    panel.widget.life.takeScene()
    problems.take("slot")
    panel.settle()
    assert panel.supportTable.rowCount() == 1
    assert not panel.keepLargestCheck.isChecked()
    panel.queryVolumeSelector.setCurrentNode(patient[0])
    panel.settle()
    assert panel.applyButton.isEnabled(), panel.told()


def test_an_example_whose_frame_is_gone_says_so(panel, patient):
    node = panel.logic.parameterNodeOfScene()
    text = node.GetParameter("SupportExamples")
    node.SetParameter("SupportExamples", text.replace('"frame": null', '"frame": 4'))
    panel.settle()
    assert "Frame 4" in panel.reasonLabel.text()
    assert "Frame 4" in panel.supportTable.item(0, 0).toolTip()


def test_an_example_beyond_a_cropped_volume_says_so(panel, patient):
    volume = patient[0]
    slicer.util.updateVolumeFromArray(volume, slicer.util.arrayFromVolume(volume)[:3].copy())
    panel.settle()
    assert not panel.applyButton.isEnabled()
    assert "no slice 5" in panel.reasonLabel.text()


def test_a_range_of_a_volume_without_image_cannot_be_chosen(panel, patient):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    panel.queryVolumeSelector.setCurrentNode(empty)
    panel.settle()
    assert "no image" in panel.reasonLabel.text()
    panel.rangeCombo.setCurrentIndex(1)
    panel.settle()
    assert panel.rangeCombo.currentIndex() == 0


@pytest.mark.parametrize("spacing", [(1.8, 0, 7), (0, 0, 0)])
def test_voxels_without_size_are_told(panel, spacing):
    volume = makeVolume(spacing)
    panel.supportVolumeSelector.setCurrentNode(volume)
    panel.settle()
    assert "no size" in panel.supportReasonLabel.text()
    panel.alignButton.click()
    panel.settle()
    assert not panel.addSupportButton.isEnabled()


def test_a_transform_that_flattens_is_told(panel, patient):
    volume, segmentation, _ids = patient
    flat = data.transformNode(scale=0)
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(flat.GetID())
    panel.settle()
    assert "no size" in panel.supportReasonLabel.text()
    panel.supportTable.selectRow(0)
    panel.settle()
    panel.jumpButton.click()
    panel.alignButton.click()


@pytest.mark.parametrize("value", [7, np.nan])
def test_failures_name_the_volume_and_not_our_file(panel, patient, value):
    voxels = np.full(tuple(reversed(data.SIZE)), value, np.float32)
    panel.queryVolumeSelector.setCurrentNode(makeVolume(voxels=voxels, name="all the same"))
    run = panel.apply()
    assert run.state.value == "failed"
    assert "all the same" in str(run.error)
    assert ".nrrd" not in str(run.error)


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_names_that_the_worker_refuses_are_told_before(panel, patient, name):
    _volume, segmentation, ids = patient
    segmentation.GetSegmentation().GetSegment(ids["large organ"]).SetName(name)
    panel.settle()
    assert not panel.applyButton.isEnabled()
    assert "rename" in panel.reasonLabel.text()


def test_names_are_shown_as_they_are(panel, patient):
    from PySide6.QtCore import Qt

    _volume, segmentation, ids = patient
    name = "<b>bold</b> {x} %s\nnext"
    segmentation.GetSegmentation().GetSegment(ids["large organ"]).SetName(name)
    run = panel.apply()
    assert list(run.results[0].segmentIds) == [name]
    assert name in panel.resultLabel.text()
    for label in (panel.resultLabel, panel.reasonLabel, panel.supportReasonLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText


def test_a_device_that_is_gone_is_not_asked_for(panel, patient):
    panel.session.machine.device = "cuda:5"
    run = panel.apply()
    assert run.settings.device == "auto"
    assert run.state.value == "done", panel.told()


def test_a_model_that_is_gone_is_not_asked_for_by_scripts(panel, patient):
    volume, segmentation, ids = patient
    before, panel.session.machine.model = panel.session.machine.model, "was removed"
    try:
        example = panel.logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
        assert panel.logic.process(volume, [example]).state.value == "done"
    finally:
        panel.session.machine.model = before


WRONG = {
    "no volume": ("inputVolume", lambda call: call(inputVolume=None)),
    "a name": ("inputVolume", lambda call: call(inputVolume="patient")),
    "a list with a number": ("inputVolume", lambda call: call(inputVolume=[5])),
    "no examples": ("supports", lambda call: call(supports=["x"])),
    "output": ("outputSegmentation", lambda call: call(outputSegmentation="x")),
    "model": ("model", lambda call: call(model=5)),
    "device": ("device", lambda call: call(device=7)),
    "one slice": ("slices", lambda call: call(slices=5)),
    "half a slice": ("slices", lambda call: call(slices=(2.5, 8))),
    "letters": ("slices", lambda call: call(slices=("a", "b"))),
    "structures": ("structures", lambda call: call(structures=[3])),
    "callback": ("eventCallback", lambda call: call(eventCallback=5)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_told_in_a_sentence(panel, patient, case):
    from SegToolkitGui.Errors import UserError

    volume, segmentation, ids = patient
    example = panel.logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
    before = panel.runner.run

    def call(**arguments):
        panel.logic.process(**{"inputVolume": volume, "supports": [example], **arguments})

    argument, mistake = WRONG[case]
    with pytest.raises(UserError, match=argument):
        mistake(call)
    assert panel.runner.run is before


@pytest.mark.parametrize(
    "change",
    [
        {"volume": None},
        {"volume": "patient"},
        {"segmentation": None},
        {"segmentIds": [3]},
        {"sliceIndex": None},
        {"sliceIndex": 5.5},
        {"axis": 5},
        {"axis": -1},
    ],
    ids=str,
)
def test_wrong_examples_are_told_in_a_sentence(panel, patient, change):
    from SegToolkitGui.Errors import UserError

    volume, segmentation, ids = patient
    right = {
        "volume": volume,
        "segmentation": segmentation,
        "segmentIds": list(ids.values()),
        "sliceIndex": 5,
    }
    with pytest.raises(UserError, match=next(iter(change))):
        panel.logic.example(**{**right, **change})


def test_numpy_numbers_and_single_things_are_taken(panel, patient):
    volume, segmentation, ids = patient
    example = panel.logic.example(volume, segmentation, ids["large organ"], sliceIndex=np.int64(5))
    run = panel.logic.process(
        (volume,),
        example,
        slices=(np.int64(2), np.int16(8)),
        structures="large organ",
        keepLargest=np.bool_(True),
    )
    assert run.state.value == "done"
