"""From the scene to the cases of a data set."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from collect_scene import add, patient
from scene_nodes import ENTRY, GRIDS, SHAPE, affine, blob, rotation, worldPoints

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry
from SegToolkitGui.training import SceneCollect
from SegToolkitGui.training.SceneCollect import collect


def run(work):
    """The result of a generator that reports progress."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def read(path):
    """(voxels [k, j, i], index to RAS [4, 4]) of a file, by another library."""
    image = sitk.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("moved", [False, True])
def test_image_and_mask_lie_where_they_lie_in_the_world(made, tmp_path, grid, moved) -> None:
    matrix = GRIDS[grid]
    array = np.random.default_rng(3).integers(-500, 500, SHAPE).astype(np.int16)
    volume = made.volume(array, matrix)
    liver = blob()
    segmentation = made.segmentation(
        {"liver": liver, "spleen": np.roll(liver, 6, 2) & ~liver}, matrix, volume=volume
    )
    world = matrix
    if moved:
        move = np.eye(4)
        move[:3, :3], move[:3, 3] = rotation((3, 1, 2), 40), (5, -70, 11)
        world = move @ matrix
        for node in (volume, segmentation):
            node.SetAndObserveTransformNodeID(made.transform(move).GetID())
    (item,) = run(collect([volume], [segmentation], tmp_path / "new é"))
    voxels, where = read(item["image"])
    assert np.array_equal(voxels, array)
    assert np.allclose(where, world, atol=1e-4)
    labels, where = read(item["mask"])
    assert labels.dtype == np.uint8
    assert labels.shape == array.shape
    assert np.allclose(where, world, atol=1e-4)
    assert np.array_equal(labels == 1, liver)
    assert {value: one["name"] for value, one in item["structures"].items()} == {"1": "liver", "2": "spleen"}


def test_outlines_on_another_grid_come_to_the_volumes(made, tmp_path) -> None:
    fine = affine(np.eye(3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    coarse = affine(rotation((0, 0, 1), 90), (2.0, 2.0, 2.0), (30.5, -3.5, 1.5))
    mask = np.zeros((20, 30, 40), dtype=bool)
    mask[4:14, 4:20, 6:30] = True
    volume = made.volume(np.zeros((9, 14, 20), np.float32), coarse)
    segmentation = made.segmentation({"liver": mask}, fine, volume=volume)
    (item,) = run(collect([volume], [segmentation], tmp_path))
    labels, where = read(item["mask"])
    expected = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "liver", volume)
    assert labels.any()
    assert np.array_equal(labels, expected)
    assert np.allclose(where, coarse)


@pytest.mark.parametrize("moved", [False, True])
def test_surfaces_become_voxels(made, tmp_path, moved) -> None:
    matrix = GRIDS["oblique"]
    volume = made.volume(np.zeros((30, 34, 38), np.int16), matrix)
    ball = vtk.vtkSphereSource()
    ball.SetCenter(*(matrix @ [19, 17, 15, 1])[:3])
    ball.SetRadius(14)
    ball.SetPhiResolution(60)
    ball.SetThetaResolution(60)
    ball.Update()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    node.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "tumour", (1, 0, 0), "tumour")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    centre = np.array(ball.GetCenter())
    if moved:
        move = np.eye(4)
        move[:3, 3] = 6, 4, -5
        node.SetAndObserveTransformNodeID(made.transform(move).GetID())
        centre = centre + move[:3, 3]
    (item,) = run(collect([volume], [node], tmp_path))
    labels, where = read(item["mask"])
    points = worldPoints(labels == 1, where)
    voxel = abs(np.linalg.det(matrix[:3, :3]))
    assert len(points) * voxel == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.04)
    assert np.allclose(points.mean(axis=0), centre, atol=0.4)
    # Nothing is left behind in the segmentation.
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")


def test_colours_and_terminology_come_along(made, tmp_path) -> None:
    volume, segmentation = add("liver", made)
    segment = segmentation.GetSegmentation().GetSegment("liver")
    segment.SetColor(0.25, 0.5, 0.75)
    segment.SetTag(segment.GetTerminologyEntryTagName(), ENTRY)
    (item,) = run(collect([volume], [segmentation], tmp_path))
    assert item["structures"] == {"1": {"name": "liver", "colour": (0.25, 0.5, 0.75), "terminology": ENTRY}}


