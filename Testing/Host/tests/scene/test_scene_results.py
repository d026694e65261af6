"""Results in the scene: place, look, neighbours, coverage, surfaces, interruptions, saving."""

from pathlib import Path

import numpy as np
import pytest
import slicer
from result_cases import MATRIX, NEW, SURFACE, content, existing, imported, labelsOf, moved, voxels
from scene_nodes import (
    BINARY,
    ENTRY,
    GRIDS,
    SHAPE,
    affine,
    blob,
    rotation,
    segmentPoints,
    workerResult,
    worldPoints,
)

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Appearance, Geometry
from SegToolkitGui.scene.ResultImport import OutputChoice, ResultImport


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("transform", ["none", "linear", "bent"])
def test_result_lies_at_the_same_world_points(made, tmp_path, name, transform):
    volume = made.volume(matrix=GRIDS[name])
    if transform != "none":
        parent = (
            made.bend() if transform == "bent" else made.transform(affine(rotation((1, 0, 1), 30), (1, 1, 1)))
        )
        volume.SetAndObserveTransformNodeID(parent.GetID())
    labels = labelsOf(blob(), moved(4) & ~blob())
    work = imported(workerResult(tmp_path, labels, GRIDS[name], ["liver", "a spleen"]), volume)
    node = work.segmentationNode
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()
    for number, title in enumerate(["liver", "a spleen"], 1):
        segmentId = work.segmentIds[title]
        np.testing.assert_allclose(
            segmentPoints(node, segmentId), worldPoints(labels == number, GRIDS[name]), atol=1e-4
        )
        np.testing.assert_array_equal(voxels(node, segmentId, volume), labels == number)


def test_new_segmentation_is_finished(made, scene, tmp_path):
    hierarchy = scene.GetSubjectHierarchyNode()
    volume = made.volume(matrix=MATRIX, name="CT 3")
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.CreateItem(study, volume)
    look = {"liver": {"colour": (0.5, 0.25, 0.75), "terminology": ENTRY}}
    result = workerResult(tmp_path, labelsOf(blob(), moved(4) & ~blob()), MATRIX, ["liver", "cyst"])
    work = imported(result, volume, appearance=look)
    node = work.segmentationNode
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    geometry = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    assert node.GetSegmentation().GetConversionParameter(geometry)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
    assert node.GetDisplayNode() is not None
    liver = node.GetSegmentation().GetSegment(work.segmentIds["liver"])
    assert liver.GetName() == "liver"
    assert liver.GetColor() == (0.5, 0.25, 0.75)
    assert Appearance.terminologyOf(liver) == ENTRY
    assert node.GetSegmentation().GetNumberOfLayers() == 1


def test_without_structures_no_segmentation_is_made(made, scene, tmp_path):
    volume = made.volume(matrix=MATRIX)
    work = imported(workerResult(tmp_path, labelsOf(), MATRIX, []), volume)
    assert work.segmentationNode is None
    assert work.segmentIds == {}
    assert not scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def test_nothing_found_makes_empty_segments(made, tmp_path):
    work = imported(workerResult(tmp_path, labelsOf(), MATRIX, ["liver"]), made.volume(matrix=MATRIX))
    assert not voxels(
        work.segmentationNode, work.segmentIds["liver"], slicer.mrmlScene.GetFirstNodeByName("CT")
    ).any()
    work.segmentationNode.CreateClosedSurfaceRepresentation()


