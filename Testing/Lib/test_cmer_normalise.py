"""Slices and maps on a common scale, on numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SegToolkitLib.methods.cmer.normalise import (
    VOLUME_LEAST,
    VOLUME_MEAN,
    foreground,
    normalised,
    standardised,
)
from SegToolkitLib.methods.cmer.plan import InputPlan
from SegToolkitLib.methods.cmer.prepare import stacked
from SegToolkitLib.volume import Volume


def noise(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 2, 5, 7), (4, 9), (2, 16, 16)])
def test_each_plane_is_standardised_by_itself_with_the_unbiased_deviation(shape: tuple[int, ...]) -> None:
    slices = 7 + 3 * noise(*shape)
    planes = slices.double().numpy()
    mean, std = planes.mean((-2, -1), keepdims=True), planes.std((-2, -1), ddof=1, keepdims=True)
    np.testing.assert_allclose(standardised(slices), (planes - mean) / std, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 1e5, -7.7])
def test_a_slice_of_one_value_becomes_exactly_zero(value: float) -> None:
    slices = noise(1, 2, 240, 240)
    slices[:, 0] = value
    found = standardised(slices)
    assert not found[:, 0].any()
    assert found[:, 1].std() == pytest.approx(1)


def test_neither_scale_nor_offset_of_a_slice_matters() -> None:
    slices = noise(2, 1, 12, 12)
    torch.testing.assert_close(standardised(250 * slices + 90), standardised(slices), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float16, torch.int16])
def test_small_types_are_counted_in_full(kind: torch.dtype) -> None:
    slices = (100 + 20 * noise(1, 1, 64, 64)).to(kind)
    torch.testing.assert_close(standardised(slices), standardised(slices.float()))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([-1.0, 0.0, 2.0, 4.0], [0, 0, 0.5, 1]),
        ([1.0, 2.0, 3.0, 5.0], [0, 0.25, 0.5, 1]),
        ([-4.0, -3.0, -2.0, -1.0], [0, 0, 0, 0]),
        ([0.0, 0.0, 0.0, 0.0], [0, 0, 0, 0]),
        ([2.0, 2.0, 2.0, 2.0], [0, 0, 0, 0]),
        ([-5.0, -5.0, -5.0, 1e-3], [0, 0, 0, 1]),
    ],
)
def test_maps_reach_from_their_least_positive_value_to_their_largest(
    raw: list[float], expected: list[float]
) -> None:
    found = normalised(torch.tensor(raw).reshape(1, 1, 2, 2))
    np.testing.assert_allclose(found.flatten(), expected, atol=2e-5)


def test_the_gradient_flows_through_both_extremes() -> None:
    raw = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64).requires_grad_()
    normalised(raw)[0, 1].backward()
    # (2 - 1) / (5 - 1): the value itself, the least and the largest one.
    wanted = torch.tensor([[-1 / 4 + 1 / 16, 1 / 4], [0, -1 / 16]], dtype=torch.float64)
    assert raw.grad is not None
    torch.testing.assert_close(raw.grad, wanted, atol=1e-6, rtol=0)


def test_a_map_without_a_positive_pixel_has_no_gradient_and_no_nan() -> None:
    raw = (-noise(1, 1, 4, 4).abs()).requires_grad_()
    (normalised(raw) * noise(1, 1, 4, 4, seed=4)).sum().backward()
    assert raw.grad is not None
    assert not raw.grad.any()


def volume_of(background: float, body: np.ndarray) -> Volume:
    """Slices (k, j, i) of a body in the middle of a background."""
    voxels = np.full((len(body), 16, 16), background, np.float32)
    voxels[:, 4:12, 4:12] = body
    return Volume(voxels, (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), np.eye(3))


WHOLE = InputPlan(percentiles=None, standardise="volume")


@pytest.mark.parametrize(("background", "shift"), [(0.0, 300.0), (-1000.0, 0.0)])
def test_a_bright_object_does_not_darken_the_rest_of_its_slice(background: float, shift: float) -> None:
    """In CT, whose 0 is water, the background is what has the least value."""
    body = np.random.default_rng(4).normal(shift, 20, (3, 8, 8)).astype(np.float32)
    body[1, :3, :3] += 400
    pixels = torch.from_numpy(stacked({"MR": volume_of(background, body)}, WHOLE).pixels)
    found = standardised(pixels, "volume")[:, 0]
    inside = found[:, 4:12, 4:12]
    np.testing.assert_allclose(inside, (body - body.mean()) / body.std(), atol=1e-4)
    found[:, 4:12, 4:12] = 0
    assert not found.any()
    # Tissue has the same value beside the object and in slices without it; slice by slice it has not.
    beside, without = inside[1, 4:].mean(), inside[[0, 2], 4:].mean()
    assert abs(beside - without) < 0.1
    by_slice = standardised(pixels, "foreground")[:, 0, 8:12, 4:12]
    assert abs(by_slice[1].mean() - by_slice[[0, 2]].mean()) > 0.3


def test_what_is_darkest_in_a_volume_is_no_background() -> None:
    body = np.full((2, 8, 8), 500.0, np.float32)
    body[0, 0, 0] = 1.0
    pixels = torch.from_numpy(stacked({"MR": volume_of(0, body)}, WHOLE).pixels)
    assert foreground(pixels)[0, 0].sum() == 64
    assert standardised(pixels, "volume")[0, 0, 4, 4] == pytest.approx(VOLUME_LEAST - VOLUME_MEAN)
    # Where a slice is all foreground, its darkest pixel is no background either.
    full = torch.tensor([[[1.0, 3.0], [4.0, 5.0]]])
    assert standardised(full, "volume").tolist() == [[[-3.0, -1.0], [0.0, 1.0]]]
    flat = stacked({"MR": volume_of(0, np.full((2, 8, 8), 7.0, np.float32))}, WHOLE)
    assert not standardised(torch.from_numpy(flat.pixels), "volume").any()
    empty = stacked({"MR": volume_of(0, np.zeros((2, 8, 8), np.float32))}, WHOLE)
    assert empty.constant.all()
    assert not empty.pixels.any()