def test_where_segments_overlap_the_later_one_wins_and_is_told(made, tmp_path) -> None:
    volume = made.volume()
    liver, tumour = blob(), np.zeros(SHAPE, dtype=bool)
    tumour[3:5, 3:6, 4:8] = True
    masks = {
        "hidden": tumour,
        "liver": liver | tumour,
        "tumour": tumour,
        "empty": np.zeros(SHAPE, dtype=bool),
    }
    segmentation = made.segmentation(masks, np.eye(4), shared=False, volume=volume)
    told: list[str] = []
    (item,) = run(collect([volume], [segmentation], tmp_path, onNote=told.append))
    labels, _where = read(item["mask"])
    names = {one["name"]: int(value) for value, one in item["structures"].items()}
    assert set(names) == {"liver", "tumour"}  # what has no voxel left is no structure
    assert np.array_equal(labels == names["tumour"], tumour)
    assert np.array_equal(labels == names["liver"], liver & ~tumour)
    assert told == [
        "CT: segments overlap; hidden, liver lost voxels to a later one.",
        "CT: nothing is outlined of empty; left out.",
    ]


def test_segments_of_one_name_share_a_label(made, tmp_path) -> None:
    volume = made.volume()
    left = blob()
    right = np.roll(left, 6, 2) & ~left
    segmentation = made.segmentation({"a": left, "b": right}, np.eye(4), volume=volume)
    for one in "ab":
        segmentation.GetSegmentation().GetSegment(one).SetName("kidney")
    (item,) = run(collect([volume], [segmentation], tmp_path))
    assert [one["name"] for one in item["structures"].values()] == ["kidney"]
    assert np.array_equal(read(item["mask"])[0] == 1, left | right)


def test_volumes_without_outlines_stay_unlabelled(made, tmp_path) -> None:
    plain = made.volume(name="plain")
    volume, segmentation = add("liver", made, mask=np.zeros(SHAPE, dtype=bool))
    bare = made.volume(name="bare")
    none = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    none.SetReferenceImageGeometryParameterFromVolumeNode(bare)
    told: list[str] = []
    items = run(collect([plain, volume, bare], [segmentation, none], tmp_path, onNote=told.append))
    assert [(item["mask"], item["structures"]) for item in items] == [(None, {})] * 3
    assert told[-1] == "CT is taken as unlabelled: its segments are empty."
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "1-image.nrrd",
        "2-image.nrrd",
        "3-image.nrrd",
    ]


# Names


def test_patients_get_other_names_that_last(made, tmp_path) -> None:
    volumes = [made.volume(name=name) for name in ("CT 1", "CT 2", "MR", "loose", "CT 1")]
    for volume, name in zip(volumes, ["Smith^Ann", "Jones^Bo", "Smith^Ann", None, "Jones^Bo"], strict=True):
        if name:
            patient(volume, name)
    items = run(collect(volumes, [], tmp_path))
    assert [item["patient"] for item in items] == ["patient-1", "patient-2", "patient-1", None, "patient-2"]
    assert [item["case"] for item in items] == ["CT_1", "CT_2", "MR", "loose", "CT_1_2"]
    # Added to later, alone and among others' names: the same patient, another case.
    taken = ["patient-1", "patient-2", "ct_2", "patient-3"]
    (item,) = run(collect([volumes[1]], [], tmp_path, taken=taken))
    assert (item["patient"], item["case"]) == ("patient-2", "CT_2_2")
    late = made.volume(name="late")
    patient(late, "New^One")
    assert run(collect([late], [], tmp_path, taken=taken))[0]["patient"] == "patient-4"


def test_names_are_kept_on_request_only(made, tmp_path) -> None:
    volume = made.volume(name="Ann Smith, abdomen ü/2")
    patient(volume, "Smith^Ann")
    (item,) = run(collect([volume], [], tmp_path, keepNames=True))
    assert (item["patient"], item["case"]) == ("Smith^Ann", "Ann_Smith_abdomen_u_2")
    (item,) = run(collect([volume], [], tmp_path))
    assert (item["patient"], item["case"]) == ("patient-1", "patient-1_2")
    assert "mith" not in str(item)


# Trouble


def colour(made):
    return made.volume(np.zeros((3, 4, 5, 3), np.uint8), cls="vtkMRMLVectorVolumeNode")


def bent(made):
    volume = made.volume()
    volume.SetAndObserveTransformNodeID(made.bend().GetID())
    return volume


