"""The transform pi: what each kind does to pixels, and what is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage
from torch import Tensor

from SegToolkitLib.methods.cmer.augment import augmented, draw_shift, shifted
from SegToolkitLib.methods.cmer.settings import RELEASED_SIZES, AugmentSettings, TransformSettings
from SegToolkitLib.methods.cmer.transforms import (
    Flip,
    Identity,
    ReleasedRotation,
    Resize,
    Shifts,
    Transform,
    Turns,
    draw,
    scalings,
)


def noise(*shape: int, seed: int = 3) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(count: int, rows: int = 32, columns: int = 32, **changes: object) -> list[Transform]:
    settings, source = TransformSettings.model_validate(changes), generator()
    return [draw(settings, 3, rows, columns, source) for _ in range(count)]


@pytest.mark.parametrize(("horizontal", "axis"), [(True, 3), (False, 2)])
def test_flips_are_exact(horizontal: bool, axis: int) -> None:
    x = noise(2, 3, 4, 5)
    np.testing.assert_array_equal(Flip(horizontal)(x), np.flip(x.numpy(), axis))


def test_turns_are_exact_and_counter_clockwise_for_each_sample() -> None:
    x = noise(4, 2, 5, 5)
    found = Turns((0, 1, 2, 3))(x)
    for sample, turns in enumerate((0, 1, 2, 3)):
        np.testing.assert_array_equal(found[sample], np.rot90(x[sample].numpy(), turns, (1, 2)))
    # The right edge comes to the top.
    np.testing.assert_array_equal(found[1, 0, 0], x[1, 0, :, -1])


def released_rotation(plane: np.ndarray, degrees: float) -> np.ndarray:
    """Pixel by pixel, as the specification words it."""
    rows, columns = plane.shape
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    result = np.zeros_like(plane)
    for i in range(rows):
        for j in range(columns):
            du = (j + 0.5) * (columns - 1) / columns - columns / 2
            dv = (i + 0.5) * (rows - 1) / rows - rows / 2
            x = (cos * du - sin * dv + columns / 2) * columns / (columns - 1) - 0.5
            y = (sin * du + cos * dv + rows / 2) * rows / (rows - 1) - 0.5
            for row in (math.floor(y), math.floor(y) + 1):
                for column in (math.floor(x), math.floor(x) + 1):
                    if 0 <= row < rows and 0 <= column < columns:
                        weight = (1 - abs(y - row)) * (1 - abs(x - column))
                        result[i, j] += weight * plane[row, column]
    return result


@pytest.mark.parametrize("size", [(8, 8), (6, 11)])
def test_the_released_rotation_is_the_specified_one(size: tuple[int, int]) -> None:
    x, degrees = noise(3, 1, *size).double(), (90.0, 180.0, 30.0)
    found = ReleasedRotation(degrees)(x)
    for plane, angle, one in zip(x, degrees, found, strict=True):
        np.testing.assert_allclose(one[0], released_rotation(plane[0].numpy(), angle), atol=1e-12)


def test_the_released_rotation_is_a_turn_that_is_displaced() -> None:
    y, x = np.mgrid[:32, :32]
    blob = torch.from_numpy(np.exp(-((x - 9) ** 2 + (y - 13) ** 2) / 18))[None, None]
    released = ReleasedRotation((90.0,))(blob)[0, 0].numpy()
    exact = Turns((1,))(blob)[0, 0].numpy()
    apart = np.subtract(ndimage.center_of_mass(released), ndimage.center_of_mass(exact))
    assert 0.5 < np.hypot(*apart) < 1.5


@pytest.mark.parametrize("pixels", [(2.0, -1.0), (0.0, 3.0), (-1.25, 0.5), (9.0, 0.0)])
def test_shifts_are_linear_between_pixels_and_bring_zeros_in(pixels: tuple[float, float]) -> None:
    x = noise(1, 2, 7, 6).double()
    found = Shifts((pixels,))(x)
    for plane, one in zip(x[0].numpy(), found[0].numpy(), strict=True):
        wanted = ndimage.shift(np.pad(plane, 12), pixels[::-1], order=1)[12:-12, 12:-12]
        np.testing.assert_allclose(one, wanted, atol=1e-12)


@pytest.mark.parametrize("transform", [Resize(5, 9), Resize(12, 12)])
def test_scaling_keeps_corners(transform: Resize) -> None:
    x = noise(2, 1, 8, 6)
    found = transform(x)
    assert found.shape == (2, 1, transform.rows, transform.columns)
    torch.testing.assert_close(found[..., [0, -1]][..., [0, -1], :], x[..., [0, -1]][..., [0, -1], :])


@pytest.mark.parametrize(
    "transform",
    [
        Identity(),
        Flip(True),
        Turns((1, 2)),
        ReleasedRotation((90.0, 270.0)),
        Shifts(((1.5, 2.0), (-3.0, 0.25))),
        Resize(24, 24),
    ],
    ids=lambda one: type(one).__name__,
)
def test_images_and_maps_get_the_same_whatever_their_channels_and_gradients_flow(
    transform: Transform,
) -> None:
    images = noise(2, 3, 16, 16).requires_grad_()
    together = transform(images)
    for channel in range(3):
        torch.testing.assert_close(transform(images[:, channel : channel + 1])[:, 0], together[:, channel])
    together.sum().backward()
    assert images.grad is not None
    assert images.grad.any()
    # Drawn once, applied as often as one likes.
    assert torch.equal(transform(images), together)


def test_all_kinds_are_drawn_about_equally_often() -> None:
    kinds = [type(one).__name__ for one in drawn(400)]
    assert {"Flip", "Turns", "Shifts", "Resize"} == set(kinds)
    assert all(70 <= kinds.count(kind) <= 130 for kind in set(kinds))


def test_a_draw_follows_from_the_seed_and_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    assert drawn(20) == drawn(20)
    assert torch.equal(torch.get_rng_state(), before)
    settings = TransformSettings(kinds=("translation",))
    assert draw(settings, 2, 8, 8, generator(0)) != draw(settings, 2, 8, 8, generator(1))


@pytest.mark.parametrize(("rows", "quarters"), [(32, {1, 2, 3}), (40, {2})])
def test_slices_that_are_not_square_get_half_turns_alone(rows: int, quarters: set[int]) -> None:
    found = drawn(40, rows=rows, kinds=("rotation",))
    assert {turns for one in found for turns in one.quarters} == quarters  # type: ignore[attr-defined]
    assert found[0](noise(3, 1, rows, 32)).shape == (3, 1, rows, 32)


def test_released_rotations_are_quarter_turns_of_any_slices() -> None:
    found = drawn(40, rows=40, kinds=("rotation",), rotation="released")
    assert {angle for one in found for angle in one.degrees} == {90.0, 180.0, 270.0}  # type: ignore[attr-defined]


def test_translations_differ_by_sample_and_keep_to_their_share_of_each_axis() -> None:
    found = drawn(100, rows=10, columns=100, kinds=("translation",), shift=0.3)
    pixels = np.array([one.pixels for one in found])  # type: ignore[attr-defined]
    assert np.all(np.abs(pixels) <= [30, 3])
    assert np.all(np.abs(pixels).max((0, 1)) > [27, 2.7])
    assert len(np.unique(pixels[0, :, 0])) == 3


@pytest.mark.parametrize(
    ("rows", "columns", "scaling", "expected"),
    [
        (256, 256, "auto", [(size, size) for size in RELEASED_SIZES]),
        (240, 240, "auto", [(size, size) for size in RELEASED_SIZES]),
        (64, 64, "auto", [(56, 56), (64, 64), (72, 72)]),
        (240, 120, "relative", [(size, 8 * round(size / 16)) for size in range(192, 289, 8)]),
        (64, 64, "sizes", [(size, size) for size in RELEASED_SIZES]),
        (12, 12, "auto", [(12, 12)]),
    ],
)
def test_sizes_are_the_authors_or_near_the_slices_own(
    rows: int, columns: int, scaling: str, expected: list[tuple[int, int]]
) -> None:
    settings = TransformSettings(scaling=scaling)
    assert scalings(settings, rows, columns) == [Resize(*size) for size in expected]
    found = drawn(60, rows, columns, kinds=("scaling",), scaling=scaling)
    assert {(one.rows, one.columns) for one in found} <= set(expected)  # type: ignore[attr-defined]


def test_without_kinds_nothing_changes() -> None:
    assert drawn(3, kinds=()) == [Identity()] * 3


@pytest.mark.parametrize(
    "change",
    [{"kinds": ("shear",)}, {"kinds": ("scaling", "scaling")}, {"scale_range": (1.2, 0.8)}, {"sizes": ()}],
)
def test_settings_that_make_no_sense_are_refused(change: dict) -> None:
    with pytest.raises(ValidationError):
        TransformSettings(**change)


@pytest.mark.parametrize("pixels", [(2, -1), (0, 0), (-3, 2), (5, 0), (0, -9)])
def test_the_shift_of_a_training_slice_moves_whole_pixels(pixels: tuple[int, int]) -> None:
    slices = 1 + noise(2, 4, 5)
    found = shifted(slices, torch.tensor([pixels, (0, 0)]))
    wanted = ndimage.shift(slices[0].numpy(), pixels[::-1], order=0, mode="constant")
    np.testing.assert_array_equal(found[0], wanted)
    assert torch.equal(found[1], slices[1])


@pytest.mark.parametrize(("modalities", "different"), [("together", 1), ("released", 3)])
def test_modalities_are_shifted_together_unless_as_released(modalities: str, different: int) -> None:
    settings, source = AugmentSettings(modalities=modalities), generator()
    found = torch.stack([draw_shift(settings, 3, 40, 100, source) for _ in range(200)])
    assert found.shape == (200, 3, 2)
    assert max(len(set(map(tuple, one.tolist()))) for one in found) == different
    assert found.abs().amax((0, 1)).tolist() == [10, 4]


def test_an_augmented_slice_follows_from_the_seed_and_0_leaves_it_alone() -> None:
    slices = noise(2, 20, 20)
    one, same = (augmented(slices, AugmentSettings(), generator(5)) for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, slices)
    assert torch.equal(augmented(slices, AugmentSettings(shift=0), generator()), slices)
