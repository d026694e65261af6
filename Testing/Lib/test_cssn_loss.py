"""Losses, pseudo-labels and the layers around the networks, on numbers that can be checked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from SegToolkitLib.methods.cssn.layers import normalised, resample
from SegToolkitLib.methods.cssn.loss import dice_loss, focal_loss, segmentation_loss
from SegToolkitLib.methods.cssn.plan import Intensity
from SegToolkitLib.methods.cssn.pseudo import cross_losses, pseudo_labels
from SegToolkitLib.methods.cssn.settings import CrossSettings, LossSettings

ALL_LOSSES = [LossSettings(kind=kind) for kind in ("dice", "dice_bce", "dice_focal")]
DICE = LossSettings(kind="dice")


def noise(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def line(*values: float) -> Tensor:
    """One sample, one organ, as many voxels as values."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, 1, -1)


def target_of(*shape: int) -> Tensor:
    return (noise(*shape, seed=9) > 0.5).float()


@pytest.mark.parametrize(
    ("probability", "target", "expected"),
    [
        ((1.0, 0.0), (1, 0), 0.0),
        ((0.0, 1.0), (1, 0), 1.0),
        ((0.5, 0.5), (1, 0), 1 - 2 * 0.5 / (0.5 + 1)),
        ((0.2, 0.1), (0, 0), 1.0),
        ((0.0, 0.0), (0, 0), 0.0),
    ],
    ids=["right", "wrong", "half", "absent organ that is found", "absent organ"],
)
def test_dice_has_squares_below(probability: tuple, target: tuple, expected: float) -> None:
    assert dice_loss(line(*probability), line(*target)).item() == pytest.approx(expected, abs=1e-6)


def test_dice_counts_every_sample_and_organ_alike() -> None:
    probability, target = torch.rand(2, 3, 2, 2, 2), torch.ones(2, 3, 2, 2, 2)
    each = [
        dice_loss(p[None, None], t[None, None])
        for p, t in zip(probability.flatten(0, 1), target.flatten(0, 1), strict=True)
    ]
    assert dice_loss(probability, target).item() == pytest.approx(sum(each).item() / 6)


def test_the_focal_loss_weighs_voxel_by_voxel_and_the_released_one_does_not() -> None:
    probability, target = (0.9, 0.3, 0.2), (1, 1, 0)
    weights = [0.5 * 0.1**2, 0.5 * 0.7**2, 0.5 * 0.2**2]
    entropies = [-math.log(0.9), -math.log(0.3), -math.log(0.8)]
    elementwise = sum(w * e for w, e in zip(weights, entropies, strict=True)) / 2
    released = sum(weights) * sum(entropies) / 3 / 2
    assert focal_loss(line(*probability), line(*target), "elementwise").item() == pytest.approx(elementwise)
    assert focal_loss(line(*probability), line(*target), "released").item() == pytest.approx(released)


@pytest.mark.parametrize("mode", ["elementwise", "released"])
def test_the_focal_loss_of_certain_or_absent_voxels_is_finite(mode: str) -> None:
    assert 0 < focal_loss(line(0.0, 1.0), line(1, 0), mode) < 20
    assert focal_loss(line(0.5), line(0), mode).item() == pytest.approx(0.5 * 0.25 * math.log(2))