def test_one_slice_volume_takes_a_result(made, tmp_path):
    mask = np.zeros((1, 8, 9), bool)
    mask[0, 2:5, 3:7] = True
    volume = made.volume(np.zeros((1, 8, 9), np.uint8), MATRIX)
    work = imported(workerResult(tmp_path, mask.astype(np.uint8), MATRIX, ["liver"]), volume)
    np.testing.assert_array_equal(voxels(work.segmentationNode, work.segmentIds["liver"], volume), mask)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("mode", "covered"),
    [
        ("add", None),
        ("replace", None),
        ("merge", None),
        ("replace", (2, 3, 4)),
        ("replace", (0, 5, 6)),
        ("merge", (2, 3, 4)),
    ],
)
def test_modes_change_their_own_segment_and_no_other(made, tmp_path, shared, mode, covered):
    volume = made.volume(matrix=MATRIX)
    masks, node = existing(made, shared, volume)
    inside = np.zeros(SHAPE, bool)
    axis, first, last = covered or (2, 0, SHAPE[0])
    np.moveaxis(inside, 2 - axis, 0)[first : last + 1] = True
    result = workerResult(tmp_path, labelsOf(NEW & inside), MATRIX, ["liver"])
    look = {"liver": {"colour": (1, 1, 0), "terminology": ENTRY}}
    colour = node.GetSegmentation().GetSegment("liver").GetColor()
    work = imported(result, volume, mode, node, look, covered)
    expected = {
        "add": NEW,
        "replace": (NEW & inside) | (masks["liver"] & ~inside),
        "merge": (NEW & inside) | masks["liver"],
    }[mode]
    assert work.segmentationNode is node
    np.testing.assert_array_equal(voxels(node, work.segmentIds["liver"], volume), expected)
    for name in ("spleen", "other", *(["liver"] if mode == "add" else [])):
        np.testing.assert_array_equal(voxels(node, name, volume), masks[name], err_msg=name)
    segment = node.GetSegmentation().GetSegment(work.segmentIds["liver"])
    assert segment.GetColor() == ((1, 1, 0) if mode == "add" else colour)
    assert (work.segmentIds["liver"] == "liver") == (mode != "add")
    assert segment.GetName() == ("liver 2" if mode == "add" else "liver")


@pytest.mark.parametrize("shared", [True, False])
def test_two_structures_replaced_in_some_slices(made, tmp_path, shared):
    volume = made.volume(matrix=MATRIX)
    masks, node = existing(made, shared, volume)
    inside = np.zeros(SHAPE, bool)
    inside[3:5] = True
    a, b = NEW & inside, moved(-1) & ~NEW & inside
    work = imported(
        workerResult(tmp_path, labelsOf(a, b), MATRIX, ["other", "liver"]),
        volume,
        "replace",
        node,
        None,
        (2, 3, 4),
    )
    np.testing.assert_array_equal(
        voxels(node, work.segmentIds["other"], volume), a | (masks["other"] & ~inside)
    )
    np.testing.assert_array_equal(
        voxels(node, work.segmentIds["liver"], volume), b | (masks["liver"] & ~inside)
    )
    np.testing.assert_array_equal(voxels(node, "spleen", volume), masks["spleen"])


@pytest.mark.parametrize("mode", ["replace", "merge"])
@pytest.mark.parametrize("covered", [None, (2, 3, 4)])
def test_nothing_found_erases_only_what_was_covered(made, tmp_path, mode, covered):
    volume = made.volume(matrix=MATRIX)
    masks, node = existing(made, True, volume)
    imported(workerResult(tmp_path, labelsOf(), MATRIX, ["liver"]), volume, mode, node, None, covered)
    expected = masks["liver"].copy()
    if mode == "replace":
        expected[slice(None) if covered is None else slice(3, 5)] = False
    np.testing.assert_array_equal(voxels(node, "liver", volume), expected)
    np.testing.assert_array_equal(voxels(node, "spleen", volume), masks["spleen"])


def test_no_ownerless_voxels_stay_in_a_shared_layer(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    _masks, node = existing(made, True, volume)
    for mode in ("replace", "merge"):
        imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, mode, node)
        found = set(np.unique(slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, "spleen")))
        segmentation = node.GetSegmentation()
        assert found - {0} == {segmentation.GetSegment(one).GetLabelValue() for one in ("spleen", "other")}


def test_missing_names_are_added_by_replace_and_merge(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    masks, node = existing(made, True, volume)
    for mode, name in (("replace", "kidney"), ("merge", "spleen in caps")):
        work = imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, [name]), volume, mode, node)
        np.testing.assert_array_equal(voxels(node, work.segmentIds[name], volume), NEW)
    np.testing.assert_array_equal(voxels(node, "liver", volume), masks["liver"])


