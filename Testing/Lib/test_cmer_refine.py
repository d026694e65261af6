"""WSS-CMER: from maps to a mask."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.refine import refine
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.smoothing import smoothed
from SegToolkitLib.volume import Volume

SHAPE = (6, 40, 40)
PLAIN: dict[str, Any] = {"smoothing": "none", "smallest_ml": 0, "fill_holes": False, "supported": False}


def volume(voxels: np.ndarray, spacing: tuple[float, float, float] = (1, 1, 3)) -> Volume:
    return Volume(voxels, spacing, (3.0, -7.0, 11.0), np.eye(3))


def disc(row: float, column: float, radius: float, slices: slice = slice(1, 5)) -> np.ndarray:
    rows, columns = np.indices(SHAPE[1:])
    found = np.zeros(SHAPE, bool)
    found[slices] = np.hypot(rows - row, columns - column) < radius
    return found


def settings(**changes: Any) -> RefineSettings:
    return RefineSettings.model_validate(PLAIN | changes)


def dsc(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize(
    ("consensus", "thresholds", "expected"),
    [
        ("mean", None, [0, 0, 1, 1]),
        ("minimum", None, [0, 0, 0, 1]),
        ("maximum", None, [0, 1, 1, 1]),
        ("vote", None, [0, 0, 0, 1]),
        ("mean", 0.2, [0, 1, 1, 1]),
        ("mean", {"fused": 0.65}, [0, 0, 0, 1]),
        ("vote", {"T2": 0.9, "ADC": 0.1}, [0, 0, 0, 0]),
        # The threshold of the mean, where none is given, is the mean of theirs.
        ("mean", {"T2": 0.7, "ADC": 0.5}, [0, 0, 0, 1]),
    ],
)
def test_modalities_are_brought_to_one_map(consensus: str, thresholds: Any, expected: list[int]) -> None:
    t2 = np.array([0.1, 0.6, 0.9, 0.9], np.float32).reshape(1, 1, 4)
    adc = np.array([0.1, 0.1, 0.3, 0.9], np.float32).reshape(1, 1, 4)
    maps = {"T2": volume(t2), "ADC": volume(adc)}
    # The fused one of a model is their mean already, and not a third opinion.
    maps["fused"] = volume(np.ones_like(t2))
    found = refine({}, maps, settings(consensus=consensus), thresholds)
    assert found.mask.voxels.ravel().tolist() == expected


def test_a_fused_map_alone_is_refined() -> None:
    found = refine({}, {"fused": volume(disc(20, 20, 6).astype(np.float32))}, settings())
    np.testing.assert_array_equal(found.mask.voxels > 0, disc(20, 20, 6))


@pytest.mark.parametrize(
    ("smoothing", "region"), [("random_walker", "slice"), ("random_walker", "volume"), ("geodesic", "slice")]
)
def test_the_border_goes_to_the_edges_of_the_images(smoothing: str, region: str) -> None:
    truth = disc(20, 20, 10)
    rng = np.random.default_rng(0)
    images = {
        name: volume((100 + sign * 60 * truth + rng.normal(0, 4, SHAPE)).astype(np.float32))
        for name, sign in (("T2", 1), ("ADC", -1))
    }
    # The maps lie two pixels beside the object and are a little too small.
    rows, columns = np.indices(SHAPE[1:])
    soft = np.clip(1.6 - np.hypot(rows - 22, columns - 20) / 9, 0, 1).astype(np.float32)
    shown = truth.any((1, 2))[:, None, None]
    maps = {"T2": volume(soft * shown), "ADC": volume(soft * shown)}
    cut = refine(images, maps, settings()).mask.voxels > 0
    found = refine(images, maps, settings(smoothing=smoothing, region=region)).mask.voxels > 0
    assert dsc(found, truth) > dsc(cut, truth) + 0.02
    assert dsc(found, truth) > 0.95


def test_tags_keep_slices_empty_and_components_apart() -> None:
    body = disc(20, 20, 6, slice(1, 3)) | disc(8, 8, 4, slice(4, 6))
    maps = {"T2": volume(body.astype(np.float32))}
    tags = [None, True, False, None, None, None]
    kept = refine({}, maps, settings(), tags=tags).mask.voxels > 0
    assert kept.any((1, 2)).tolist() == [False, True, False, False, True, True]
    supported = refine({}, maps, settings(supported=True), tags=tags)
    assert (supported.mask.voxels > 0).any((1, 2)).tolist() == [False, True, False, False, False, False]
    assert any("dropped" in note for note in supported.notes)
    # Without a tag that says "visible" nothing is told of components.
    no_hint = refine({}, maps, settings(supported=True), tags=[None, None, False, None, None, None])
    assert (no_hint.mask.voxels > 0)[4:].any()


@pytest.mark.parametrize(
    ("changes", "parts", "hole"),
    [
        ({}, 3, True),
        ({"largest_only": True}, 1, True),
        # 3 mm3 a voxel: the smallest part has 4 x 9 voxels, 0.11 ml.
        ({"smallest_ml": 0.2}, 2, True),
        ({"fill_holes": True}, 3, False),
    ],
)
def test_components_follow_rules(changes: dict[str, Any], parts: int, hole: bool) -> None:
    from scipy import ndimage

    body = disc(20, 20, 8) & ~disc(20, 20, 2)
    body |= disc(34, 34, 4)
    body[1:5, 3:6, 3:6] = True
    found = refine({}, {"T2": volume(body.astype(np.float32))}, settings(**changes)).mask.voxels > 0
    assert ndimage.label(found)[1] == parts
    assert found[2, 20, 20] != hole


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_those_across_the_coarsest_axis(axis: int) -> None:
    body = np.moveaxis(disc(20, 20, 6), 0, 2 - axis)
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 3.0
    maps = {"T2": volume(body.astype(np.float32), (spacing[0], spacing[1], spacing[2]))}
    tags = [None, False, None, None, None, None]
    found = refine({}, maps, settings(), tags=tags, slices=[1, 2, 3])
    assert found.mask.same_grid(maps["T2"])
    upright = np.moveaxis(found.mask.voxels, 2 - axis, 0)
    assert upright.any((1, 2)).tolist() == [False, False, True, True, False, False]
    assert found.before.tolist() == [0, *[int(disc(20, 20, 6)[1].sum())] * 3, 0, 0]
    assert found.after.tolist() == upright.sum((1, 2)).tolist()


@pytest.mark.parametrize(
    ("most", "left_out"),
    # The box has 6 x 40 x 40 voxels at most, a slice of it 1600.
    [(100_000, 0), (2_000, 0), (1_000, 6)],
)
def test_the_time_is_bounded_by_the_number_of_voxels_that_are_looked_at(most: int, left_out: int) -> None:
    start = np.ones(SHAPE, bool)
    start[:, :5] = False
    image = np.random.default_rng(0).random(SHAPE, np.float32)
    sure, sure_not = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    sure[:, 10:20], sure_not[:, 0, 0] = True, True
    given = RefineSettings(region="volume", most_voxels=most, smoothing="random_walker")
    steps: list[tuple[int, int]] = []
    begun = time.monotonic()
    _, found = smoothed([image], start, sure, sure_not, (3, 1, 1), given, lambda *step: steps.append(step))
    assert found == left_out
    assert steps[-1] == ((1, 1) if most == 100_000 else (6, 6))
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("smoothing", ["random_walker", "geodesic"])
@pytest.mark.parametrize(
    "level",
    [0.0, 1.0, 0.6],
    ids=["nothing", "everything", "undecided"],
)
def test_maps_without_a_border_and_images_without_contrast_are_no_trouble(
    smoothing: str, level: float
) -> None:
    maps = {"T2": volume(np.full(SHAPE, level, np.float32))}
    flat = {"T2": volume(np.zeros(SHAPE, np.float32))}
    found = refine(flat, maps, settings(smoothing=smoothing))
    assert (found.mask.voxels > 0).all() == (level > 0.5)
    assert bool(found.notes) == (level == 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"maps": {}}, "no-map"),
        ({"tags": [True]}, "bad-tags"),
        ({"slices": [6]}, "bad-slices"),
        ({"thresholds": {"T1": 0.5}}, "unknown-map"),
        ({"images": {"T2": Volume(np.zeros(SHAPE), (1, 1, 3), (9.0, 0.0, 0.0), np.eye(3))}}, "channel-grid"),
    ],
)
def test_what_does_not_fit_is_told(change: dict[str, Any], code: str) -> None:
    given = {"images": {}, "maps": {"T2": volume(np.zeros(SHAPE, np.float32))}, "thresholds": None} | change
    with pytest.raises(SegToolkitError) as caught:
        refine(settings=settings(), **given)
    assert caught.value.code == code
