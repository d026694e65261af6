"""Tags of slices: keys, ranges, the view, the scene, files."""

from __future__ import annotations

import pytest
import SegToolkitTestData as data
import slicer


def tags(panel, volume):
    return panel.logic.tags(volume)


def key(panel, number=0):
    """Press Space (0) or Shift+Space (1)."""
    panel.panel.tags._shortcuts[number].activated.emit()
    panel.settle()


def view(panel):
    from SegToolkitGui.scene.ViewSlice import sliceWidget

    return sliceWidget("Red").mrmlSliceNode()


def test_space_tags_the_slice_and_goes_on(panel, images):
    panel.panel.tags.show(3)
    key(panel)
    key(panel)
    key(panel, 1)
    assert tags(panel, images["FLAIR"]) == {3: True, 4: True, 5: False}
    assert panel.panel.tags.table.selected == [6]
    assert panel.panel.tags.view.index == 6


def test_space_takes_visible_back(panel, images):
    panel.panel.tags.show(3)
    key(panel)
    panel.panel.tags.show(3)
    key(panel)
    assert tags(panel, images["FLAIR"]) == {3: False}


def test_keys_work_in_the_window_and_only_while_the_panel_is_shown(application, panel, images):
    shortcuts = panel.panel.tags._shortcuts
    assert [str(one.key().toString()) for one in shortcuts] == ["Space", "Shift+Space"]
    assert all(one.isEnabled() for one in shortcuts)
    application.leaveModule()
    assert not any(one.isEnabled() for one in shortcuts)
    application.showModule("SegToolkitWeakSupervision")
    assert all(one.isEnabled() for one in shortcuts)


@pytest.mark.parametrize(
    ("button", "expected"), [("visibleButton", True), ("notVisibleButton", False), ("clearTagButton", None)]
)
def test_a_range_is_tagged_at_once(panel, images, button, expected):
    panel.logic.setTags(images["FLAIR"], {5: True})
    panel.settle()
    panel.select(panel.tagTable, 4, 5, 6)
    getattr(panel, button).click()
    panel.settle()
    wanted = {} if expected is None else dict.fromkeys((4, 5, 6), expected)
    assert tags(panel, images["FLAIR"]) == wanted
    assert panel.panel.tags.table.selected == [4, 5, 6]


def test_space_tags_a_range(panel, images):
    panel.select(panel.tagTable, 2, 3, 4)
    key(panel)
    assert tags(panel, images["FLAIR"]) == {2: True, 3: True, 4: True}
    assert panel.panel.tags.table.selected == [5]


def test_the_view_follows_the_table_and_the_table_the_view(panel, images):
    panel.select(panel.tagTable, 7)
    assert panel.panel.tags.view.index == 7
    from SegToolkitGui.scene import ViewSlice

    ViewSlice.showSlice(view(panel), images["FLAIR"], 2, 2)  # as if somebody scrolled
    assert panel.panel.tags.table.selected == [2]
    assert panel.tagTable.currentRow() == 2


def test_a_view_of_another_plane_is_turned_by_a_row(panel, images):
    panel.viewCombo.setCurrentIndex(1)
    panel.settle()
    assert panel.panel.tags.view.index == -1
    assert "Select a row to turn the view to axial slices." in panel.tagLabel.text()
    panel.select(panel.tagTable, 7)
    assert panel.panel.tags.view.index == 7


def test_slices_are_those_across_the_coarsest_axis(panel):
    sagittal = data.makeVolume("FLAIR", kind="sagittal")
    voxels = slicer.util.arrayFromVolume(sagittal)
    turned = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "turned")
    slicer.util.updateVolumeFromArray(turned, voxels.transpose(2, 1, 0).copy())  # slices lie along i now
    turned.SetSpacing(7.0, 1.8, 1.8)
    panel.choose(FLAIR=turned, T1c=sagittal)
    assert panel.tagTable.rowCount() == 12
    panel.select(panel.tagTable, 5)
    assert panel.panel.tags.view.index == 5


def test_a_line_says_what_is_tagged_and_what_is_needed(panel, images):
    panel.panel.tags.show(0)
    panel.settle()
    assert panel.tagLabel.text().startswith("0 of 12 slices tagged")
    assert "both kinds" in panel.tagLabel.text()
    panel.logic.setTags(images["FLAIR"], {1: True, 2: True})
    panel.settle()
    assert panel.tagLabel.text() == (
        "2 of 12 slices tagged: 2 visible, 0 not visible."
        " Training needs slices in which the object is not visible as well."
    )
    panel.logic.setTags(images["FLAIR"], {0: False})
    panel.settle()
    assert panel.tagLabel.text() == "3 of 12 slices tagged: 2 visible, 1 not visible."


