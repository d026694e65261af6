"""Steps of preparation: what they do, what they remember, what they refuse."""

import json

import numpy as np
import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import (
    ClipPercentile,
    CropBox,
    CropPad,
    PadToMultiple,
    Reorient,
    Resample,
    Volume,
    Window,
    ZScore,
    prepare,
)
from volume_cases import (
    ellipsoid,
)


def test_colour_picture_goes_through_preparation_and_back():
    voxels = np.random.default_rng(0).integers(0, 255, (1, 9, 11, 3)).astype(np.uint8)
    picture = Volume(voxels, (1, 1, 1), (0, 0, 0), np.eye(3))
    exact = prepare(picture, [Reorient("RAS"), CropPad((16, 16, 1), fill=0)])
    assert exact.volume.shape == (1, 16, 16, 3)
    assert np.array_equal(exact.restore(exact.volume, label=False).voxels, voxels)
    assert prepare(picture, [Resample((2, 2, None))]).volume.shape == (1, 5, 6, 3)


def test_history_is_json_with_what_each_step_found():
    volume = Volume(np.arange(60.0).reshape(3, 4, 5), (1, 1, 2), (0, 0, 0), np.eye(3), "scan")
    steps = [
        Reorient("RAS"),
        ClipPercentile(90),
        Window(5, 50),
        ZScore(),
        CropPad((8, None, None)),
        Resample((2, 2, 2)),
    ]
    prepared = prepare(volume, steps)
    history = json.loads(json.dumps(prepared.history))
    assert [h["step"] for h in history] == ["input", *[type(s).__name__ for s in steps]]
    assert history[2]["found"]["high"] == pytest.approx(np.percentile(volume.voxels, 90))
    assert history[4]["found"]["std"] > 0
    assert history[5]["found"]["start"] == [-2, 0, 0]
    assert history[-1]["size_ijk"] == list(prepared.volume.grid.size)


def test_intensity_steps_change_values_only():
    voxels = np.random.default_rng(0).normal(100, 30, (6, 7, 8))
    volume = Volume(voxels, (1, 1, 1), (0, 0, 0), np.eye(3))
    normal = ZScore().apply(volume)[0].voxels
    assert normal.dtype == np.float32
    assert (normal.mean(), normal.std()) == pytest.approx((0, 1), abs=1e-5)
    assert ZScore(mean=100, std=30).apply(volume)[0].voxels == pytest.approx((voxels - 100) / 30, abs=1e-5)
    assert np.array_equal(ZScore().apply(volume.with_voxels(np.full(voxels.shape, 5)))[0].voxels, 0 * voxels)
    assert np.array_equal(Window(80, 120).apply(volume)[0].voxels, voxels.clip(80, 120))
    whole = volume.with_voxels(voxels.astype(np.int16))
    clipped = ClipPercentile(80, bottom=10).apply(whole)[0].voxels
    assert clipped.dtype == np.int16
    assert clipped.max() == int(np.percentile(whole.voxels, 80))
    small = volume.with_voxels(voxels.clip(0, 255).astype(np.uint8))
    assert np.array_equal(Window(-1000, 1000).apply(small)[0].voxels, small.voxels)


def test_padding_takes_the_minimum_or_the_value_and_labels_take_zero():
    volume = Volume(np.full((2, 2, 2), 7, np.uint8), (1, 1, 1), (0, 0, 0), np.eye(3))
    assert CropPad((4, 2, 2)).apply(volume)[0].voxels.min() == 7
    wide = CropPad((4, 2, 2), fill=-1024).apply(volume)[0].voxels
    assert (wide.min(), wide.max()) == (-1024, 7)
    assert CropPad((4, 2, 2)).apply(volume, label=True)[0].voxels.min() == 0


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Reorient("LPP"), "orientation-code"),
        (lambda: Reorient("XYZ"), "orientation-code"),
        (lambda: Resample((0.0, 1, 1)), "bad-spacing"),
        (lambda: CropPad((0, 1, 1)), "crop-size"),
        (lambda: PadToMultiple((0, 1, 1)), "crop-size"),
        (lambda: Window(5, 5), "bad-window"),
        (lambda: ClipPercentile(101), "bad-window"),
        (lambda: Volume(np.zeros((2, 2)), (1, 1, 1), (0, 0, 0), np.eye(3)), "not-3d"),
        (lambda: Volume(np.zeros((2, 2, 2, 3)), (1, 1, 1), (0, 0, 0), np.eye(3)), "not-3d"),
        (lambda: Volume(np.zeros((0, 2, 2)), (1, 1, 1), (0, 0, 0), np.eye(3)), "no-voxels"),
        (lambda: Volume(np.zeros((2, 2, 2), complex), (1, 1, 1), (0, 0, 0), np.eye(3)), "complex-voxels"),
        (lambda: Volume(np.zeros((2, 2, 2)), (1, 0, 1), (0, 0, 0), np.eye(3)), "bad-spacing"),
        (lambda: Volume(np.zeros((2, 2, 2)), (1, 1, 1), (0, np.nan, 0), np.eye(3)), "bad-origin"),
        (
            lambda: Volume(np.zeros((2, 2, 2)), (1, 1, 1), (0, 0, 0), np.ones((3, 3)) / 3**0.5),
            "singular-direction",
        ),
        (lambda: Volume(np.zeros((2, 2, 2)), (1, 1, 1), (0, 0, 0), 2 * np.eye(3)), "bad-direction"),
        (
            lambda: prepare(
                ellipsoid((2, 2, 2), (1, 1, 1), (0, 0, 0), np.eye(3)), [CropBox((0, 0, 0), (99, 1, 1))]
            ),
            "crop-outside",
        ),
    ],
)
def test_impossible_settings_are_refused_with_a_hint(make, code):
    with pytest.raises(SegToolkitError) as caught:
        make()
    assert caught.value.code == code
    assert caught.value.hint


def test_result_on_another_grid_is_not_restored():
    volume = ellipsoid((4, 4, 4), (1, 1, 1), (0, 0, 0), np.eye(3))
    prepared = prepare(volume, [CropPad((8, 8, 8))])
    with pytest.raises(SegToolkitError, match="not on the grid") as caught:
        prepared.restore(volume)
    assert caught.value.code == "not-on-prepared-grid"