def askew(made):
    volume = made.volume(matrix=affine(rotation((1, 2, 3), 30)))
    volume.SetAndObserveTransformNodeID(made.transform(np.diag([1.0, 1.5, 1.0, 1.0])).GetID())
    return volume


@pytest.mark.parametrize(
    ("code", "build"),
    [
        ("label-map", lambda made: made.volume(np.zeros(SHAPE, np.uint8), cls="vtkMRMLLabelMapVolumeNode")),
        ("colour-volume", colour),
        ("nonlinear", bent),
        ("sheared", askew),
        ("empty-volume", lambda made: made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")),
    ],
)
def test_what_cannot_be_a_case_is_told_before_anything_is_written(made, tmp_path, code, build) -> None:
    with pytest.raises(UserError) as error:
        run(collect([made.volume(), build(made)], [], tmp_path / "out"))
    assert error.value.code == code
    assert not (tmp_path / "out").exists()


def draw(volume, segmentation):
    image = segmentation.GetSegmentation().GetSegment("liver").GetRepresentation("Binary labelmap")
    image.Modified()


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("volume-deleted", lambda volume, segmentation: slicer.mrmlScene.RemoveNode(volume)),
        ("volume-deleted", lambda volume, segmentation: slicer.mrmlScene.RemoveNode(segmentation)),
        ("changed", draw),
        ("changed", lambda volume, segmentation: segmentation.GetSegmentation().RemoveSegment("liver")),
    ],
)
def test_changes_on_the_way_end_it_and_leave_no_file(made, tmp_path, monkeypatch, code, change) -> None:
    monkeypatch.setattr(SceneCollect, "PIECE_MS", 0)
    volume, segmentation = add("liver", made)
    work = collect([volume], [segmentation], tmp_path)
    while not (tmp_path / "1-image.nrrd").exists():
        next(work)
    next(work)
    next(work)
    change(volume, segmentation)
    with pytest.raises(UserError) as error:
        run(work)
    assert error.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_given_up_on_the_way_it_leaves_no_file(made, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(SceneCollect, "PIECE_MS", 0)
    volume, segmentation = add("liver", made)
    work = collect([volume, made.volume()], [segmentation], tmp_path)
    for _n in range(8):
        next(work)
    assert list(tmp_path.iterdir()) != []
    work.close()
    assert list(tmp_path.iterdir()) == []


def test_progress_grows_to_its_end(made, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(SceneCollect, "PIECE_MS", 0)
    volume, segmentation = add("liver", made)
    told = list(collect([volume, made.volume()], [segmentation], tmp_path))
    steps = [step for _phase, step, _total in told]
    assert steps == sorted(steps)
    assert (steps[-1], {total for *_others, total in told}) == (200, {200})


def test_pieces_of_large_volumes_stay_below_100_ms(made, tmp_path) -> None:
    size = (120, 400, 400)
    volume = made.volume(np.zeros(size, np.int16), affine(np.diag([-1.0, -1.0, 1.0])))
    coarse = affine(np.diag([-1.0, -1.0, 1.0]), (2.2, 1.8, 6.0))
    masks = {f"s{n}": np.zeros((60, 200, 200), dtype=bool) for n in range(2)}
    for n, mask in enumerate(masks.values()):
        mask[5:50, 20 + 20 * n : 50 + 20 * n, 30:150] = True
    layers = made.segmentation(masks, coarse, shared=False, volume=volume)
    ball = vtk.vtkSphereSource()
    ball.SetCenter(*(Geometry.ijkToLocal(volume) @ [200, 200, 60, 1])[:3])
    ball.SetRadius(120)
    ball.SetPhiResolution(200)
    ball.SetThetaResolution(200)
    ball.Update()
    surface = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    surface.GetSegmentation().SetSourceRepresentationName("Closed surface")
    surface.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "ball", (1, 0, 0), "ball")
    surface.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    work = collect([volume], [layers, surface], tmp_path)
    pieces, over = [], False
    while not over:
        began = time.perf_counter()
        over = next(work, None) is None
        pieces.append(time.perf_counter() - began)
    print(f"{len(pieces)} pieces, {sum(pieces):.1f} s, worst {1000 * max(pieces):.0f} ms")
    assert Path(tmp_path / "1-mask.nrrd").stat().st_size > np.prod(size)
    assert sorted(pieces)[-3] < 0.1  # two may fall to another process on a busy machine