def test_overlap_with_neighbours_stays_possible(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    masks, node = existing(made, True, volume)
    work = imported(
        workerResult(tmp_path, labelsOf(np.ones(SHAPE, bool)), MATRIX, ["liver"]), volume, "merge", node
    )
    assert voxels(node, work.segmentIds["liver"], volume).all()
    np.testing.assert_array_equal(voxels(node, "spleen", volume), masks["spleen"])


def test_empty_segment_of_the_same_name_is_filled(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    for mode in ("merge", "replace"):
        node = made.segmentation({"other": blob()}, MATRIX)
        node.GetSegmentation().AddEmptySegment("L", "liver")
        work = imported(
            workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, mode, node, None, (2, 0, 8)
        )
        assert work.segmentIds == {"liver": "L"}
        np.testing.assert_array_equal(voxels(node, "L", volume), NEW)


@pytest.mark.parametrize("mode", ["add", "replace", "merge"])
@pytest.mark.parametrize("parents", ["linear", "bent"])
def test_segmentation_under_another_transform_shows_the_result_on_the_volume(made, tmp_path, mode, parents):
    volume = made.volume(matrix=MATRIX)
    node = made.segmentation({"liver": np.zeros(SHAPE, bool), "other": blob()}, MATRIX, volume=volume)
    parent = (
        made.bend(strength=2)
        if parents == "bent"
        else made.transform(affine(rotation((0, 0, 1), 20), (1, 1, 1)))
    )
    node.SetAndObserveTransformNodeID(parent.GetID())
    mask = np.zeros(SHAPE, bool)
    mask[2:7, 3:8, 3:10] = True
    work = imported(workerResult(tmp_path, labelsOf(mask), MATRIX, ["liver"]), volume, mode, node)
    found = voxels(node, work.segmentIds["liver"], volume)
    exact = parents == "linear" and mode != "merge"
    assert 2 * np.sum(found & mask) / (found.sum() + mask.sum()) > (0.999 if exact else 0.8)
    assert node.GetTransformNodeID() == parent.GetID()


@pytest.mark.parametrize("covered", [None, (2, 2, 4)])
def test_segment_on_another_grid_is_replaced_or_merged_in_place(made, tmp_path, covered):
    volume = made.volume(matrix=MATRIX)
    fine = MATRIX @ np.diag([0.5, 0.5, 0.5, 1])
    fine[:, 3] = MATRIX @ [-0.25, -0.25, -0.25, 1]
    big = np.kron(blob(), np.ones((2, 2, 2))).astype(bool)
    for mode in ("replace", "merge"):
        node = made.segmentation({"liver": big, "other": np.roll(big, 9, axis=2) & ~big}, fine)
        before = voxels(node, "other", volume)
        inside = np.zeros(SHAPE, bool)
        inside[slice(None) if covered is None else slice(2, 5)] = True
        imported(
            workerResult(tmp_path, labelsOf(NEW & inside), MATRIX, ["liver"]),
            volume,
            mode,
            node,
            None,
            covered,
        )
        expected = (NEW & inside) | (blob() if mode == "merge" else blob() & ~inside)
        np.testing.assert_array_equal(voxels(node, "liver", volume), expected)
        np.testing.assert_array_equal(voxels(node, "other", volume), before)


def test_shown_surfaces_stay_shown_and_only_changed_ones_are_made_anew(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    _masks, node = existing(made, True, volume)
    segmentation = node.GetSegmentation()
    node.CreateClosedSurfaceRepresentation()
    before = {
        one: segmentation.GetSegment(one).GetRepresentation(SURFACE) for one in segmentation.GetSegmentIDs()
    }
    stamps = {one: poly.GetMTime() for one, poly in before.items()}
    result = workerResult(tmp_path, labelsOf(NEW, moved(-1) & ~NEW), MATRIX, ["liver", "fresh"])
    work = imported(result, volume, "replace", node)
    for one in ("spleen", "other"):
        assert segmentation.GetSegment(one).GetRepresentation(SURFACE) is before[one]
        assert before[one].GetMTime() == stamps[one]
    liver = segmentation.GetSegment("liver").GetRepresentation(SURFACE)
    assert liver.GetNumberOfPoints() > 0
    assert liver.GetBounds() != before["liver"].GetBounds()
    assert (
        segmentation.GetSegment(work.segmentIds["fresh"]).GetRepresentation(SURFACE).GetNumberOfPoints() > 0
    )


def test_surfaces_that_were_not_shown_are_not_made(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    node = existing(made, True, volume)[1]
    imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, "replace", node)
    assert not node.GetSegmentation().ContainsRepresentation(SURFACE)


def test_views_are_told_of_new_voxels(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    _masks, node = existing(made, True, volume)
    events = []
    node.GetSegmentation().AddObserver(
        slicer.vtkSegmentation.SourceRepresentationModified, lambda *_a: events.append(1)
    )
    imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, "replace", node)
    assert events
    events.clear()
    node.GetSegmentation().GetSegment("liver").GetRepresentation(BINARY).Modified()
    assert events, "later edits by the Segment Editor must reach the views as well"


def test_edit_during_the_import_is_not_lost(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    masks, node = existing(made, True, volume)
    work = ResultImport(
        workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, OutputChoice("merge", node)
    )
    # Far enough that the first slices of the shared layer are copied already.
    for _ in range(14):
        assert not work.step(0)
    layer = node.GetSegmentation().GetSegment("spleen").GetRepresentation(BINARY)
    drawn = slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, "spleen")
    drawn[0, 0, 0] = 2
    layer.Modified()
    work.finish()
    expected = masks["spleen"].copy()
    expected[0, 0, 0] = True
    np.testing.assert_array_equal(voxels(node, "spleen", volume), expected)
    np.testing.assert_array_equal(voxels(node, "liver", volume), NEW | masks["liver"])


@pytest.mark.parametrize("what", ["volume", "output", "moved", "file", "close"])
def test_import_that_cannot_be_leaves_the_scene_alone(made, scene, tmp_path, what):
    volume = made.volume(matrix=MATRIX)
    _masks, node = existing(made, True, volume)
    result = workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"])
    work = ResultImport(result, volume, OutputChoice("replace", node))
    before = content(node)
    if what == "moved":
        volume.SetOrigin(0, 0, 1)
    if what == "file":
        with Path(result["labels"]).open("rb+") as stream:
            stream.truncate(300)
    if what in ("volume", "output", "close"):
        assert not work.step(0)
        assert not work.step(0)
    if what == "volume":
        scene.RemoveNode(volume)
    elif what == "output":
        scene.RemoveNode(node)
    elif what == "close":
        scene.Clear(0)
    codes = {
        "volume": "volume-deleted",
        "output": "output-deleted",
        "moved": "volume-moved",
        "file": "bad-file",
    }
    with pytest.raises(UserError) as raised:
        work.finish()
    assert raised.value.code == codes.get(what, "volume-deleted")
    assert work.segmentationNode is None
    if what != "close":
        assert content(node) == before


def test_segmentation_of_surfaces_is_refused(made, tmp_path):
    volume = made.volume(matrix=MATRIX)
    _masks, node = existing(made, True, volume)
    node.CreateClosedSurfaceRepresentation()
    node.GetSegmentation().SetSourceRepresentationName(SURFACE)
    with pytest.raises(UserError) as raised:
        imported(workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"]), volume, "merge", node)
    assert raised.value.code == "no-labelmap"


def test_saved_scene_brings_everything_back(made, scene, tmp_path):
    volume = made.volume(matrix=MATRIX)
    look = {"liver": {"colour": (0.5, 0.25, 0.75), "terminology": ENTRY}}
    labels = labelsOf(blob(), moved(4) & ~blob())
    work = imported(workerResult(tmp_path, labels, MATRIX, ["liver", "cyst"]), volume, appearance=look)
    folder = tmp_path / "saved ö"
    folder.mkdir()
    for node, name in ((volume, "ct.nrrd"), (work.segmentationNode, "s.seg.nrrd")):
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(str(folder / name))
        assert node.GetStorageNode().WriteData(node)
    scene.SetURL(str(folder / "scene.mrml"))
    scene.SetRootDirectory(str(folder))
    assert scene.Commit()
    scene.Clear(0)
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Connect()
    node = scene.GetFirstNodeByName("Result")
    volume = scene.GetFirstNodeByName("CT")
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    segmentation = node.GetSegmentation()
    liver = segmentation.GetSegmentIdBySegmentName("liver")
    assert Appearance.terminologyOf(segmentation.GetSegment(liver)) == ENTRY
    np.testing.assert_allclose(segmentation.GetSegment(liver).GetColor(), (0.5, 0.25, 0.75), atol=1e-6)
    np.testing.assert_array_equal(voxels(node, liver, volume), labels == 1)
    assert Geometry.sameGrid(Geometry.ijkToLocal(volume), MATRIX, SHAPE)


def test_sequence_that_moved_to_another_grid_gets_the_result_where_it_was_segmented(made, scene, tmp_path):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "frames")
    other = GRIDS["flipped"]
    for number, matrix in enumerate((MATRIX, other)):
        frame = made.volume(matrix=matrix)
        sequence.SetDataNodeAtValue(frame, str(number))
        scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    logic.UpdateProxyNodesFromSequences(browser)
    proxy = browser.GetProxyNode(sequence)
    result = workerResult(tmp_path, labelsOf(NEW), MATRIX, ["liver"])
    browser.SetSelectedItemNumber(1)
    logic.UpdateProxyNodesFromSequences(browser)
    np.testing.assert_allclose(Geometry.ijkToLocal(proxy), other)
    work = imported(result, proxy)
    points = segmentPoints(work.segmentationNode, work.segmentIds["liver"])
    np.testing.assert_allclose(points, worldPoints(NEW, MATRIX), atol=1e-3)
