"""Prototypes and losses beyond the authors' numbers: what must hold whatever the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SegToolkitLib.methods.alpnet.loss import Pooling, alignment_loss, episode_loss, segmentation_loss
from SegToolkitLib.methods.alpnet.network import build_network
from SegToolkitLib.methods.alpnet.predictor import Predictor
from SegToolkitLib.methods.alpnet.prototypes import (
    NoPrototypeError,
    foreground_mode,
    prototypes,
    resize_mask,
    score,
)

GENERATOR = torch.Generator().manual_seed(3)


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(4, "gridconv+"), (3, "mask"), (0, "mask")],
)
def test_a_structure_gets_local_prototypes_only_if_it_fills_a_window(size: int, expected: str) -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4 : 4 + size, 8 : 8 + size] = 1
    assert foreground_mode(mask) == expected


def test_local_prototypes_come_in_the_order_shot_row_column() -> None:
    support = torch.arange(2 * 4 * 4, dtype=torch.float32).reshape(2, 1, 4, 4)
    mask = torch.ones(2, 1, 4, 4)
    found = prototypes(support, mask, "gridconv", (2, 2))
    assert found.flatten().tolist() == [2.5, 4.5, 10.5, 12.5, 18.5, 20.5, 26.5, 28.5]


def test_coverage_has_to_exceed_the_threshold_strictly() -> None:
    mask = torch.full((1, 1, 4, 4), 0.95)
    with pytest.raises(NoPrototypeError):
        prototypes(features(1, 3, 4, 4), mask, "gridconv", (2, 2), 0.95)
    assert len(prototypes(features(1, 3, 4, 4), mask + 0.01, "gridconv", (2, 2), 0.95)) == 4


def test_a_zero_prototype_scores_zero_and_not_nan() -> None:
    scores, _ = score(features(1, 8, 5, 5), torch.zeros(1, 8))
    assert torch.equal(scores, torch.zeros(1, 1, 5, 5))


def test_identical_features_score_twenty() -> None:
    query = features(1, 8, 1, 1)
    scores, _ = score(query, query.reshape(1, 8))
    assert scores.item() == pytest.approx(20, abs=1e-4)


def test_masks_are_resized_without_antialiasing() -> None:
    mask = torch.zeros(1, 16, 16)
    mask[0, 3:5, 3:5] = 1  # the middle 2x2 of the first 8x8 block decides its cell
    assert resize_mask(mask, (2, 2))[0, 0].tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_ignored_pixels_change_neither_loss_nor_weight() -> None:
    scores = features(1, 2, 8, 8)
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[0, :2] = 1
    ignoring = target.clone()
    ignoring[0, 4:] = 255
    assert segmentation_loss(scores, ignoring) == pytest.approx(
        segmentation_loss(scores[..., :4, :], target[:, :4]).item()
    )


def test_no_gradient_flows_through_the_predicted_mask() -> None:
    query, support = features(1, 8, 16, 16), features(1, 8, 16, 16)
    scores = torch.zeros(1, 2, 16, 16)
    scores[:, 1] = torch.linspace(-8, 8, 16)  # the right half is predicted as foreground
    scores.requires_grad_()
    fg = torch.zeros(1, 64, 64)
    fg[:, 16:48, 16:48] = 1
    loss = alignment_loss(query.requires_grad_(), support, scores, fg, 1 - fg, Pooling((4, 4)))
    loss.backward()
    assert scores.grad is None
    assert query.grad is not None
    assert query.grad.abs().sum() > 0


def test_an_episode_that_is_all_foreground_is_reported_and_not_guessed() -> None:
    full = torch.ones(1, 64, 64)
    with pytest.raises(NoPrototypeError):
        episode_loss(features(1, 8, 8, 8), features(1, 8, 8, 8), full, full, Pooling((4, 4)))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    network = build_network("compact", compact_widths=(8, 8, 16, 16), channels=32, generator_seed=5)
    return Predictor(network, Pooling((2, 2)), torch.device("cpu"), batch=3)


def test_inference_falls_back_to_the_global_background_where_no_window_is_background(
    predictor: Predictor,
) -> None:
    slices = np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32)
    encoded = predictor.encode(slices)
    nearly_full = np.ones((64, 64), dtype=np.uint8)
    nearly_full[0, 0] = 0
    found = predictor.describe([(encoded[0], nearly_full)])
    assert found.background.shape == (1, 32)
    assert torch.isfinite(predictor.scores(encoded, found, (64, 64))).all()


@pytest.mark.parametrize("size", [(64, 64), (65, 71), (40, 96)])
def test_any_slice_size_is_scored_pixel_for_pixel(predictor: Predictor, size: tuple[int, int]) -> None:
    slices = np.random.default_rng(1).normal(size=(5, *size)).astype(np.float32)
    encoded = predictor.encode(slices)
    mask = np.zeros(size, dtype=np.uint8)
    mask[8:40, 8:32] = 1
    scores = predictor.scores(encoded, predictor.describe([(encoded[0], mask)]), size)
    assert scores.shape == (5, 2, *size)


def test_slices_are_scored_alike_alone_and_in_a_batch(predictor: Predictor) -> None:
    slices = np.random.default_rng(2).normal(size=(4, 64, 64)).astype(np.float32)
    together = predictor.encode(slices)
    alone = torch.cat([predictor.encode(one[None]) for one in slices])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
