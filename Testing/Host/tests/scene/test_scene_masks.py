"""Outlines of a slice on the volume's grid, whatever grid and transform the segmentation has."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from scene_nodes import BINARY, ENTRY, GRIDS, SHAPE, affine, blob, rotation

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry
from SegToolkitGui.scene.MaskExport import exportMask


def fullSlice(mask, axis, index):
    """The written labels, put back into an array of the volume's shape [k, j, i]; geometry checked."""
    full = np.zeros(SHAPE, np.uint8)
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(mask.path)))
    i, j, k = mask.offset
    full[k : k + array.shape[0], j : j + array.shape[1], i : i + array.shape[2]] = array
    assert mask.slices == (index,)
    assert mask.axis == axis
    assert mask.offset[axis] == index
    return full


def onlySlice(array, axis, index):
    output = np.zeros_like(array)
    where = [slice(None)] * 3
    where[2 - axis] = index
    output[tuple(where)] = array[tuple(where)]
    return output


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_outline_on_the_volumes_own_grid_is_exact(made, tmp_path, name, axis):
    volume = made.volume(matrix=GRIDS[name])
    spleen = np.roll(blob(), (2, 4), axis=(1, 2)) & ~blob()
    node = made.segmentation({"liver": blob(), "spleen": spleen}, GRIDS[name])
    index = {2: 4, 1: 5, 0: 8}[axis]
    mask = exportMask(node, ["spleen", "liver"], volume, axis, index, tmp_path / "m.nrrd")
    found = fullSlice(mask, axis, index)
    assert mask.structures[1]["name"] == "spleen"
    np.testing.assert_array_equal(found == 2, onlySlice(blob(), axis, index))
    np.testing.assert_array_equal(found == 1, onlySlice(spleen, axis, index))
    image = sitk.ReadImage(str(mask.path))
    np.testing.assert_allclose(
        np.array(image.GetOrigin()) * [-1, -1, 1], (GRIDS[name] @ [*mask.offset, 1])[:3], atol=1e-6
    )
    assert mask.voxels == {one: int((found == n).sum()) for n, one in ((1, "spleen"), (2, "liver"))}
    assert mask.overlaps == ()


def nearest(points, mask, matrix):
    """Independent of VTK: whether the nearest voxel of RAS points [3, N] is set."""
    ijk = np.floor(np.linalg.solve(matrix, np.vstack([points, np.ones(points.shape[1])]))[:3] + 0.5).astype(
        int
    )
    inside = np.all((ijk >= 0) & (ijk < np.array(mask.shape[::-1])[:, None]), axis=0)
    output = np.zeros(points.shape[1], bool)
    output[inside] = mask[ijk[2, inside], ijk[1, inside], ijk[0, inside]]
    return output


def slicePoints(matrix, axis, index):
    k, j, i = np.indices(SHAPE)
    chosen = (i, j, k)[axis] == index
    return (matrix @ np.stack([i[chosen], j[chosen], k[chosen], np.ones(chosen.sum())]))[:3], chosen


def seated(made, transform, volumeTransform=None):
    """A volume and a segmentation on another, oblique grid around it."""
    matrix = GRIDS["as loaded"]
    volume = made.volume(matrix=matrix)
    if volumeTransform is not None:
        volume.SetAndObserveTransformNodeID(volumeTransform.GetID())
    shape = (30, 40, 40)
    centre = (matrix @ [6, 5, 4, 1])[:3]
    other = affine(rotation((1, 1, 0), 25), (0.7, 0.8, 1.3))
    other[:3, 3] = centre - other[:3, :3] @ [20, 20, 15]
    mask = np.zeros(shape, bool)
    mask[8:22, 10:31, 9:30] = True
    mask[8:22, 10:18, 9:16] = False
    node = made.segmentation({"a": np.zeros(shape, bool), "liver": mask}, other)
    if transform is not None:
        node.SetAndObserveTransformNodeID(transform.GetID())
    return volume, matrix, node, other, mask


