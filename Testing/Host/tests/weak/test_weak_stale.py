"""What was made of something that is another thing by now: told, or taken back, and never taken for it."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data
import slicer
import vtk


def redrawn(node, change):
    """Change a volume's voxels."""
    values = slicer.util.arrayFromVolume(node)
    change(values)
    slicer.util.arrayFromVolumeModified(node)


def brighter(values):
    values += 5


def turn(panel):
    """Let events happen; nobody refreshes the panel from outside."""
    panel.application.processEvents(0.15)


# Maps


def test_maps_of_images_as_they_are_are_not_doubted(panel, mapped):
    assert not panel.mapsHintLabel.isVisible()


def changeVoxels(images):
    redrawn(images["T1c"], brighter)


def changeGrid(images):
    slicer.util.updateVolumeFromArray(images["FLAIR"], np.ones((9, 80, 96), np.int16))
    slicer.util.updateVolumeFromArray(images["T1c"], np.ones((9, 80, 96), np.int16))


def moveAway(images):
    transform = vtk.vtkMatrix4x4()
    images["FLAIR"].GetIJKToRASMatrix(transform)
    transform.SetElement(0, 3, transform.GetElement(0, 3) + 30)
    for image in images.values():
        image.SetIJKToRASMatrix(transform)


@pytest.mark.parametrize(
    ("change", "told", "useful"),
    [
        (changeVoxels, "anna T1c was changed after the maps were made", True),
        (changeGrid, "anna FLAIR has other voxels than its maps", False),
        (moveAway, "anna FLAIR has other voxels than its maps", False),
    ],
)
def test_maps_of_images_that_were_changed_are_told(panel, mapped, change, told, useful):
    change(mapped)
    turn(panel)
    assert told in panel.mapsHintLabel.text()
    assert panel.mapsHintLabel.isVisible()
    assert panel.refineButton.isEnabled() == useful
    assert useful or told in panel.refineButton.toolTip()
    assert useful or panel.panel.maps.preview.node is None
    run = panel.press(panel.applyButton)
    assert run.error is None, run.error
    assert not panel.mapsHintLabel.isVisible()
    assert panel.refineButton.isEnabled()


def test_an_image_changed_while_the_maps_are_made_is_told(panel, images):
    run = panel.begin(panel.applyButton)
    panel.wait(lambda: run.state.value == "running", 60, "the worker")
    redrawn(images["FLAIR"], brighter)
    panel.over(run)
    assert run.error is None, run.error
    assert "anna FLAIR was changed" in panel.mapsHintLabel.text()


def test_maps_of_other_images_are_told(panel, mapped):
    panel.choose(FLAIR=mapped["FLAIR"], T1c=data.makeVolume("bert T1c", seed=3))
    assert "made of other images" in panel.mapsHintLabel.text()
    panel.choose(FLAIR=mapped["FLAIR"], T1c=mapped["T1c"])
    assert not panel.mapsHintLabel.isVisible()


def test_a_saved_scene_knows_what_its_maps_were_made_of(panel, mapped, tmp_path):
    kinds = ("vtkMRMLVolumeNode", "vtkMRMLTableNode")
    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
        if any(node.IsA(kind) for kind in kinds):
            node.AddDefaultStorageNode()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    panel.application.closeScene()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.settle()
    assert panel.panel.maps.maps()
    assert not panel.mapsHintLabel.isVisible(), panel.mapsHintLabel.text()
    redrawn(slicer.util.getNode("anna T1c"), brighter)
    turn(panel)
    assert "anna T1c was changed" in panel.mapsHintLabel.text()


def test_a_threshold_moved_meanwhile_counts_for_the_next_mask(panel, easy):
    panel.logic.setTags(easy["FLAIR"], {})
    wanted = panel.panel.maps.thresholds()
    run = panel.begin(panel.refineButton)
    for node in panel.panel.maps.maps().values():
        from SegToolkitGui.weak import MapNodes

        MapNodes.setThreshold(node, 0.99)
    panel.over(run)
    assert run.settings.thresholds == wanted
    assert run.results[0].after == data.organMask("large organ").sum()


@pytest.mark.parametrize("which", [["FLAIR"], ["fused"], ["FLAIR", "T1c"]])
def test_a_mask_of_the_maps_that_are_left(panel, easy, which):
    for name in which:
        slicer.mrmlScene.RemoveNode(panel.panel.maps.maps()[name])
    panel.settle()
    assert panel.refineButton.isEnabled() or panel.refineButton.toolTip()
    if panel.refineButton.isEnabled():
        run = panel.press(panel.refineButton)
        assert run.error is None, run.error
        assert run.results[0].after == data.organMask("large organ").sum()


def test_a_deleted_mask_does_not_lead_to_its_neighbour(panel, easy):
    other = data.outline(easy["FLAIR"])[0]
    panel.press(panel.refineButton)
    mine = panel.parameters.outputSegmentation
    assert mine is not other
    slicer.mrmlScene.RemoveNode(mine)
    panel.settle()
    assert panel.parameters.outputSegmentation is None
    assert panel.maskSelector.currentNode() is None


# Masks and what was accepted


def test_slices_that_are_not_there_are_not_accepted(panel, easy):
    from SegToolkitGui.Errors import UserError

    panel.press(panel.refineButton)
    node = panel.parameters.outputSegmentation
    for wrong in ([-1], [4, 12]):
        with pytest.raises(UserError, match="numbered from 0 to 11"):
            panel.logic.accept(node, wrong)
    assert panel.logic.accepted(node) == []