def test_changes_are_undone_and_done_again(panel, images):
    volume = images["FLAIR"]
    assert not panel.undoTagButton.isEnabled()
    panel.panel.tags.show(3)
    key(panel)
    key(panel)
    panel.undoTagButton.click()
    panel.settle()
    assert tags(panel, volume) == {3: True}
    panel.undoTagButton.click()
    panel.settle()
    assert tags(panel, volume) == {}
    assert not panel.undoTagButton.isEnabled()
    panel.redoTagButton.click()
    panel.settle()
    assert tags(panel, volume) == {3: True}


def test_tags_are_saved_and_loaded_with_the_scene(panel, images, tmp_path):
    panel.logic.setTags(images["FLAIR"], {3: True, 4: False})
    for node in [*images.values(), *slicer.util.getNodesByClass("vtkMRMLTableNode")]:
        node.AddDefaultStorageNode()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    panel.application.closeScene()
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode")
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.settle()
    volume = slicer.util.getNode("anna FLAIR")
    assert panel.logic.tags(volume) == {3: True, 4: False}
    assert panel.panel.images.names() == ["FLAIR", "T1c"]
    assert panel.panel.images.volumes()[0] is volume
    assert panel.column(panel.tagTable, 1)[3:5] == ["visible", "not visible"]


def test_the_table_node_tells_slices_and_tags(panel, images):
    from SegToolkitGui.weak import SliceTags

    panel.logic.setTags(images["FLAIR"], {3: True, 4: False})
    node = SliceTags.tableOf(images["FLAIR"])
    table = node.GetTable()
    assert [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == ["slice", "visible"]
    assert [table.GetColumn(1).GetValue(row) for row in (2, 3, 4)] == ["", "1", "0"]
    assert node.GetName() == "anna FLAIR tags"


def test_files_have_the_form_of_the_library(panel, images, tmp_path):
    panel.logic.setTags(images["FLAIR"], {0: False, 1: False, 3: True, 4: True, 5: True})
    from SegToolkitGui.weak import TagCsv

    file = tmp_path / "tags.csv"
    TagCsv.save(str(file), "anna FLAIR", panel.panel.tags.tags())
    assert file.read_text(encoding="utf-8") == "case,slice,visible\nanna FLAIR,0-1,0\nanna FLAIR,3-5,1\n"
    from SegToolkitLib.methods.cmer.tags import from_csv

    assert from_csv(file, {"anna FLAIR": 12})["anna FLAIR"] == panel.panel.tags.tags()
    before = panel.panel.tags.tags()
    panel.logic.setTags(images["FLAIR"], {}, replace=True)
    panel.panel.tags.load(str(file))
    assert panel.panel.tags.tags() == before
    assert panel.panel.tags.history.can(images["FLAIR"])[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("case;slice;visible\nother;2;yes\n", {2: True}),
        ("visible,slice,case,remark\n1,2-4,anna FLAIR,x\n1,9,bert,\n", {2: True, 3: True, 4: True}),
        ("case,slice,visible\nanna FLAIR,2,\n", {}),
    ],
)
def test_files_of_others_are_read(panel, images, tmp_path, text, expected):
    (tmp_path / "tags.csv").write_text(text, encoding="utf-8")
    panel.panel.tags.load(str(tmp_path / "tags.csv"))
    assert tags(panel, images["FLAIR"]) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n", "there is no column case, slice, visible"),
        ("case,slice,visible\nx,12,1\n", "there are no slices 12. Slices are numbered from 0 to 11."),
        ("case,slice,visible\nx,three,1\n", "line 2: 'three' is neither a slice nor a range"),
        ("case,slice,visible\nx,1,maybe\n", "'maybe' says neither"),
        ("case,slice,visible\nx,1,1\ny,1,1\n", "Its cases are x, y."),
    ],
)
def test_files_that_cannot_be_understood_are_told(panel, images, tmp_path, text, told):
    from SegToolkitGui.Errors import UserError

    (tmp_path / "tags.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        panel.panel.tags.load(str(tmp_path / "tags.csv"))
    assert told in str(error.value)
    assert tags(panel, images["FLAIR"]) == {}


@pytest.mark.parametrize("wrong", [{12: True}, {-1: True}, {"three": True}, [1, 2]])
def test_a_script_is_told_what_is_wrong(panel, images, wrong):
    from SegToolkitGui.Errors import UserError

    with pytest.raises(UserError):
        panel.logic.setTags(images["FLAIR"], wrong)
    assert tags(panel, images["FLAIR"]) == {}