@pytest.mark.parametrize("kind", ["none", "segmentation", "volume", "both", "bent"])
def test_outline_on_another_grid_and_transform_lies_where_it_is_seen(made, tmp_path, kind):
    shift = affine(rotation((0, 0, 1), 8), (1, 1, 1), (1.5, -2, 0.7))
    moved = made.transform(shift)
    under = {
        "none": (None, None),
        "segmentation": (moved, None),
        "volume": (None, moved),
        "both": (moved, moved),
        "bent": (made.bend(), None),
    }[kind]
    volume, matrix, node, other, mask = seated(made, *under)
    for axis, index in [(2, 4), (0, 6)]:
        found = fullSlice(exportMask(node, ["liver"], volume, axis, index, tmp_path / "m.nrrd"), axis, index)
        points, chosen = slicePoints(matrix, axis, index)
        if kind == "segmentation":
            points = (np.linalg.inv(shift) @ np.vstack([points, np.ones(points.shape[1])]))[:3]
        elif kind == "volume":
            points = (shift @ np.vstack([points, np.ones(points.shape[1])]))[:3]
        elif kind == "bent":
            inverse = vtk.vtkGeneralTransform()
            under[0].GetTransformFromWorld(inverse)
            points = np.array([inverse.TransformPoint(p) for p in points.T]).T
        expected = nearest(points, mask, other)
        assert expected.sum() > 20
        # A voxel centre that lies just between two voxels may fall to either side.
        assert np.sum(found[chosen] != expected) <= (2 if kind == "bent" else 0)


def test_both_under_one_bending_transform_is_exact(made, tmp_path):
    bend = made.bend()
    volume = made.volume(matrix=GRIDS["oblique"])
    node = made.segmentation({"liver": blob()}, GRIDS["oblique"])
    for one in (volume, node):
        one.SetAndObserveTransformNodeID(bend.GetID())
    found = fullSlice(exportMask(node, ["liver"], volume, 2, 4, tmp_path / "m.nrrd"), 2, 4)
    np.testing.assert_array_equal(found > 0, onlySlice(blob(), 2, 4))


def test_label_image_smaller_or_larger_than_the_volume(made, tmp_path):
    volume = made.volume(matrix=GRIDS["flipped"])
    small = made.segmentation({"liver": np.ones((2, 3, 4), bool)}, GRIDS["flipped"], start=(11, -1, 7))
    mask = exportMask(small, ["liver"], volume, 2, 8, tmp_path / "m.nrrd")
    assert mask.offset == (11, 0, 8)
    assert mask.voxels == {"liver": 2 * 2}


def test_slicers_own_array_of_the_segment_agrees(made, tmp_path):
    volume, _matrix, node, _other, _mask = seated(
        made, made.transform(affine(rotation((1, 0, 0), 5), (1, 1, 1), (1, 1, 1)))
    )
    found = fullSlice(exportMask(node, ["liver"], volume, 2, 3, tmp_path / "m.nrrd"), 2, 3)
    expected = slicer.util.arrayFromSegmentBinaryLabelmap(node, "liver", volume)
    np.testing.assert_array_equal(found, onlySlice(expected, 2, 3))


@pytest.mark.parametrize("moved", [False, True])
def test_segments_of_surfaces_only_are_rasterised_and_nothing_is_left_behind(made, tmp_path, moved):
    volume = made.volume(matrix=GRIDS["oblique"])
    node = made.segmentation({"liver": blob(), "b": np.zeros(SHAPE, bool)}, GRIDS["oblique"])
    segmentation = node.GetSegmentation()
    segmentation.SetConversionParameter("Smoothing factor", "0")
    node.CreateClosedSurfaceRepresentation()
    segmentation.SetSourceRepresentationName("Closed surface")
    segmentation.RemoveRepresentation(BINARY)
    shift = affine(np.eye(3), (1, 1, 1), tuple(-GRIDS["oblique"][:3, 0]))
    if moved:
        node.SetAndObserveTransformNodeID(made.transform(shift).GetID())
    found = fullSlice(exportMask(node, ["liver"], volume, 2, 4, tmp_path / "m.nrrd"), 2, 4)
    expected = onlySlice(np.roll(blob(), -1 if moved else 0, axis=2), 2, 4)
    # The surface of a voxel block cuts its edges.
    assert np.sum((found > 0) != expected) <= 0.15 * expected.sum()
    assert not segmentation.ContainsRepresentation(BINARY)
    assert segmentation.GetSourceRepresentationName() == "Closed surface"