@pytest.mark.parametrize("settings", ALL_LOSSES, ids=lambda settings: settings.kind)
def test_losses_fall_as_logits_approach_the_target(settings: LossSettings) -> None:
    target = target_of(2, 3, 4, 4, 4)
    values = [
        segmentation_loss(scale * (2 * target - 1), target, settings) for scale in (-4.0, 0.0, 1.0, 8.0)
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.01


@pytest.mark.parametrize("settings", ALL_LOSSES, ids=lambda settings: settings.kind)
def test_half_precision_logits_are_counted_in_full(settings: LossSettings) -> None:
    """The sum over many voxels is beyond what half precision can count."""
    logits, target = 3 * noise(1, 2, 48, 48, 48), target_of(1, 2, 48, 48, 48)
    half = segmentation_loss(logits.half(), target.half(), settings)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(segmentation_loss(logits, target, settings).item(), rel=1e-3)


# Rows are voxels, columns organs.
VOXELS = [(3.0, 1.0, -1.0), (-1.0, 2.0, 0.5), (0.1, 0.2, 4.0), (-3.0, -2.0, -4.0), (-9.0, -8.0, -0.1)]


@pytest.mark.parametrize(
    ("rule", "threshold", "expected"),
    [
        ("corrected", 0.5, [1, 2, 3, 0, 0]),
        ("corrected", 0.9, [1, 0, 3, 0, 0]),
        ("corrected", 0.1, [1, 2, 3, 2, 3]),
        ("released", 0.5, [0, 1, 2, 1, 2]),
    ],
)
def test_pseudo_labels(rule: str, threshold: float, expected: list[int]) -> None:
    """``expected``: organ 1, 2 or 3 of each voxel, 0 for background."""
    logits = torch.tensor(VOXELS).T.reshape(1, 3, 1, 1, 5).requires_grad_()
    labels = pseudo_labels(logits, rule, threshold)
    wanted = torch.stack([torch.tensor(expected) == organ for organ in (1, 2, 3)]).reshape(1, 3, 1, 1, 5)
    assert torch.equal(labels, wanted.float())
    assert not labels.requires_grad


def test_a_probability_at_the_threshold_is_an_organ() -> None:
    assert pseudo_labels(torch.zeros(1, 1, 1, 1, 1), "corrected", 0.5).item() == 1


def pair(labelled: int = 1, unlabelled: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    shape = (labelled + unlabelled, 3, 4, 4, 4)
    a, b = (3 * noise(*shape, seed=seed) for seed in (1, 2))
    return a.requires_grad_(), b.requires_grad_(), target_of(labelled, 3, 4, 4, 4)


@pytest.mark.parametrize("labelled", [1, 2])
@pytest.mark.parametrize("too", [True, False])
def test_each_network_learns_from_labels_and_from_the_other(labelled: int, too: bool) -> None:
    a, b, target = pair(labelled)
    result = cross_losses(a, b, target, DICE, CrossSettings(labelled_too=too, weight=0.25))
    first = 0 if too else labelled
    assert result.supervised_a == segmentation_loss(a[:labelled], target, DICE)
    assert result.cross_a == segmentation_loss(a[first:], pseudo_labels(b[first:]), DICE)
    assert result.cross_b == segmentation_loss(b[first:], pseudo_labels(a[first:]), DICE)
    assert result.b == result.supervised_b + 0.25 * result.cross_b


def test_a_network_gets_no_gradient_as_the_teacher() -> None:
    a, b, target = pair()
    cross_losses(a, b, target, DICE, CrossSettings()).a.backward()
    assert a.grad is not None
    assert b.grad is None


@pytest.mark.parametrize(
    ("settings", "weight"), [({"labelled_too": False}, None), ({"weight": 0}, None), ({}, 0.0)]
)
def test_without_pseudo_labels_the_labels_alone_count(settings: dict[str, Any], weight: float | None) -> None:
    a, b, target = pair(2, 0) if settings.get("labelled_too") is False else pair()
    result = cross_losses(a, b, target, DICE, CrossSettings(**settings), weight)
    assert result.a == result.supervised_a
    (result.a + result.b).backward()


@pytest.mark.parametrize("size", [(5, 9, 4), (12, 20, 17), (3, 4, 30), (7, 8, 9)])
def test_resampling_aligns_the_corners(size: tuple[int, int, int]) -> None:
    volume = noise(1, 1, 7, 11, 9)
    zoom = [n / m for n, m in zip(size, volume.shape[2:], strict=True)]
    wanted = ndimage.zoom(volume[0, 0].numpy().astype(np.float64), zoom, order=1)
    got = resample(volume, size)[0, 0]
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert torch.equal(
        got[[0, -1]][:, [0, -1]][..., [0, -1]], volume[0, 0][[0, -1]][:, [0, -1]][..., [0, -1]]
    )


@pytest.mark.parametrize("unbiased", [True, False])
def test_a_window_clips_before_the_z_score(unbiased: bool) -> None:
    volume = 400 * noise(6, 7, 8)
    clipped = np.clip(volume.numpy().astype(np.float64), -325, 325)
    wanted = (clipped - clipped.mean()) / (clipped.std(ddof=int(unbiased)) + 1e-5)
    got = normalised(volume, Intensity(), unbiased)
    np.testing.assert_allclose(got, wanted, atol=2e-6)


def test_percentiles_clip_what_has_no_unit() -> None:
    volume = torch.arange(1000.0).reshape(10, 10, 10)
    volume[0, 0, 0], volume[9, 9, 9] = -1e6, 1e6
    got = normalised(volume, Intensity(mode="percentile", percentiles=(1, 99)))
    assert got.max() - got.min() == pytest.approx(980 / volume.clamp(10, 989).std().item(), rel=0.01)
    torch.testing.assert_close(
        normalised(7 * volume + 3, Intensity(mode="percentile", percentiles=(1, 99))), got
    )


@pytest.mark.parametrize("mode", ["window", "percentile"])
def test_each_volume_of_a_batch_is_normalised_by_itself(mode: str) -> None:
    volumes = 100 * noise(2, 1, 5, 6, 7) * torch.tensor([1.0, 20.0]).reshape(2, 1, 1, 1, 1)
    intensity = Intensity(mode=mode)
    together = normalised(volumes, intensity)
    for volume, got in zip(volumes, together, strict=True):
        torch.testing.assert_close(got[0], normalised(volume[0], intensity))


def test_half_precision_volumes_are_counted_in_full() -> None:
    volume = (300 * noise(64, 64, 64)).half()
    got = normalised(volume, Intensity())
    assert got.dtype == torch.float16
    torch.testing.assert_close(got.float(), normalised(volume.float(), Intensity()), atol=2e-3, rtol=0)


def test_a_volume_of_one_value_becomes_zero() -> None:
    for mode in ("window", "percentile"):
        assert not normalised(torch.full((4, 4, 4), 40.0), Intensity(mode=mode)).any()
