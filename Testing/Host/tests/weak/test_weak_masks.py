"""Masks of maps, their review, and data sets of tags and of accepted masks."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SegToolkitTestData as data
import SimpleITK as sitk
import slicer

SEGMENT_EDITOR = Path(__file__).with_name("modules") / "SegmentEditor.py"


@pytest.fixture
def masked(panel, mapped):
    """A mask of the maps, made without looking for edges."""
    parameters = panel.parameters
    parameters.smoothing, parameters.smallest, parameters.supported = "none", 0.0, False
    panel.mapCombo.setCurrentIndex(2)
    panel.settle()
    for name in ("FLAIR", "T1c"):
        from SegToolkitGui.weak import MapNodes

        node = panel.panel.maps.maps()[name]
        values = slicer.util.arrayFromVolume(node)
        values[:] = np.where(data.organMask("large organ"), 0.9, 0.1)
        slicer.util.arrayFromVolumeModified(node)
        MapNodes.setThreshold(node, 0.5)
    run = panel.press(panel.refineButton)
    assert run.error is None, run.error
    return mapped


def mask(panel, volume):
    node = panel.parameters.outputSegmentation
    return data.maskOf(node, node.GetSegmentation().GetNthSegmentID(0), volume)


def test_a_mask_is_finished(panel, masked):
    from SegToolkitGui.scene.Appearance import appearanceOf

    node = panel.parameters.outputSegmentation
    segment = node.GetSegmentation().GetNthSegment(0)
    assert segment.GetName() == "Lesion"
    assert "SCT^52988006^Lesion" in appearanceOf(segment)["terminology"]
    role = node.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReferenceID(role) == masked["FLAIR"].GetID()
    assert np.array_equal(mask(panel, masked["FLAIR"]), data.organMask("large organ"))
    assert "voxels in" in panel.resultLabel.text()
    panel.undoButton.click()
    panel.settle()
    assert node.GetScene() is None
    assert panel.parameters.outputSegmentation is None


def test_tags_and_settings_reach_the_library(panel, masked):
    panel.logic.setTags(masked["FLAIR"], {4: False, 5: True})
    panel.structureCombo.setCurrentText("Tumour")
    panel.settle()
    run = panel.press(panel.refineButton)
    assert run.error is None, run.error
    node = panel.parameters.outputSegmentation
    names = [one.GetName() for one in map(node.GetSegmentation().GetNthSegment, range(2))]
    assert names == ["Lesion", "Tumour"]
    found = data.maskOf(node, node.GetSegmentation().GetNthSegmentID(1), masked["FLAIR"])
    wanted = data.organMask("large organ")
    wanted[4] = False
    assert np.array_equal(found, wanted)
    assert run.results[0].slices[4]["after"] == 0 < run.results[0].slices[4]["before"]


def test_no_mask_without_maps(panel, images):
    assert not panel.refineButton.isEnabled()
    assert "no maps" in panel.refineButton.toolTip()


def test_a_script_makes_a_mask(panel, masked):
    from SegToolkitGui.Errors import UserError

    run = panel.logic.refine(
        masked, thresholds=0.95, structure="Prostate", smoothing="none", smallest_ml=0.0, supported=False
    )
    assert run.results[0].after == 0
    assert run.results[0].segmentationId == ""
    with pytest.raises(UserError) as error:
        panel.logic.refine(masked, smoothin="none")
    assert "smoothing" in str(error.value)
    with pytest.raises(UserError):
        panel.logic.refine(masked, thresholds={"T2": 0.5})


def test_slices_are_accepted_and_taken_back(panel, masked):
    rows = [int(one) for one in panel.column(panel.reviewTable, 0)]
    assert rows == np.flatnonzero(data.organMask("large organ").any(axis=(1, 2))).tolist()
    counts = [int(one) for one in panel.column(panel.reviewTable, 1)]
    assert sum(counts) == data.organMask("large organ").sum()
    panel.select(panel.reviewTable, 1, 2)
    assert panel.panel.tags.view.index == rows[2]
    panel.settle()
    panel.acceptSlicesButton.click()
    panel.settle()
    node = panel.parameters.outputSegmentation
    assert panel.logic.accepted(node) == rows[1:3]
    assert panel.column(panel.reviewTable, 3)[:3] == ["", "accepted", "accepted"]
    panel.select(panel.reviewTable, 1)
    panel.settle()
    panel.acceptSlicesButton.click()
    panel.settle()
    assert panel.logic.accepted(node.GetID()) == [rows[2]]
    panel.acceptAllButton.click()
    panel.settle()
    assert panel.logic.accepted(node) == rows


def test_visible_slices_that_the_mask_misses_are_listed(panel, masked):
    """What was tagged visible and has no mask is what a person has to look at first."""
    rows = [int(one) for one in panel.column(panel.reviewTable, 0)]
    missed, absent = sorted(set(range(12)) - set(rows))[:2]
    panel.logic.setTags(masked["FLAIR"], {missed: True, absent: False, rows[0]: True})
    panel.settle()
    assert [int(one) for one in panel.column(panel.reviewTable, 0)] == sorted([*rows, missed])
    row = sorted([*rows, missed]).index(missed)
    assert panel.column(panel.reviewTable, 1)[row] == "0"
    assert "the mask is empty" in panel.reviewTable.item(row, 1).toolTip()
    assert f"Tagged visible, but without a mask: {missed}." in panel.reviewLabel.text()
    panel.acceptAllButton.click()  # which nobody has looked at
    panel.settle()
    assert panel.logic.accepted(panel.parameters.outputSegmentation) == rows
    panel.select(panel.reviewTable, row)
    panel.settle()
    panel.acceptSlicesButton.click()
    panel.settle()
    assert missed in panel.logic.accepted(panel.parameters.outputSegmentation)
    assert "without a mask" not in panel.reviewLabel.text()


def test_visible_slices_are_listed_though_all_of_the_mask_was_erased(panel, masked):
    node = panel.parameters.outputSegmentation
    panel.logic.setTags(masked["FLAIR"], {4: True, 6: False})
    nothing = np.zeros_like(data.organMask("large organ"), np.uint8)
    segmentId = node.GetSegmentation().GetNthSegmentID(0)
    slicer.util.updateSegmentBinaryLabelmapFromArray(nothing, node, segmentId, masked["FLAIR"])
    panel.application.processEvents(0.2)
    panel.settle()
    assert panel.column(panel.reviewTable, 0) == ["4"]
    assert "has no mask on the voxels" in panel.reviewLabel.text()
    assert not panel.acceptAllButton.isEnabled()


def test_slices_are_sent_back_to_the_tags(panel, masked):
    panel.logic.setTags(masked["FLAIR"], {4: True, 5: True})
    panel.acceptAllButton.click()
    panel.settle()
    row = panel.column(panel.reviewTable, 0).index("4")
    panel.select(panel.reviewTable, row)
    panel.settle()
    panel.backToTagsButton.click()
    panel.settle()
    assert panel.logic.tags(masked["FLAIR"]) == {5: True}
    assert 4 not in panel.logic.accepted(panel.parameters.outputSegmentation)
    assert panel.panel.tags.table.selected == [4]


def test_a_slice_is_edited_in_the_segment_editor(panel, masked):
    node = panel.parameters.outputSegmentation
    panel.select(panel.reviewTable, 2)
    panel.settle()
    if getattr(slicer.modules, "segmenteditor", None) is None:
        panel.editSliceButton.click()
        panel.settle()
        assert "Segment Editor is not loaded" in panel.resultLabel.text()
        panel.application.loadModule(SEGMENT_EDITOR)
    panel.editSliceButton.click()
    panel.application.processEvents(0.05)
    editor = slicer.util.getModuleWidget("SegmentEditor").editor
    assert editor.segmentationNode() is node
    assert editor.sourceVolumeNode() is masked["FLAIR"]
    panel.application.showModule("SegToolkitWeakSupervision")


def test_a_patient_is_collected_with_tags(panel, images, tmp_path):
    panel.datasetEdit.setText(str(tmp_path / "set"))
    panel.datasetEdit.editingFinished.emit()
    panel.settle()
    assert panel.collectButton.toolTip() == "Tag slices first."
    panel.logic.setTags(images["FLAIR"], {0: False, 4: True, 5: True})
    run = panel.press(panel.collectButton)
    assert run.error is None, run.error
    described = json.loads((tmp_path / "set" / "dataset.json").read_text(encoding="utf-8"))
    assert list(described["channel_names"].values()) == ["FLAIR", "T1c"]
    with (tmp_path / "set" / "tags.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["slice"], row["visible"]) for row in csv.DictReader(file)]
    assert rows == [("0", "0"), ("4-5", "1")]
    panel.wait(lambda: panel.panel.dataset.facts, 120, "what the data set holds")
    panel.settle()
    assert panel.datasetLabel.text() == "Patients in the data set: 1; with tags: 1."
    panel.press(panel.collectButton)  # another patient is added
    assert len(list((tmp_path / "set").glob("images*/*"))) == 4


@pytest.mark.parametrize("others", ["background", "left"])
def test_accepted_slices_become_a_data_set(panel, masked, tmp_path, others):
    node = panel.parameters.outputSegmentation
    panel.logic.accept(node, [3, 4, 7])
    panel.parameters.others = others
    panel.settle()
    assert ("left out" in panel.othersLabel.text()) == (others == "left")
    panel.panel.review.export(str(tmp_path / "masks"))
    panel.over(panel.runner.run)
    assert panel.runner.run.error is None, panel.runner.run.error
    labels = sorted((tmp_path / "masks" / "labelsTr").iterdir())
    arrays = [sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in labels]
    truth = data.organMask("large organ")
    if others == "background":
        wanted = truth.copy()
        wanted[[one for one in range(12) if one not in (3, 4, 7)]] = False
        assert len(arrays) == 1
        assert np.array_equal(arrays[0] > 0, wanted)
        return
    assert sorted(len(one) for one in arrays) == [1, 2]
    parts = {len(one): one for one in arrays}
    assert np.array_equal(parts[2] > 0, truth[3:5])
    assert np.array_equal(parts[1] > 0, truth[7:8])
    image = sitk.ReadImage(str(next((tmp_path / "masks" / "imagesTr").glob("*_0000.nii.gz"))))
    assert image.GetSize()[:2] == data.SIZE[:2]


def test_only_what_is_known_is_taught_unless_the_person_wants_more(panel, masked, tmp_path):
    """Slices that were not accepted are no background, but those that are tagged as not visible are."""
    node = panel.parameters.outputSegmentation
    panel.logic.setTags(masked["FLAIR"], {5: False, 6: True, 10: False})
    panel.logic.accept(node, [3, 4])
    panel.settle()
    assert panel.othersCombo.currentText() == "Left out"
    panel.panel.review.export(str(tmp_path / "panel"))
    panel.over(panel.runner.run)
    assert panel.runner.run.error is None, panel.runner.run.error
    panel.logic.exportMasks(masked, node, tmp_path / "script")
    truth = data.organMask("large organ")
    for name in ("panel", "script"):
        labels = [sitk.ReadImage(str(file)) for file in (tmp_path / name / "labelsTr").iterdir()]
        parts = {len(one): one > 0 for one in map(sitk.GetArrayFromImage, labels)}
        assert sorted(parts) == [1, 3]  # slices 3 to 5, and 10
        assert np.array_equal(parts[3][:2], truth[3:5])
        assert not parts[3][2].any()
        assert truth[5].any()
        assert not parts[1].any()


def test_ranges_of_neighbours():
    sys.path.append(str(Path(__file__).parents[4] / "SegToolkit"))
    from SegToolkitGui.weak.CollectRun import neighbours

    assert neighbours([9, 3, 4, 5]) == [(3, 5), (9, 9)]
    assert neighbours([2]) == [(2, 2)]
    assert neighbours([]) == []
