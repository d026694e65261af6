"""Which slice a view shows, turning it, and jumping."""

import numpy as np
import pytest
import vtk
from scene_nodes import GRIDS, SHAPE, affine, rotation, vtkMatrix

from SegToolkitGui.scene import Geometry
from SegToolkitGui.scene.ViewSlice import alignView, showSlice, sliceInView

SIZE = SHAPE[::-1]


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("moved", [False, True])
def test_every_slice_is_shown_and_recognised(made, name, moved):
    node, view = made.volume(matrix=GRIDS[name]), made.sliceView()
    if moved:
        parent = made.transform(affine(rotation((0, 1, 1), 35), (1, 1, 1), (9, 8, -7)))
        node.SetAndObserveTransformNodeID(parent.GetID())
    world = Geometry.ijkToWorld(node)
    for axis in (0, 1, 2):
        for index in (0, SIZE[axis] // 2, SIZE[axis] - 1):
            shown = showSlice(view, node, axis, index)
            assert (shown.axis, shown.index, shown.problem) == (axis, index, "")
            centre = (np.array(SIZE) - 1) / 2
            centre[axis] = index
            point = (world @ [*centre, 1])[:3]
            plane = Geometry.toArray(view.GetSliceToRAS())
            assert abs(np.dot(plane[:3, 2], point - plane[:3, 3])) < 1e-6


def test_offset_within_a_voxel_is_the_nearest_slice(made):
    node, view = made.volume(matrix=affine(np.eye(3), (1, 1, 3), (0, 0, 10))), made.sliceView()
    for offset, index in [(10, 0), (11.4, 0), (11.6, 1), (34, 8), (35.4, 8)]:
        view.SetSliceOffset(offset)
        assert sliceInView(view, node).index == index
    for offset in (8.4, 35.6):
        view.SetSliceOffset(offset)
        assert sliceInView(view, node).problem == "outside"
        assert sliceInView(view, node).text


@pytest.mark.parametrize(
    ("degrees", "problem"), [(0.05, ""), (0.21, "tilted"), (3.2, "tilted"), (30, "tilted")]
)
def test_tilt_is_measured_and_refused_beyond_a_tenth_of_a_degree(made, degrees, problem):
    node, view = made.volume(matrix=affine(np.eye(3), (1, 1, 1), (-6, -5, -4))), made.sliceView()
    tilt = vtk.vtkMatrix4x4()
    tilt.DeepCopy(
        vtkMatrix(
            affine(rotation((1, 0, 0), degrees), (1, 1, 1), (0, 0, 0))
            @ Geometry.toArray(view.GetSliceToRAS())
        )
    )
    view.GetSliceToRAS().DeepCopy(tilt)
    view.UpdateMatrices()
    found = sliceInView(view, node)
    assert found.problem == problem
    assert found.tilt == pytest.approx(degrees, abs=1e-3)
    if problem:
        assert f"{degrees:.1f}" in found.text
        assert found.index == -1


def test_aligned_view_stays_where_it_was(made):
    node, view = made.volume(matrix=GRIDS["oblique"]), made.sliceView()
    centre = (GRIDS["oblique"] @ [6, 5, 4, 1])[:3]
    view.JumpSliceByOffsetting(*centre)
    assert sliceInView(view, node).problem == "tilted"
    assert alignView(view, node).problem == ""
    shown = sliceInView(view, node)
    assert (shown.axis, shown.problem) == (2, "")
    assert abs(shown.index - 4) <= 1


def test_aligning_a_view_outside_brings_it_in(made):
    node, view = made.volume(matrix=GRIDS["as loaded"]), made.sliceView()
    view.SetSliceOffset(-1000)
    assert sliceInView(view, node).problem == "outside"
    assert alignView(view, node).index == 0


def test_view_of_a_single_slice(made):
    node, view = (
        made.volume(np.ones((1, 5, 6), np.uint8), affine(np.eye(3), (1, 1, 4), (0, 0, 50))),
        made.sliceView(),
    )
    view.SetSliceOffset(51)
    assert sliceInView(view, node).index == 0
    assert showSlice(view, node, 2, 0).index == 0


def test_bent_and_missing_volumes_are_told(made):
    node, view = made.volume(), made.sliceView()
    node.SetAndObserveTransformNodeID(made.bend().GetID())
    for answer in (sliceInView(view, node), alignView(view, node), showSlice(view, node, 2, 3)):
        assert answer.problem == "nonlinear"
        assert answer.text
    assert sliceInView(view, None).problem == "no-volume"
    assert sliceInView(None, node).problem == "no-volume"
