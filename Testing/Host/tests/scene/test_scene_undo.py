"""Undo of runs: what comes back, when it is refused."""

import numpy as np
import pytest
import slicer
from result_cases import MATRIX, NEW, SURFACE, content, existing, imported, labelsOf, moved
from scene_nodes import (
    BINARY,
    blob,
    workerResult,
)

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene.Undo import UndoStack


@pytest.mark.parametrize("mode", ["new", "add", "replace", "merge"])
@pytest.mark.parametrize("surfaces", [False, True])
def test_undo_restores_everything_as_one_step(made, scene, tmp_path, mode, surfaces):
    volume = made.volume(matrix=MATRIX)
    _masks, node = existing(made, True, volume)
    node.GetSegmentation().GetSegment("liver").SetColor(0.1, 0.2, 0.3)
    if surfaces:
        node.CreateClosedSurfaceRepresentation()
    before, nodes = content(node), scene.GetNumberOfNodes()
    stack = UndoStack()
    assert stack.canUndo()[0] is False
    stack.remember(None if mode == "new" else node)
    result = workerResult(tmp_path, labelsOf(NEW, moved(-1) & ~NEW), MATRIX, ["liver", "fresh"])
    work = imported(result, volume, mode, None if mode == "new" else node)
    stack.finish(work.segmentationNode)
    assert content(work.segmentationNode) != before
    assert stack.canUndo() == (True, "")
    assert stack.undo()
    assert content(node) == before
    assert node.GetSegmentation().ContainsRepresentation(SURFACE) == surfaces
    assert scene.GetNumberOfNodes() == nodes or mode != "new"
    assert stack.canUndo()[0] is False
    with pytest.raises(UserError):
        stack.undo()


def test_undo_takes_back_the_reference_geometry(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    node = made.segmentation({"liver": blob()}, MATRIX)
    role = node.GetReferenceImageGeometryReferenceRole()
    geometry = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    before = node.GetSegmentation().GetConversionParameter(geometry)
    stack = UndoStack()
    stack.remember(node)
    imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, "replace", node)
    stack.finish(node)
    assert node.GetNodeReference(role) is volume
    assert node.GetSegmentation().GetConversionParameter(geometry) != before
    stack.undo()
    assert node.GetNodeReference(role) is None
    assert node.GetSegmentation().GetConversionParameter(geometry) == before


@pytest.mark.parametrize("what", ["paint", "rename", "recolour", "remove"])
def test_undo_is_refused_after_an_edit_with_the_reason(made, tmp_path, what):
    volume = made.volume(matrix=MATRIX)
    _masks, node = existing(made, True, volume)
    stack = UndoStack()
    stack.remember(node)
    imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, "replace", node)
    stack.finish(node)
    segmentation = node.GetSegmentation()
    node.CreateClosedSurfaceRepresentation()  # showing 3D is no edit
    node.GetDisplayNode().SetSegmentVisibility("liver", False)
    assert stack.canUndo() == (True, "")
    if what == "paint":
        segmentation.GetSegment("spleen").GetRepresentation(BINARY).Modified()
    elif what == "rename":
        segmentation.GetSegment("liver").SetName("hepar")
    elif what == "recolour":
        segmentation.GetSegment("liver").SetColor(0, 0, 1)
    else:
        segmentation.RemoveSegment("other")
    possible, reason = stack.canUndo()
    assert not possible
    assert "Segmentation" in reason


def test_one_step_for_a_run_over_several_volumes(made, scene, tmp_path):
    volume, other = made.volume(matrix=MATRIX), made.volume(matrix=MATRIX, name="two")
    _masks, node = existing(made, False, volume)
    before = content(node)
    stack = UndoStack()
    stack.begin("liver in 2 volumes")
    for number, (one, target) in enumerate([(volume, node), (other, None), (volume, node)]):
        stack.remember(target)
        mask = np.roll(NEW, number, axis=0)
        result = workerResult(tmp_path, labelsOf(mask), MATRIX, ["liver"])
        work = imported(result, one, "merge" if target else "new", target)
        stack.finish(work.segmentationNode)
    stack.end()
    assert "liver in 2 volumes" in stack.undo()
    assert content(node) == before
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_undo_forgets_what_was_deleted_and_keeps_few_steps(made, scene, tmp_path):
    volume = made.volume(matrix=MATRIX)
    stack = UndoStack(limit=2)
    nodes = []
    for _ in range(3):
        stack.remember(None)
        work = imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume)
        stack.finish(work.segmentationNode)
        nodes.append(work.segmentationNode)
    scene.RemoveNode(nodes[2])
    assert stack.canUndo()[0]
    stack.undo()
    assert nodes[1].GetScene() is None
    assert nodes[0].GetScene() is scene
    assert not stack.canUndo()[0]


def test_saving_is_no_edit_for_undo(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    _masks, node = existing(made, False, volume)
    stack = UndoStack()
    stack.remember(node)
    imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, "merge", node)
    stack.finish(node)
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(tmp_path / "s.seg.nrrd"))
    assert node.GetStorageNode().WriteData(node)
    assert stack.canUndo() == (True, "")


def test_an_import_that_made_no_segmentation_is_undone_by_what_else_it_made(made, scene):
    stack = UndoStack()
    stack.remember(None)
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "volumes")
    stack.finish(None, [table])
    assert stack.canUndo() == (True, "")
    assert stack.undo() == "Undone: volumes."
    assert table.GetScene() is None
    stack.remember(None)
    stack.finish(None)
    assert stack.canUndo()[0] is False


def test_a_step_whose_only_node_was_deleted_is_forgotten(made, scene):
    stack = UndoStack()
    stack.remember(None)
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "volumes")
    stack.finish(None, [table])
    scene.RemoveNode(table)
    assert stack.canUndo()[0] is False