def test_later_segment_wins_where_outlines_overlap(made, tmp_path):
    volume = made.volume()
    node = made.segmentation({"liver": blob(), "tumour": np.roll(blob(), 2, axis=2)}, np.eye(4), shared=False)
    mask = exportMask(node, ["liver", "tumour"], volume, 2, 4, tmp_path / "m.nrrd")
    found = fullSlice(mask, 2, 4)
    np.testing.assert_array_equal(found == 2, onlySlice(np.roll(blob(), 2, axis=2), 2, 4))
    assert mask.overlaps == ("liver",)
    assert mask.voxels["liver"] == onlySlice(blob(), 2, 4).sum()


def test_nothing_outlined_names_segment_and_slice(made, tmp_path):
    volume = made.volume(name="Patient 3")
    node = made.segmentation({"liver": blob(), "empty one": np.zeros(SHAPE, bool)}, np.eye(4))
    node.GetSegmentation().AddEmptySegment("fresh", "fresh one")
    for ids, name in [(["liver"], "liver"), (["empty one"], "empty one"), (["fresh"], "fresh one")]:
        with pytest.raises(UserError) as raised:
            exportMask(node, ids, volume, 2, 0, tmp_path / "m.nrrd")
        assert raised.value.code == "nothing-outlined"
        assert name in raised.value.text
        assert "slice 0 of Patient 3" in raised.value.text
    mask = exportMask(node, ["fresh", "empty one", "liver"], volume, 2, 4, tmp_path / "m.nrrd")
    assert [one["name"] for one in mask.structures.values()] == ["liver"]
    assert mask.voxels["fresh"] == 0


def test_gone_segment_and_slice_are_told(made, tmp_path):
    volume, node = made.volume(), made.segmentation({"liver": blob()}, np.eye(4))
    for ids, index, code in [(["zz"], 4, "segment-gone"), (["liver"], 99, "outside"), ([], 4, "no-segment")]:
        with pytest.raises(UserError) as raised:
            exportMask(node, ids, volume, 2, index, tmp_path / "m.nrrd")
        assert raised.value.code == code


def test_colour_and_terminology_travel_with_the_structure(made, tmp_path):
    volume, node = made.volume(), made.segmentation({"liver": blob()}, np.eye(4))
    segment = node.GetSegmentation().GetSegment("liver")
    segment.SetColor(0.25, 0.5, 0.75)
    segment.SetTag(segment.GetTerminologyEntryTagName(), ENTRY)
    one = exportMask(node, ["liver"], volume, 2, 4, tmp_path / "m.nrrd").structures[1]
    assert one == {"name": "liver", "colour": (0.25, 0.5, 0.75), "terminology": ENTRY}


def test_segmentation_is_left_as_it_was(made, tmp_path):
    volume, _m, node, _o, _mask = seated(made, made.bend())
    segment = node.GetSegmentation().GetSegment("liver")
    before = (segment.GetMTime(), segment.GetRepresentation(BINARY).GetMTime())
    exportMask(node, ["liver"], volume, 2, 4, tmp_path / "m.nrrd")
    assert (segment.GetMTime(), segment.GetRepresentation(BINARY).GetMTime()) == before
    assert Geometry.dimensions(volume) == SHAPE[::-1]
