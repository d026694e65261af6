"""The rows of modalities, and whether their voxels lie at the same places."""

from __future__ import annotations

import pytest
import SegToolkitTestData as data


def test_two_volumes_on_one_grid_are_fine(panel, images):
    assert panel.gridLabel.text() == "All on one grid of 96 x 80 x 12 voxels."
    assert not panel.resampleCheck.isVisible()
    assert panel.applyButton.isEnabled(), panel.told()


def test_apply_says_what_is_missing(panel):
    assert not panel.applyButton.isEnabled()
    assert panel.reasonLabel.text() == "Choose two or more volumes, one for each modality."
    assert panel.applyButton.toolTip() == panel.reasonLabel.text()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("FLAIR", "flair"), "Two images have the same modality name."),
        (("FLAIR", "fused"), "'fused' is the name of the map of all modalities"),
        (("FLAIR", ""), "Give each image the name of its modality"),
        (("T2", "ADC"), "needs FLAIR, T1c; there is no image FLAIR, T1c."),
    ],
)
def test_names_that_do_not_do_are_told(panel, images, names, told):
    for row, name in zip(panel.panel.images.rows, names, strict=True):
        row.name.setText(name)
        row.name.editingFinished.emit()
    panel.settle()
    assert told in panel.reasonLabel.text()


def test_the_same_volume_twice_is_told(panel, images):
    panel.choose(FLAIR=images["FLAIR"], T1c=images["FLAIR"])
    assert panel.reasonLabel.text() == "The same volume is chosen twice."


def test_transforms_count_for_the_grid(panel, images):
    moved = data.transformNode()
    images["T1c"].SetAndObserveTransformNodeID(moved.GetID())
    panel.settle()
    assert "T1c lies on other voxels than FLAIR" in panel.gridLabel.text()
    assert panel.resampleCheck.isVisible()
    assert panel.registrationButton.isVisible()
    assert "General Registration" in panel.reasonLabel.text()
    images["FLAIR"].SetAndObserveTransformNodeID(moved.GetID())
    panel.settle()
    assert "All on one grid" in panel.gridLabel.text()


def test_other_voxels_are_brought_onto_the_first_where_that_is_wanted(panel, images):
    matrix = data.slicer.util.arrayFromVTKMatrix(_matrix(images["T1c"]))
    matrix[0, 3] += 2.0
    images["T1c"].SetIJKToRASMatrix(data.slicer.util.vtkMatrixFromArray(matrix))
    panel.settle()
    assert "2 mm apart" in panel.gridLabel.text()
    assert not panel.applyButton.isEnabled()
    panel.resampleCheck.click()
    panel.settle()
    assert panel.applyButton.isEnabled(), panel.told()
    run = panel.press(panel.applyButton)
    assert run.error is None, run.error
    assert set(run.results[0].mapIds) == {"FLAIR", "T1c", "fused"}


def test_a_name_is_guessed_from_the_volume(panel):
    panel.chooseModel("balls")
    row = panel.panel.images.rows[0]
    row.volume.setCurrentNode(data.makeVolume("case7 FLAIR registered"))
    panel.settle()
    assert row.name.text() == "FLAIR"


def test_rows_come_and_go(panel, images):
    panel.addImageButton.click()
    panel.settle()
    assert len(panel.panel.images.rows) == 3
    assert panel.applyButton.isEnabled()  # an empty row does not count
    panel.removeImageButton.click()
    panel.settle()
    assert len(panel.panel.images.rows) == 2
    assert not panel.removeImageButton.isEnabled()


def test_a_deleted_volume_leaves_its_row(panel, images):
    data.slicer.mrmlScene.RemoveNode(images["T1c"])
    panel.settle()
    assert panel.panel.images.names() == ["FLAIR", "T1c"]
    assert panel.panel.images.volumes() == [images["FLAIR"], None]
    assert not panel.applyButton.isEnabled()


def test_the_module_for_registration_is_named_where_it_is_not_loaded(panel, images):
    images["T1c"].SetAndObserveTransformNodeID(data.transformNode().GetID())
    panel.settle()
    panel.registrationButton.click()
    panel.settle()
    assert "General Registration (BRAINS) is not loaded" in panel.resultLabel.text()


def _matrix(volume):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix
