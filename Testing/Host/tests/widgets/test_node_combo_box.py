"""The node combo boxes over a real scene."""

import gc

import pytest
import shiboken6

VOLUME = "vtkMRMLScalarVolumeNode"


def add(scene, name, className=VOLUME, **attributes):
    node = scene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(name)
    for key, value in attributes.items():
        node.SetAttribute(key, value)
    return scene.AddNode(node)


def shown(box):
    return [box.nodeFromIndex(i).GetName() for i in range(box.nodeCount())]


def test_is_disabled_without_a_scene_and_enabled_with_one(make, scene):
    box = make("qMRMLNodeComboBox", nodeTypes=[VOLUME])
    assert not box.isEnabled()
    box.setMRMLScene(scene)
    assert box.isEnabled()


@pytest.mark.parametrize(
    ("noneEnabled", "expected"), [(False, "one"), (True, None)], ids=["first node", "none stays"]
)
def test_what_is_selected_when_the_scene_is_set(make, scene, heard, noneEnabled, expected):
    add(scene, "one")
    add(scene, "two")
    box = make("qMRMLNodeComboBox", nodeTypes=[VOLUME], noneEnabled=noneEnabled)
    changes = heard(box.currentNodeChanged[object])
    flags = heard(box.currentNodeChanged[bool])
    box.setMRMLScene(scene)
    assert (box.currentNode().GetName() if expected else box.currentNode()) == expected
    assert changes == [(expected,)]
    assert flags == [(expected is not None,)]


@pytest.mark.parametrize(("menu", "expected"), [(False, "vtkMRMLScalarVolumeNode1"), (True, "")])
def test_a_first_node_that_comes_later_is_selected_where_there_are_no_menu_entries(
    make, scene, menu, expected
):
    box = make("qMRMLNodeComboBox", scene, nodeTypes=[VOLUME], addEnabled=menu, removeEnabled=menu)
    add(scene, "one")
    assert box.currentNodeID == expected


def test_a_node_chosen_before_the_scene_is_there_is_kept(make, scene):
    add(scene, "one")
    second = add(scene, "two")
    box = make("qMRMLNodeComboBox", nodeTypes=[VOLUME])
    box.setCurrentNodeID(second.GetID())
    box.setMRMLScene(scene)
    assert box.currentNode() is second


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, ["a", "b", "label"]),
        ({"showChildNodeTypes": False}, ["a", "b"]),
        ({"hideChildNodeTypes": ["vtkMRMLLabelMapVolumeNode"]}, ["a", "b"]),
        ({"showHidden": True}, ["a", "b", "label", "hidden"]),
        ({"nodeTypes": ["vtkMRMLModelNode"]}, ["model"]),
        ({"nodeTypes": ["vtkMRMLModelNode", VOLUME]}, ["a", "b", "label", "model"]),
    ],
)
def test_which_nodes_are_offered(make, scene, properties, expected):
    box = make("qMRMLNodeComboBox", scene, **{"nodeTypes": [VOLUME], **properties})
    add(scene, "a")
    add(scene, "b")
    add(scene, "label", "vtkMRMLLabelMapVolumeNode")
    add(scene, "model", "vtkMRMLModelNode")
    add(scene, "hidden").SetHideFromEditors(True)
    assert shown(box) == expected


@pytest.mark.parametrize(("value", "expected"), [(None, ["p", "q"]), ("1", ["p"]), ("", [])])
def test_attributes_choose_nodes(make, scene, value, expected):
    add(scene, "plain")
    add(scene, "p", role="1")
    add(scene, "q", role="2")
    box = make("qMRMLNodeComboBox", scene, nodeTypes=[VOLUME])
    box.addAttribute(VOLUME, "role", value)
    assert shown(box) == expected
    box.removeAttribute(VOLUME, "role")
    assert shown(box) == ["plain", "p", "q"]


def test_follows_names(make, scene, heard):
    node = add(scene, "one")
    box = make("qMRMLNodeComboBox", scene, nodeTypes=[VOLUME])
    changes = heard(box.currentNodeChanged[object])
    node.SetName("uno")
    assert box._combo.currentText() == "uno"
    assert changes == [("uno",)]  # the real one announces it too: it listens to the text


