"""Cooperative training: volumes to slices, and results back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cooperative_cases import made_heart
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.methods.cooperative.plan import InputPlan
from SegToolkitLib.methods.cooperative.prepare import RemoveBias, ResampleInPlane, ScalePercentiles, stacked
from SegToolkitLib.volume import Reorient, Volume, read_volume
from SegToolkitLib.volume.slicewise import FitInPlane, rescaled_slices, slice_axis

KEEP = InputPlan(spacing_mm=None, crop=48)
CODES = ("LPS", "RAS", "SLP", "PSL", "ILA")


def turned(code: str) -> tuple[Volume, Volume]:
    image, label = made_heart()
    turn = Reorient(code)
    return turn.apply(image)[0], turn.apply(label)[0]


def oblique(volume: Volume) -> Volume:
    angle = np.radians(35)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(0.6), -np.sin(0.6)], [0, np.sin(0.6), np.cos(0.6)]])
    return Volume(volume.voxels, volume.spacing, volume.origin, turn @ tilt @ volume.direction)


@pytest.mark.parametrize(
    ("spacing", "shape", "axis"),
    [
        ((1.4, 1.4, 10), (8, 9, 9), 2),
        ((10, 1.4, 1.4), (9, 9, 8), 0),
        ((1.4, 8, 1.4), (9, 8, 9), 1),
        ((1, 1, 1), (9, 9, 9), 2),
        ((1.005, 1, 1), (9, 9, 9), 2),
        ((5, 1, 1), (1, 9, 9), 2),
        ((1, 1, 1), (9, 9, 1), 0),
        ((1, 1, 5), (9, 1, 9), 1),
    ],
)
def test_slices_lie_along_the_clearly_coarsest_axis(spacing: Any, shape: Any, axis: int) -> None:
    volume = Volume(np.zeros(shape), spacing, (0, 0, 0), np.eye(3))
    assert slice_axis(volume.grid) == axis


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("plan", [KEEP, InputPlan(spacing_mm=1.5, crop=48)])
def test_without_resampling_labels_come_back_bit_for_bit(code: str, plan: InputPlan) -> None:
    image, label = turned(code)
    for one in ((image, label), (oblique(image), oblique(label))):
        stack = stacked(one[0], plan)
        assert stack.pixels.shape == (5, 48, 48)
        assert stack.pixels.dtype == np.float32
        back = stack.restore(stack.label(one[1]))
        assert back.same_grid(one[0])
        np.testing.assert_array_equal(back.voxels, one[1].voxels)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("spacing", [1.0, 2.2])
def test_resampled_labels_come_back_in_place(code: str, spacing: float) -> None:
    image, label = (oblique(volume) for volume in turned(code))
    stack = stacked(image, InputPlan(spacing_mm=spacing, crop=80))
    assert stack.prepared.volume.spacing == pytest.approx((spacing, spacing, 10))
    back = stack.restore(stack.label(label))
    assert back.same_grid(image)
    # The outermost structure is a few pixels wide; a shift by one pixel would cost 0.1 and more.
    assert overlaps(back.voxels, label.voxels, [1, 2, 3]).dice().min() > (0.98 if spacing < 1.5 else 0.88)
    assert overlaps((back.voxels > 0), (label.voxels > 0), [1]).dice()[0] > 0.96


def test_what_was_cropped_comes_back_as_background() -> None:
    image, label = made_heart()
    stack = stacked(image, InputPlan(spacing_mm=None, crop=16))
    back = stack.restore(np.ones((5, 16, 16), np.uint8))
    assert back.voxels.sum() == 5 * 16 * 16
    assert back.voxels[:, 14:30, 10:26].all()
    assert stack.label(label).shape == (5, 16, 16)


def test_maps_are_interpolated() -> None:
    image, _ = made_heart()
    stack = stacked(image, InputPlan(spacing_mm=2.0, crop=48))
    back = stack.restore(np.full((5, 48, 48), 0.25, np.float32), label=False)
    assert back.voxels.dtype == np.float32
    np.testing.assert_allclose(back.voxels, 0.25, atol=1e-6)


@pytest.mark.parametrize("kind", ["int16", "uint8", "int32", "float32", "float64"])
def test_the_number_type_of_the_file_plays_no_part(kind: str) -> None:
    image, _ = made_heart()
    expected = stacked(image, KEEP).pixels
    found = stacked(image.with_voxels(np.clip(image.voxels, 0, 255).astype(kind)), KEEP).pixels
    clipped = stacked(image.with_voxels(np.clip(image.voxels, 0, 255)), KEEP).pixels
    np.testing.assert_allclose(found, clipped, atol=1e-6)
    assert np.abs(found - expected).mean() < 0.01


def test_the_input_stays_as_it_was() -> None:
    image, _ = made_heart()
    image = image.with_voxels(image.voxels.astype(np.float32))
    kept = image.voxels.copy()
    stacked(image, KEEP)
    assert (image.voxels == kept).all()


def test_intensities_are_the_volume_s_or_each_slice_s() -> None:
    image, _ = made_heart()
    whole = stacked(image, KEEP).pixels
    each = stacked(image, InputPlan(spacing_mm=None, crop=48, rescale="slice")).pixels
    assert whole[0].max() < 0.5 < whole[4].max() == 1
    assert each.max(axis=(1, 2)) == pytest.approx(1)
    np.testing.assert_array_equal(each, rescaled_slices(whole))
    bare = stacked(image, InputPlan(spacing_mm=None, crop=48, rescale="slice"), crop=False).pixels
    np.testing.assert_array_equal(bare, whole[:, 2:46, 6:42])


def test_a_volume_without_contrast_becomes_zero() -> None:
    image, _ = made_heart()
    assert not stacked(image.with_voxels(np.full(image.shape, 9)), KEEP).pixels.any()


def test_percentiles_are_told() -> None:
    image, _ = made_heart()
    scaled, found = ScalePercentiles(5, 90).apply(image)
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.percentile(image.voxels, [5, 90])))
    assert (scaled.voxels == 0).mean() == pytest.approx(0.05, abs=0.01)
    assert (scaled.voxels == 1).mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("spacing", "size"), [(1.5, (36, 44)), (0.75, (72, 88)), (1.36719, (39, 48)), (99, (1, 1))]
)
def test_the_first_voxel_stays_and_the_slices_too(spacing: float, size: tuple[int, int]) -> None:
    image, label = made_heart()
    for volume, is_label in ((image, False), (label, True)):
        found, _ = ResampleInPlane(spacing).apply(volume, label=is_label)
        assert found.grid.size == (*size, 5)
        assert found.origin == pytest.approx(volume.origin)
        assert found.spacing[2] == volume.spacing[2]
        np.testing.assert_allclose(found.voxels[:, 0, 0], volume.voxels[:, 0, 0], atol=1e-4)
        assert found.voxels.dtype == (label.voxels.dtype if is_label else found.voxels.dtype)


def test_labels_take_the_nearest_value() -> None:
    label = Volume(np.array([[[1, 2, 3, 4]]], np.uint8), (1, 1, 5), (0, 0, 0), np.eye(3))
    found, _ = ResampleInPlane(0.5).apply(label, label=True)
    # Positions 0, 0.5, ..., 3.5: halves go to the later pixel, and the last lies outside.
    assert found.voxels[0, 0].tolist() == [1, 2, 2, 3, 3, 4, 4, 0]


@pytest.mark.parametrize("slices", [1, 4])
def test_n4_takes_a_bias_field_away(slices: int) -> None:
    shape = (slices, 16, 16)
    field = np.exp(np.linspace(-0.7, 0.7, 16))[None, None]
    truth = np.full(shape, 100.0)
    truth[:, 5:11, 5:11] = 150
    volume = Volume((truth * field).astype(np.float32), (2, 2, 8), (0, 0, 0), np.eye(3))
    found, _ = RemoveBias().apply(volume)
    rest = [np.std(np.log(one / truth)) for one in (volume.voxels, found.voxels)]
    assert rest[1] < 0.75 * rest[0]
    assert found.same_grid(volume)
    coarse, told = RemoveBias(pixels=8).apply(volume)
    assert told == {"shrunk": [2, 2, 1]}
    assert np.std(np.log(coarse.voxels / truth)) < rest[0]


def test_n4_comes_first_and_passes_over_darkness() -> None:
    dark = Volume(np.zeros((4, 16, 16)), (2, 2, 8), (0, 0, 0), np.eye(3))
    stack = stacked(dark, InputPlan(n4=True, crop=16))
    steps = [type(step).__name__ for step in stack.prepared.steps]
    assert steps == ["SlicesLast", "RemoveBias", "ScalePercentiles", "ResampleInPlane", "FitInPlane"]
    assert not stack.pixels.any()


def test_a_picture_of_one_slice_works() -> None:
    image = Volume(np.random.default_rng(0).random((1, 40, 30)), (1, 1, 1), (0, 0, 0), np.eye(3))
    stack = stacked(image, InputPlan(spacing_mm=2.0, crop=32))
    assert stack.pixels.shape == (1, 32, 32)
    assert stack.restore(np.ones((1, 32, 32), np.uint8)).voxels.all()


@pytest.mark.parametrize(
    ("voxels", "code"),
    [(np.zeros((1, 4, 4, 3)), "colour-volume"), (np.full((2, 4, 4), np.nan), "not-finite")],
)
def test_what_cannot_be_sliced_is_told(voxels: np.ndarray, code: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        stacked(Volume(voxels, (1, 1, 1), (0, 0, 0), np.eye(3)), KEEP)
    assert caught.value.code == code


def test_a_size_that_makes_no_sense_is_told() -> None:
    with pytest.raises(SegToolkitError) as caught:
        FitInPlane((0, 4))
    assert caught.value.code == "crop-size"


def test_thick_slices_do_not_smooth_each_other(real_data: Path) -> None:
    image, label = (read_volume(real_data / "acdc" / f"{part}_043_f01.nii.gz") for part in ("image", "label"))
    # The true spacing is not known; any will do.
    place = ((0.8, 0.8, 10.0), image.origin, image.direction)
    stack = stacked(Volume(image.voxels, *place), InputPlan(crop=224))
    back = stack.restore(stack.label(Volume(label.voxels.astype(np.uint8), *place)))
    scores = overlaps(back.voxels, label.voxels.astype(np.uint8), [1, 2, 3]).dice()
    assert scores.min() > 0.912
    together = stack.prepared.restore(
        stack.prepared.volume.with_voxels(stack.label(Volume(label.voxels, *place)))
    )
    assert (
        scores.min()
        > overlaps(together.voxels.astype(np.uint8), label.voxels.astype(np.uint8), [2]).dice()[0]
    )