@pytest.mark.parametrize("others", ["background", "left"])
def test_accepted_slices_that_an_exchanged_image_lacks_do_not_count(panel, easy, tmp_path, others):
    from SegToolkitGui.weak import Review

    panel.press(panel.refineButton)
    Review.setAccepted(panel.parameters.outputSegmentation, [4, 99])
    panel.parameters.others = others
    panel.settle()
    panel.panel.review.export(str(tmp_path / others))
    run = panel.over(panel.runner.run)
    assert run.error is None, run.error
    assert len(list((tmp_path / others / "labelsTr").iterdir())) == 1


def test_accepted_slices_without_a_mask_are_told(panel, easy, tmp_path):
    panel.press(panel.refineButton)
    node = panel.parameters.outputSegmentation
    panel.logic.accept(node, [0])
    panel.settle()
    panel.panel.review.export(str(tmp_path / "masks"))
    run = panel.over(panel.runner.run)
    assert run.error.code == "no-mask"
    assert "no mask in the slices that were accepted" in panel.resultLabel.text()
    assert not (tmp_path / "masks").exists()
    panel.logic.accept(node, [4])  # beside another one, an empty slice is an example of "nothing there"
    panel.parameters.others = "left"
    panel.settle()
    panel.panel.review.export(str(tmp_path / "masks"))
    run = panel.over(panel.runner.run)
    assert run.error is None, run.error
    assert len(run.cases) == 2


def test_a_mask_made_again_is_to_be_accepted_again(panel, easy):
    panel.press(panel.refineButton)
    node = panel.parameters.outputSegmentation
    panel.acceptAllButton.click()
    panel.settle()
    before = panel.logic.accepted(node)
    panel.press(panel.refineButton)
    assert panel.logic.accepted(node) == before  # the same mask

    def more(values):
        values[4, :20, :20] = 0.9

    for one in panel.panel.maps.maps().values():
        redrawn(one, more)
    panel.settle()
    panel.press(panel.refineButton)
    assert panel.logic.accepted(node) == [one for one in before if one != 4]
    assert "Accepted slices that have another mask now: 1." in panel.resultLabel.text()
    panel.undoButton.click()
    panel.settle()
    assert panel.logic.accepted(node) == before


def test_a_segmentation_of_other_voxels_is_not_asked_for_again(panel, mapped):
    other = data.outline(data.makeVolume("other", kind="oblique"))[0]
    other.SetName("outlines")
    panel.maskSelector.setCurrentNode(other)
    panel.logic.setTags(mapped["FLAIR"], {3: True})  # whether something is outlined there is not known
    panel.settle()
    assert panel.reviewLabel.text() == "outlines has no mask on the voxels of anna FLAIR."
    assert panel.reviewTable.rowCount() == 0


def test_a_mask_that_a_script_changes_is_counted_anew(panel, easy):
    panel.press(panel.refineButton)
    node = panel.parameters.outputSegmentation
    rows = panel.reviewTable.rowCount()
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    from SegToolkitGui.scene import LabelLayers

    LabelLayers.voxels(image)[0] = 0
    image.GetPointData().GetScalars().Modified()
    image.Modified()
    node.GetSegmentation().Modified()
    node.GetSegmentation().InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)
    turn(panel)
    assert panel.reviewTable.rowCount() == rows - 1


# Tables


def test_tags_that_a_script_sets_are_shown_at_once(panel, images):
    panel.logic.setTags(images["FLAIR"], {1: True})
    turn(panel)
    panel.logic.setTags(images["FLAIR"], {3: True})
    turn(panel)
    assert panel.column(panel.tagTable, 1)[:5] == ["", "visible", "", "visible", ""]


def handmade(node, numbers, texts):
    table = vtk.vtkTable()
    for array, name in ((numbers, "slice"), (texts, "visible")):
        array.SetName(name)
        table.AddColumn(array)
    node.SetAndObserveTable(table)


def array(kind, *values):
    made = kind()
    for value in values:
        made.InsertNextValue(value)
    return made


@pytest.mark.parametrize(
    ("numbers", "texts", "wanted"),
    [
        (array(vtk.vtkDoubleArray, 1.0, 2.0, 2.5), array(vtk.vtkIntArray, 1, 0, 1), {1: True, 2: False}),
        (array(vtk.vtkStringArray, "1", "\u00b2", "99", "-1"), array(vtk.vtkStringArray, *"1111"), {1: True}),
        (array(vtk.vtkIntArray, 1, 2), array(vtk.vtkStringArray, "yes", "perhaps"), {1: True}),
    ],
)
def test_tags_written_by_hand_are_read_as_far_as_they_are_tags(panel, images, numbers, texts, wanted):
    from SegToolkitGui.weak import SliceTags

    panel.logic.setTags(images["FLAIR"], {0: True})
    handmade(SliceTags.tableOf(images["FLAIR"]), numbers, texts)
    turn(panel)
    assert panel.logic.tags(images["FLAIR"]) == wanted
    assert [n for n, one in enumerate(panel.column(panel.tagTable, 1)) if one] == list(wanted)


def test_a_deleted_table_of_tags_leaves_none(panel, images):
    from SegToolkitGui.weak import SliceTags

    panel.panel.tags.show(3)
    panel.visibleButton.click()
    panel.settle()
    slicer.mrmlScene.RemoveNode(SliceTags.tableOf(images["FLAIR"]))
    turn(panel)
    assert not any(panel.column(panel.tagTable, 1))
    assert panel.undoTagButton.isEnabled()
    panel.undoTagButton.click()
    panel.settle()
    assert panel.logic.tags(images["FLAIR"]) == {}