@pytest.mark.parametrize("menu", [True, False])
@pytest.mark.parametrize("noneEnabled", [True, False])
def test_another_node_is_selected_when_the_current_one_goes(make, scene, heard, noneEnabled, menu):
    first, second = add(scene, "one"), add(scene, "two")
    box = make(
        "qMRMLNodeComboBox",
        scene,
        nodeTypes=[VOLUME],
        noneEnabled=noneEnabled,
        addEnabled=menu,
        removeEnabled=menu,
    )
    box.setCurrentNode(first)
    changes, leaving = heard(box.currentNodeChanged[object]), heard(box.nodeAboutToBeRemoved)
    scene.RemoveNode(first)
    assert box.currentNode() is second
    assert (changes, leaving) == ([("two",)], [("one",)])
    scene.RemoveNode(second)
    assert box.currentNode() is None
    assert changes[-1] == (None,)


def test_an_emptied_scene_leaves_nothing(make, scene, heard):
    box = make("qMRMLNodeComboBox", scene, nodeTypes=[VOLUME], noneEnabled=True)
    box.setCurrentNode(add(scene, "one"))
    ids = heard(box.currentNodeIDChanged)
    scene.Clear(0)
    assert box.nodeCount() == 0
    assert box.currentNodeID == ""
    assert ids[-1] == ("",)


def test_the_user_adds_a_node_by_the_menu(make, scene, heard):
    box = make("qMRMLNodeComboBox", scene, nodeTypes=["vtkMRMLSegmentationNode"])
    box.baseName = "Result"
    byUser, byAction = heard(box.nodeAddedByUser), heard(box.nodeAddedByUserAction)
    row = next(r for r in range(box._combo.count()) if box._combo.itemText(r).startswith("Create new"))
    box.activateExtraItem(box._nodes.model.index(row, 0))
    assert box.currentNode().GetName() == "Result"
    assert byUser == byAction == [("Result",)]


def test_only_enabled_actions_are_in_the_menu(make, scene):
    box = make("qMRMLNodeComboBox", scene, nodeTypes=[VOLUME], removeEnabled=False, renameEnabled=True)
    texts = [text for text, action in box._nodes.after if action != "SEPARATOR"]
    assert [text.split()[0] for text in texts] == ["Rename", "Create", "Create"]


def test_checked_nodes_are_announced(make, scene, heard):
    first, second = add(scene, "one"), add(scene, "two")
    box = make("qMRMLCheckableNodeComboBox", scene, nodeTypes=[VOLUME])
    changes = heard(box.checkedNodesChanged)
    assert box.noneChecked()
    box.check(first)
    box.check(second)
    assert (box.checkedNodes(), box.allChecked(), len(changes)) == ([first, second], True, 2)
    scene.RemoveNode(first)
    assert box.checkedNodes() == [second]
    box.uncheck(second)
    assert box.uncheckedNodes() == [second]


def observers(
    scene, events=("NodeAddedEvent", "NodeAboutToBeRemovedEvent", "NodeRemovedEvent", "EndCloseEvent")
):
    import slicer

    return [bool(scene.HasObserver(getattr(slicer.vtkMRMLScene, event))) for event in events]


@pytest.mark.parametrize(
    "name", ["qMRMLNodeComboBox", "qMRMLCheckableNodeComboBox", "qMRMLListWidget", "qMRMLColorTableComboBox"]
)
def test_no_observer_is_left_when_the_widget_is_gone(application, scene, name):
    from host.widgets import CLASSES

    before = observers(scene)
    node = add(scene, "one")
    nodeBefore = bool(node.HasObserver("ModifiedEvent"))
    widget = CLASSES[name]()
    widget.setMRMLScene(scene)
    assert all(observers(scene))
    assert node.HasObserver("ModifiedEvent")
    shiboken6.delete(widget)
    gc.collect()
    assert observers(scene) == before
    assert bool(node.HasObserver("ModifiedEvent")) == nodeBefore
