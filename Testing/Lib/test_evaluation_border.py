"""Distances between the voxels at borders, and both ways to average them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, generate_binary_structure

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.surface import border_distances, surface_distances

Spacing = tuple[float, float, float]


def blob(seed: int, shape: tuple[int, int, int] = (12, 14, 16)) -> np.ndarray:
    """Something with many shapes of border, cut off by the border of the array."""
    return gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2) > 0.02


def directed(a: np.ndarray, b: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Distances of the first border's voxels, by a distance map of the second one."""
    cross = generate_binary_structure(3, 1)
    borders = [one & ~binary_erosion(one, cross) for one in (a, b)]
    return distance_transform_edt(~borders[1], sampling=spacing)[borders[0]]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 0.6, 0.6), (0.7, 3.0, 1.1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_distances_are_those_of_distance_maps(seed: int, spacing: Spacing) -> None:
    a, b = blob(seed), blob(seed + 10)
    found = border_distances(a, b, spacing)
    one, other = directed(a, b, spacing), directed(b, a, spacing)
    np.testing.assert_allclose(found.a, one, rtol=1e-12)
    np.testing.assert_allclose(found.b, other, rtol=1e-12)
    assert found.directed_assd() == pytest.approx((one.mean() + other.mean()) / 2)
    assert found.assd() == pytest.approx(np.concatenate([one, other]).mean())


def test_a_voxel_is_at_the_border_by_its_faces_and_by_the_end_of_the_array() -> None:
    cube = np.zeros((7, 7, 7), bool)
    cube[1:6, 1:6, 1:6] = True
    assert border_distances(cube, cube, (1, 1, 1)).a.size == 5**3 - 3**3
    assert border_distances(np.ones((4, 4, 4)), cube[:4, :4, :4], (1, 1, 1)).a.size == 4**3 - 2**3
    # One voxel off an edge: its neighbour over the edge is still inside.
    notched = cube.copy()
    notched[1, 1, 3] = False
    added = border_distances(notched, cube, (1, 1, 1)).a.size - (5**3 - 3**3 - 1)
    assert added == 0


def test_a_small_border_counts_as_much_as_a_large_one_in_the_directed_mean_alone() -> None:
    large = np.zeros((20, 20, 20), bool)
    large[2:18, 2:18, 2:18] = True
    dot = np.zeros_like(large)
    dot[2, 2, 2] = True
    found = border_distances(large, dot, (1, 1, 1))
    assert found.b.tolist() == [0]
    assert found.directed_assd() == pytest.approx(found.a.mean() / 2)
    assert found.assd() == pytest.approx(found.a.mean(), rel=0.01)


@pytest.mark.parametrize("measure", [surface_distances, border_distances])
def test_empty_masks_are_infinitely_far_or_have_no_distance(measure: object) -> None:
    full, empty = np.ones((3, 3, 3), bool), np.zeros((3, 3, 3), bool)
    assert callable(measure)
    for pair in ((full, empty), (empty, full)):
        assert measure(*pair, (1, 1, 1)).directed_assd() == math.inf
    assert math.isnan(measure(empty, empty, (1, 1, 1)).directed_assd())


def test_the_directed_mean_weighs_surfaces_by_area() -> None:
    a, b = blob(3), blob(4)
    found = surface_distances(a, b, (3.0, 1.0, 1.0))
    one, other = (np.average(d, weights=w) for d, w in ((found.a, found.a_areas), (found.b, found.b_areas)))
    assert found.directed_assd() == pytest.approx((one + other) / 2)
    assert found.directed_assd() != pytest.approx(found.assd(), rel=1e-6)


def test_masks_of_two_grids_are_refused() -> None:
    with pytest.raises(SegToolkitError, match="cannot be compared"):
        border_distances(np.ones((2, 2, 2)), np.ones((2, 2, 3)), (1, 1, 1))
