"""The widgets of segments over a real segmentation."""

import gc

import numpy as np
import pytest
import shiboken6


def extent(node, segmentID):
    """Box of the voxels (i, j, k; first and last) of a segment, None if it is empty."""
    import slicer

    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segmentID, image)
    box = [0] * 6
    found = slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(image, box)
    return tuple(box) if found else None


@pytest.fixture
def editor(make, scene):
    import slicer

    widget = make("qMRMLSegmentEditorWidget", scene)
    widget.setMRMLSegmentEditorNode(scene.AddNode(slicer.vtkMRMLSegmentEditorNode()))
    return widget


@pytest.mark.parametrize(("noneEnabled", "expected"), [(False, "a"), (True, "")])
def test_the_selector_starts_with_the_first_segment_or_none(make, scene, segmentation, noneEnabled, expected):
    widget = make("qMRMLSegmentSelectorWidget", scene, noneEnabled=noneEnabled)
    widget.setCurrentNode(segmentation)
    assert widget.currentSegmentID() == expected


def test_the_selector_follows_the_segments(make, scene, segmentation, heard):
    widget = make("qMRMLSegmentSelectorWidget", scene)
    widget.setCurrentNode(segmentation)
    changes = heard(widget.currentSegmentChanged)
    widget.setCurrentSegmentID("b")
    segmentation.GetSegmentation().GetSegment("b").SetName("milt")
    assert widget._single.currentText() == "milt"
    segmentation.GetSegmentation().AddEmptySegment("c", "kidney")
    assert widget.currentSegmentID() == "b"
    segmentation.GetSegmentation().RemoveSegment("b")
    assert widget.currentSegmentID() == "a"
    assert changes == [("b",), ("a",)]


def test_both_overloads_tell_of_a_new_segmentation(make, scene, segmentation, heard):
    widget = make("qMRMLSegmentSelectorWidget", scene, noneEnabled=True)
    nodes, flags = heard(widget.currentNodeChanged[object]), heard(widget.currentNodeChanged[bool])
    widget.setCurrentNodeID(segmentation.GetID())
    assert (nodes, flags) == ([("Organs",)], [(True,)])
    assert widget.currentNodeID() == segmentation.GetID()


def test_several_segments_are_selected(make, scene, segmentation, heard):
    widget = make("qMRMLSegmentSelectorWidget", scene, multiSelection=True)
    widget.setCurrentNode(segmentation)
    changes = heard(widget.segmentSelectionChanged)
    widget.setSelectedSegmentIDs(["b", "nonsense"])
    assert widget.selectedSegmentIDs() == ["b"]
    widget._several.setCheckState(widget._several.model().index(0, 0), 2)
    assert widget.selectedSegmentIDs() == ["a", "b"]
    segmentation.GetSegmentation().RemoveSegment("b")
    assert widget.selectedSegmentIDs() == ["a"]
    assert changes[0] == (["b"],)
    assert widget.segmentIDs() == ["a"]


def test_the_wrong_kind_of_selection_gives_nothing(make, scene, segmentation):
    widget = make("qMRMLSegmentSelectorWidget", scene)
    widget.setCurrentNode(segmentation)
    assert widget.selectedSegmentIDs() == []
    widget.multiSelection = True
    assert widget.currentSegmentID() == ""


def test_the_table_shows_the_segments_and_their_order(make, scene, segmentation, heard):
    table = make("qMRMLSegmentsTableView", scene)
    table.setSegmentationNode(segmentation)
    assert table.displayedSegmentIDs() == ["a", "b"]
    changes = heard(table.selectionChanged)
    table.setSelectedSegmentIDs(["b"])
    assert table.selectedSegmentIDs() == ["b"]
    assert len(changes) == 1
    table.moveSelectedSegmentsUp()
    assert list(segmentation.GetSegmentation().GetSegmentIDs()) == ["b", "a"]
    assert (table.displayedSegmentIDs(), table.selectedSegmentIDs()) == (["b", "a"], ["b"])
    table.setHideSegments(["a"])
    assert (table.displayedSegmentIDs(), table.segmentCount) == (["b"], 1)


def test_the_table_hides_and_renames(make, scene, segmentation, heard):
    table = make("qMRMLSegmentsTableView", scene, textFilter="SPL")
    table.setSegmentationNode(segmentation)
    assert table.displayedSegmentIDs() == ["b"]
    table.setSelectedSegmentIDs(["b"])
    table.toggleSelectedSegmentsVisibility()
    assert not segmentation.GetDisplayNode().GetSegmentVisibility("b")
    about = heard(table.segmentAboutToBeModified)
    table.model().item(1, 3).setText("spleen 2")
    assert segmentation.GetSegmentation().GetSegment("b").GetName() == "spleen 2"
    assert about == [("b",)]


def test_the_editor_takes_the_reference_volume_and_the_first_segment(editor, segmentation, volume, heard):
    nodes, volumes = heard(editor.segmentationNodeChanged), heard(editor.sourceVolumeNodeChanged)
    editor.setSegmentationNode(segmentation)
    assert (editor.segmentationNode(), editor.sourceVolumeNode()) == (segmentation, volume)
    assert editor.currentSegmentID() == "a"
    assert (nodes, volumes) == ([("Organs",)], [("CT",)])


def test_the_editor_needs_its_own_node_first(make, scene, segmentation):
    widget = make("qMRMLSegmentEditorWidget", scene)
    widget.setSegmentationNode(segmentation)
    assert widget.segmentationNode() is not segmentation or widget.mrmlSegmentEditorNode() is None
    assert widget.sourceVolumeNode() is None


def test_segments_are_added_and_removed_by_the_buttons(editor, segmentation, heard):
    editor.setSegmentationNode(segmentation)
    changes = heard(editor.currentSegmentIDChanged)
    editor._panel.addButton.click()
    added = editor.currentSegmentID()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 3
    editor._panel.removeButton.click()
    assert editor.currentSegmentID() == "b"
    assert changes == [(added,), ("b",)]
    editor.undo()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 3


def test_painting_can_be_undone_and_redone(editor, segmentation, volume):
    from host.widgets import paint

    editor.setSegmentationNode(segmentation)
    mask = np.zeros((4, 5, 6))
    mask[1, 2, 3] = 1
    editor.saveStateForUndo()
    paint(segmentation, "a", mask, volume)
    assert extent(segmentation, "a") == (3, 3, 2, 2, 1, 1)
    editor.undo()
    assert extent(segmentation, "a") is None
    editor.redo()
    assert extent(segmentation, "a") == (3, 3, 2, 2, 1, 1)


def test_painting_elsewhere_leaves_the_other_segment_alone(segmentation, volume):
    from host.widgets import paint

    first, second = np.zeros((4, 5, 6)), np.zeros((4, 5, 6))
    first[0, 0, 0] = second[3, 4, 5] = 1
    paint(segmentation, "a", first, volume)
    paint(segmentation, "b", second, volume)
    paint(segmentation, "a", np.zeros((4, 5, 6)), volume)
    assert (extent(segmentation, "a"), extent(segmentation, "b")) == (None, (5, 5, 4, 4, 3, 3))


def test_a_mask_of_another_size_is_refused(segmentation, volume):
    from host.widgets import paint

    with pytest.raises(ValueError, match="voxels"):
        paint(segmentation, "a", np.ones((2, 2, 2)), volume)


def test_effects_follow_the_editor_node(editor, segmentation):
    editor.setSegmentationNode(segmentation)
    editor.setActiveEffectByName("Paint")
    assert editor.activeEffect().name == editor.mrmlSegmentEditorNode().GetActiveEffectName() == "Paint"
    editor.activeEffect().setParameter("BrushSphere", 1)
    assert editor.effectByName("Paint").parameter("BrushSphere") == "1"
    editor.setSegmentationNode(None)
    assert editor.activeEffect() is None
    editor.setEffectNameOrder(["Erase", "Paint"])
    editor.unorderedEffectsVisible = False
    assert [editor.effectByIndex(i).name for i in range(editor.effectCount())] == ["Erase", "Paint"]


def test_keyboard_shortcuts_come_and_go(editor, segmentation):
    editor.setSegmentationNode(segmentation)
    editor.installKeyboardShortcuts()
    keys = {s.key().toString(): s for s in editor._shortcuts}
    keys["W"].activated.emit()
    assert editor.currentSegmentID() == "b"
    editor.uninstallKeyboardShortcuts()
    assert editor._shortcuts == []


def test_an_emptied_scene_empties_the_editor(editor, scene, segmentation):
    editor.setSegmentationNode(segmentation)
    scene.Clear(0)
    assert editor.segmentationNode() is None
    assert editor._panel.table.displayedSegmentIDs() == []


def test_the_3d_button_makes_and_removes_surfaces(make, segmentation, volume):
    from host.widgets import paint

    mask = np.zeros((4, 5, 6))
    mask[1:3, 1:4, 1:5] = 1
    paint(segmentation, "a", mask, volume)
    button = make("qMRMLSegmentationShow3DButton")
    assert not button.isEnabled()
    button.setSegmentationNode(segmentation)
    assert button.isEnabled()
    button.setChecked(True)
    assert segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    button.setChecked(False)
    assert not segmentation.GetSegmentation().ContainsRepresentation("Closed surface")


@pytest.mark.parametrize(
    ("name", "attach"),
    [
        ("qMRMLSegmentSelectorWidget", "setCurrentNode"),
        ("qMRMLSegmentsTableView", "setSegmentationNode"),
        ("qMRMLSegmentationShow3DButton", "setSegmentationNode"),
    ],
)
def test_no_observer_of_the_segmentation_is_left(application, scene, segmentation, name, attach):
    from slicer import vtkSegmentation

    from host.widgets import CLASSES

    before = bool(segmentation.HasObserver(vtkSegmentation.SegmentAdded))
    widget = CLASSES[name]()
    if hasattr(widget, "setMRMLScene"):
        widget.setMRMLScene(scene)
    getattr(widget, attach)(segmentation)
    assert segmentation.HasObserver(vtkSegmentation.SegmentAdded)
    shiboken6.delete(widget)
    gc.collect()
    assert bool(segmentation.HasObserver(vtkSegmentation.SegmentAdded)) == before
