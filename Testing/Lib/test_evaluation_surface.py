"""Surface distances: held against the published way of computing them, and where they are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.ndimage import correlate, distance_transform_edt, gaussian_filter

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.evaluation.surface import surface_areas, surface_codes, surface_distances

SPACINGS = [(1.0, 1.0, 1.0), (2.5, 0.8, 0.8), (5.0, 2.0, 2.2), (0.7, 3.0, 1.1)]


def blob(seed: int, shape: tuple[int, int, int] = (18, 22, 26)) -> np.ndarray:
    """Something with many shapes of surface, cut off by the border of the array."""
    return gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2) > 0.02


def reference(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float]) -> list[np.ndarray]:
    """The published way: codes by correlation, distances by a distance map of the joint, padded box."""
    kernel = (2 ** np.arange(8)[::-1]).reshape(2, 2, 2)
    box = tuple(slice(n.min(), n.max() + 1) for n in np.nonzero(a | b))
    codes = [
        correlate(np.pad(one[box], (0, 1)).astype(np.uint8), kernel.astype(np.uint8), mode="constant")
        for one in (a, b)
    ]
    borders = [(code != 0) & (code != 255) for code in codes]
    maps = [distance_transform_edt(~border, sampling=spacing) for border in borders]
    areas = [surface_areas(spacing)[code[border]] for code, border in zip(codes, borders, strict=True)]
    return [maps[1][borders[0]], maps[0][borders[1]], *areas]


@pytest.mark.parametrize(("seed", "spacing"), list(enumerate(SPACINGS)))
def test_distances_and_areas_are_those_of_the_published_way(
    seed: int, spacing: tuple[float, float, float]
) -> None:
    a, b = blob(seed), blob(seed + 10)
    got = surface_distances(a, b, spacing)
    for mine, theirs in zip((got.a, got.b, got.a_areas, got.b_areas), reference(a, b, spacing), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    first, second, first_areas, second_areas = reference(a, b, spacing)
    for tolerance in (0.0, 1.0, 2.0, 4.4):
        near = first_areas[first <= tolerance].sum() + second_areas[second <= tolerance].sum()
        assert got.nsd(tolerance) == pytest.approx(near / (first_areas.sum() + second_areas.sum()))


def test_the_code_of_a_corner_lists_its_eight_voxels_in_order() -> None:
    mask = blob(3, (5, 6, 7))
    kernel = (2 ** np.arange(8)[::-1]).reshape(2, 2, 2).astype(np.uint8)
    expected = correlate(np.pad(mask, (0, 1)).astype(np.uint8), kernel, mode="constant")
    np.testing.assert_array_equal(surface_codes(mask), expected)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_areas_do_not_depend_on_which_side_is_inside_or_how_the_axes_are_ordered(
    spacing: tuple[float, float, float],
) -> None:
    areas = surface_areas(spacing)
    np.testing.assert_allclose(areas, areas[::-1])
    assert areas[0] == areas[255] == 0
    assert (areas[1:255] > 0).all()
    cubes = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).reshape(256, 2, 2, 2)
    for order in itertools.permutations(range(3)):
        turned = np.packbits(cubes.transpose(0, *(1 + axis for axis in order)).reshape(256, 8), axis=1)[:, 0]
        np.testing.assert_allclose(surface_areas(tuple(spacing[axis] for axis in order))[turned], areas)


def test_a_plane_has_the_area_of_its_voxels() -> None:
    code = int(np.packbits([1, 1, 1, 1, 0, 0, 0, 0])[0])
    assert surface_areas((2.5, 0.8, 0.7))[code] == pytest.approx(0.8 * 0.7)


@pytest.mark.parametrize("shift", [1, 3, 7, 10])
@pytest.mark.parametrize("step", [0.7, 0.1, 1.3, 2.0])
def test_a_surface_at_exactly_the_tolerance_is_within_it(shift: int, step: float) -> None:
    a = np.zeros((30, 6, 6), bool)
    a[4:12, 1:5, 1:5] = True
    b = np.roll(a, shift, axis=0)
    distances = surface_distances(a, b, (step, 50.0, 50.0))
    assert distances.nsd(math.sqrt((shift * step) ** 2)) == 1.0
    assert distances.nsd(math.nextafter(shift * step, 0) * (1 - 1e-12)) < 1.0
    assert distances.hd95() == pytest.approx(shift * step)


def test_robust_distance_ignores_a_twentieth_of_the_area_and_the_worse_direction_counts() -> None:
    a = np.zeros((40, 40, 40), bool)
    a[10:30, 10:30, 10:30] = True
    b = a.copy()
    b[10, 10, 34] = True  # far off, but a hair of the area
    distances = surface_distances(a, b, (1, 1, 1))
    assert distances.hd95() == 0.0
    assert distances.hd95(100) == pytest.approx(5.0)
    assert 0 < distances.assd() < 0.1
    back = surface_distances(b, a, (1, 1, 1))
    assert (back.hd95(100), back.assd()) == (distances.hd95(100), distances.assd())


def test_two_equal_masks_that_fill_the_array_agree() -> None:
    full = np.ones((3, 4, 5), np.int16)
    distances = surface_distances(full, full * 7, (1, 2, 3))
    assert (distances.nsd(0.0), distances.hd95(), distances.assd()) == (1.0, 0.0, 0.0)
    # Beyond the array is outside, so that the box has a surface all around, but for its edges and corners.
    assert 0.8 < distances.a_areas.sum() / (2 * (8 * 15 + 15 * 3 + 3 * 8)) < 1.0


@pytest.mark.parametrize(
    ("a", "b", "nsd", "hd95"), [(0, 0, 1.0, math.nan), (1, 0, 0.0, math.inf), (0, 1, 0.0, math.inf)]
)
def test_empty_masks(a: int, b: int, nsd: float, hd95: float) -> None:
    box = np.zeros((4, 4, 4), bool)
    box[1:3, 1:3, 1:3] = True
    distances = surface_distances(box * bool(a), box * bool(b), (1, 1, 1))
    assert distances.nsd(3.0) == nsd
    np.testing.assert_equal((distances.hd95(), distances.assd()), (hd95, hd95))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(SegToolkitError, match="cannot be compared"):
        surface_distances(np.ones((2, 2, 2)), np.ones((2, 2, 3)), (1, 1, 1))
    with pytest.raises(SegToolkitError, match="cannot be compared"):
        surface_distances(np.ones((2, 2)), np.ones((2, 2)), (1, 1, 1))
    with pytest.raises(SegToolkitError, match="cannot be compared"):
        overlaps(np.ones(3, int), np.ones(4, int), [1])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_overlaps_count_each_label_and_both_empty_is_as_asked(dtype: type) -> None:
    a = np.array([0, 1, 1, 1, 2, 9], dtype)
    b = np.array([0, 1, 1, 2, 2, 0], dtype)
    found = overlaps(a, b, [2, 1, 7])
    assert found.both.tolist() == [1, 2, 0]
    np.testing.assert_allclose(found.dice(), [2 / 3, 4 / 5, 1.0])
    assert math.isnan(found.dice(both_empty=math.nan)[2])
    assert overlaps(a > 0, b > 0, [1]).dice().tolist() == [2 * 4 / (5 + 4)]


@pytest.mark.parametrize("wrong", [np.array([0.0, 1.0]), np.array([0, -1])])
def test_labels_that_are_no_counting_numbers_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(SegToolkitError, match="whole numbers from 0"):
        overlaps(wrong, wrong, [1])
