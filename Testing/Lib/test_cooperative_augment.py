"""Cooperative training: offsets of slices, and their random changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cooperative_cases import made_heart
from SegToolkitLib.methods.cooperative import augment
from SegToolkitLib.methods.cooperative.augment import Drawn, Elastic, affine, augmented, changed, draw
from SegToolkitLib.methods.cooperative.data_settings import AugmentSettings
from SegToolkitLib.methods.cooperative.slices import centre, fitted, padded, rescaled
from SegToolkitLib.volume import Volume
from SegToolkitLib.volume.slicewise import FitInPlane

STILL = AugmentSettings(
    pad=48,
    flip_columns=0,
    flip_rows=0,
    contrast_probability=0,
    rotation_degrees=0,
    shift=0,
    zoom=(1, 1),
    turn_degrees=None,
    elastic_probability=0,
)
LIVELY = AugmentSettings(pad=48, elastic_probability=1, contrast_probability=1)


def heart(size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    image, label = made_heart(1, (3, size, size))
    return (image.voxels[2] / 255).astype(np.float32), label.voxels[2]


# -- sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "wanted", "first"),
    # Index 0 of the result is this index of the source.
    [(7, 7, 0), (8, 5, 1), (9, 5, 2), (5, 8, -2), (5, 9, -2), (4, 9, -3)],
)
def test_a_slice_is_fitted_with_the_smaller_half_cut_in_front_and_the_larger_added(
    n: int, wanted: int, first: int
) -> None:
    line = np.arange(1, n + 1)
    expected = [line[k] if 0 <= k < n else 0 for k in range(first, first + wanted)]
    assert fitted(line[None], (1, wanted))[0].tolist() == expected
    assert fitted(line[:, None], (wanted, 1))[:, 0].tolist() == expected
    # Volumes and single slices must meet the networks alike.
    volume = Volume(line[None, :, None], (1, 1, 5), (0, 0, 0), np.eye(3))
    assert FitInPlane((wanted, 1)).apply(volume)[0].voxels[0, :, 0].tolist() == expected


@pytest.mark.parametrize(("n", "wanted", "front"), [(4, 7, 2), (4, 8, 2), (4, 3, 0), (4, 4, 0)])
def test_padding_continues_the_least_values_and_only_the_background(n: int, wanted: int, front: int) -> None:
    image = 10 + np.arange(n * 6.0).reshape(n, 6)
    label = np.ones((n, 6), np.uint8)
    wide, its_label = padded(image, label, (wanted, 6))
    assert wide.shape == its_label.shape == (max(n, wanted), 6)
    assert (wide[front : front + n] == image).all()
    outside = np.r_[0:front, front + n : max(n, wanted)]
    assert (wide[outside] == image.min(0)).all()
    assert its_label.sum() == label.sum()


@pytest.mark.parametrize(("n", "start"), [(5, 0), (6, 1), (7, 1), (8, 2)])
def test_the_centre_loses_the_larger_half_in_front(n: int, start: int) -> None:
    rows, columns = centre((n, 5), (5, 5))
    assert (rows, columns) == (slice(start, start + 5), slice(0, 5))


def test_a_slice_without_contrast_becomes_zero() -> None:
    assert not rescaled(np.full((4, 4), 7.0)).any()
    assert rescaled(np.array([[1.0, 3.0]])).tolist() == [[0, pytest.approx(1)]]


# -- drawing -------------------------------------------------------------------------------------------------


def test_the_generator_alone_decides() -> None:
    image, label = heart()
    results = [augmented(image, label, LIVELY, (32, 32), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert (results[0][0] == results[1][0]).all()
    assert (results[0][1] == results[1][1]).all()
    assert (results[0][0] != results[2][0]).any()


def test_draws_keep_their_ranges_and_probabilities() -> None:
    rng = np.random.default_rng(0)
    draws = [draw((40, 40), AugmentSettings(), rng) for _ in range(2000)]
    for share, found in [
        (0.2, [one.flip_columns for one in draws]),
        (0.2, [one.flip_rows for one in draws]),
        (0.5, [one.contrast is not None for one in draws]),
        (0.5, [one.elastic is not None for one in draws]),
    ]:
        assert np.mean(found) == pytest.approx(share, abs=0.04)
    for low, high, numbers in [
        (-15, 15, [one.rotation for one in draws]),
        (-0.1, 0.1, [one.shift for one in draws]),
        (0.8, 1.1, [one.zoom for one in draws]),
        (0.8, 1.2, [one.contrast[0] for one in draws if one.contrast]),
        (-0.1, 0.1, [one.contrast[1] for one in draws if one.contrast]),
        (60, 80, [one.elastic.alpha for one in draws if one.elastic]),
        (3, 6, [one.elastic.sigma for one in draws if one.elastic]),
    ]:
        edge = 0.02 * (high - low)
        assert low <= np.min(numbers) < low + edge
        assert high - edge < np.max(numbers) <= high
    turns, counts = np.unique([one.turn for one in draws], return_counts=True)
    assert turns.tolist() == [45 * n for n in range(8)]
    assert counts.min() > 180
    noise = next(one.elastic.noise for one in draws if one.elastic)
    assert noise.shape == (2, 40, 40)
    assert -1 <= noise.min() < -0.95 < 0.95 < noise.max() <= 1


@pytest.mark.parametrize(
    "wrong", [{"zoom": (1.1, 0.8)}, {"zoom": (0, 1)}, {"elastic_sigma": (-1, 1)}, {"turn_degrees": 0}]
)
def test_ranges_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AugmentSettings(**wrong)


# -- applying ------------------------------------------------------------------------------------------------


def test_where_nothing_is_drawn_only_range_and_size_change() -> None:
    image, label = heart(44)
    found, its_label = augmented(image, label, STILL, (32, 32), np.random.default_rng(0))
    np.testing.assert_array_equal(its_label, label[6:38, 6:38])
    np.testing.assert_allclose(found, rescaled(image[6:38, 6:38]), atol=1e-6)


def test_a_pad_below_the_crop_is_raised_to_it() -> None:
    image, label = heart(20)
    found, its_label = augmented(image, label, STILL, (64, 64), np.random.default_rng(0))
    assert found.shape == its_label.shape == (64, 64)
    assert its_label.sum() == label.sum()


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (Drawn(flip_columns=True), lambda plane: plane[:, ::-1]),
        (Drawn(flip_rows=True), lambda plane: plane[::-1]),
        (Drawn(turn=180.0), lambda plane: plane[::-1, ::-1]),
        # Clockwise as rows run down: what was on the right comes from the top.
        (Drawn(turn=90.0), lambda plane: np.rot90(plane, -1)),
        (Drawn(turn=270.0), lambda plane: np.rot90(plane, 1)),
        (Drawn(shift=(0.125, 0.0)), lambda plane: np.roll(plane, -6, 0)),
        (Drawn(shift=(0.0, -0.0625)), lambda plane: np.roll(plane, 3, 1)),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_movements_by_whole_pixels(drawn: Drawn, expected: Any, at_once: bool) -> None:
    image, label = heart()
    found, its_label = changed(image, label, drawn, (32, 32), at_once)
    inner = np.s_[8:40, 8:40]
    np.testing.assert_array_equal(its_label, expected(label)[inner])
    np.testing.assert_allclose(found, expected(image)[inner], atol=1e-5)


@pytest.mark.parametrize("at_once", [False, True])
def test_zoom_is_another_for_each_axis_and_below_one_magnifies(at_once: bool) -> None:
    _, label = heart()
    square = np.zeros((48, 48), np.uint8)
    square[20:28, 20:28] = 1
    _, found = changed(label.astype(np.float32), square, Drawn(zoom=(0.5, 0.8)), (48, 48), at_once)
    rows, columns = np.nonzero(found)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (16, 10)


def test_affine_agrees_with_torch() -> None:
    rng = np.random.default_rng(3)
    image = rng.random((24, 30)).astype(np.float32)
    matrix = affine(image.shape, 20, (0.05, -0.1), (0.9, 1.05))
    rows, columns = augment._places(matrix, np.indices(image.shape).reshape(2, -1), image.shape)
    grid = torch.tensor(np.stack([(2 * columns + 1) / 30 - 1, (2 * rows + 1) / 24 - 1], -1)).float()
    expected = F.grid_sample(
        torch.from_numpy(image)[None, None], grid.reshape(1, 24, 30, 2), align_corners=False
    )
    found, _ = augment.transformed(image, image, matrix)
    inside = ((rows > 0) & (rows < 22) & (columns > 0) & (columns < 28)).reshape(24, 30)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(found[inside], expected[0, 0].numpy()[inside], atol=1e-4)


def test_borders_continue_and_the_last_pixel_is_not_reached() -> None:
    plane = np.arange(6, dtype=np.float32)[:, None] * np.ones((6, 6), np.float32)
    found, label = augment.transformed(plane, plane, affine(plane.shape, 0, (2 / 6, 0)))
    assert found[:, 0] == pytest.approx([2, 3, 4, 4, 4, 4])
    assert label[:, 0].tolist() == [2, 3, 4, 5, 5, 5]


def test_contrast_is_cut_off_at_the_range_that_was() -> None:
    image, _ = heart()
    found = augment.contrasted(image, 1.2, 0.05)
    assert (found.min() > image.min(), found.max() == image.max()) == (True, True)
    inside = found < image.max()
    np.testing.assert_allclose(found[inside], (image * 1.2 + 0.05)[inside], rtol=1e-5)


def test_a_deformation_moves_image_and_label_alike() -> None:
    rng = np.random.default_rng(2)
    _, label = heart()
    image = label.astype(np.float32)
    elastic = Elastic(70.0, 4.0, 2 * rng.random((2, 48, 48)) - 1)
    found, its_label = augment.deformed(image, label, elastic)
    assert 0.02 < (its_label != label).mean() < 0.5
    # Where a pixel lies inside one structure, both say so.
    clear = np.abs(found - np.rint(found)) < 0.02
    assert clear.mean() > 0.6
    assert (np.rint(found)[clear] == its_label[clear]).mean() > 0.99
    columns, rows = augment.displacement(elastic)
    place = (20, 30)
    source = np.rint([place[0] + rows[place], place[1] + columns[place]]).astype(int)
    assert its_label[place] == label[tuple(source)]


@pytest.mark.parametrize("seed", range(4))
def test_one_interpolation_moves_like_many_and_blurs_less(seed: int) -> None:
    image, label = heart()
    drawn = draw((48, 48), LIVELY, np.random.default_rng(seed))
    several, its_label = changed(image, label, drawn, (32, 32))
    once, its_label_once = changed(image, label, drawn, (32, 32), one_interpolation=True)
    assert (its_label == its_label_once).mean() > 0.95
    assert np.corrcoef(several.ravel(), once.ravel())[0, 1] > 0.9
    sharpness = [float(np.abs(np.diff(one, axis=0)).mean()) for one in (several, once)]
    assert sharpness[1] > sharpness[0]


def test_the_source_stays_as_it_was() -> None:
    image, label = heart()
    image.setflags(write=False)
    label.setflags(write=False)
    kept = image.copy()
    augmented(image, label, LIVELY, (32, 32), np.random.default_rng(1))
    assert (image == kept).all()
