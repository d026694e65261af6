"""Our own steps between scores and labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SegToolkitLib.methods.alpnet.cleaning import (
    Ends,
    follow_structure,
    growth_reach,
    reject_unlike,
    resolve,
)
from SegToolkitLib.methods.alpnet.loss import Pooling
from SegToolkitLib.methods.alpnet.network import build_network
from SegToolkitLib.methods.alpnet.predictor import Predictor


def square(*corner: int, side: int = 6, size: int = 24) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = True
    return mask


def test_what_scores_below_the_outline_loses_to_the_background() -> None:
    background, foreground = torch.tensor([5.0, 5.0, 9.0]), torch.tensor([8.0, 6.0, 6.5])
    scores = torch.stack([background, foreground])[None, :, None]
    kept = reject_unlike(scores, 7.0)
    assert (kept[0, 1] > kept[0, 0]).tolist() == [[True, False, False]]
    assert torch.equal(kept[0, 0], scores[0, 0])
    assert torch.equal(reject_unlike(scores, -np.inf), scores)


def test_the_floor_is_the_wanted_quantile_of_the_outlines_own_scores() -> None:
    network = build_network("compact", compact_widths=(8, 8, 16, 16), channels=32, generator_seed=5)
    predictor = Predictor(network, Pooling((2, 2)), torch.device("cpu"))
    slices = np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32)
    outline = np.zeros((64, 64), dtype=np.uint8)
    outline[8:48, 16:56] = 1
    encoded = predictor.encode(slices)
    found = predictor.describe([(encoded[0], outline)], reject=0.25)
    own = predictor.scores(encoded, found, (64, 64))[0, 1].numpy()[outline > 0]
    assert (own < found.floor).mean() == pytest.approx(0.25, abs=0.01)
    assert predictor.describe([(encoded[0], outline)]).floor == -np.inf


def test_a_structure_is_followed_outwards_and_ends_where_it_ends() -> None:
    found = np.stack([square(4, 4), square(5, 5), square(6, 6), np.zeros((24, 24), bool), square(6, 6)])
    kept = follow_structure(found, [10, 11, 12, 13, 14], {11: square(5, 5)}, reach=1.5)
    assert kept[:3].any((1, 2)).all()
    assert not kept[3:].any(), "slice 14 is cut off by the empty slice 13"


def test_what_lies_beside_the_structure_is_dropped() -> None:
    elsewhere = square(16, 16)
    found = np.stack([square(5, 5) | elsewhere, square(5, 5)])
    kept = follow_structure(found, [3, 4], {4: square(5, 5)}, reach=2)
    assert np.array_equal(kept[0], square(5, 5))


def test_growth_is_limited_by_the_reach_and_by_the_gap_between_the_slices() -> None:
    large = square(2, 2, side=18)
    narrow = follow_structure(large[None], [6], {5: square(8, 8)}, reach=2)[0]
    wide = follow_structure(large[None], [7], {5: square(8, 8)}, reach=2)[0]
    assert narrow.any(1).sum() == 6 + 2 * 2
    assert wide.any(1).sum() == 6 + 2 * 4


def test_the_nearest_outline_decides() -> None:
    found = np.stack([square(4, 4), square(4, 4), square(14, 14), square(14, 14)])
    outlines = {0: square(4, 4), 3: square(14, 14)}
    assert np.array_equal(follow_structure(found, [0, 1, 2, 3], outlines, reach=1.5), found)


def followed(
    found: np.ndarray, outlines: dict[int, np.ndarray], *, sure: list[float], slice_mm: float
) -> list[int]:
    """Slices on which something is left; the network is as sure of each as is said."""
    probability = np.ones(found.shape, np.float16) * np.array(sure, np.float16)[:, None, None]
    slices = list(range(len(found)))
    kept = follow_structure(found, slices, outlines, reach=30, ends=Ends(probability, slice_mm))
    assert not (kept & ~found).any()
    return [z for z in slices if kept[z].any()]


def test_a_structure_ends_where_its_place_changes_fast() -> None:
    moves = np.stack(
        [square(4, 4, side=12), square(4, 5, side=12), square(4, 10, side=12), square(4, 10, side=12)]
    )
    sure = [0.9] * 4
    # 11 twelfths are shared by both of the first two, which is 0.85 of them together; then 7 of 17.
    assert followed(moves, {0: moves[0]}, sure=sure, slice_mm=7.7) == [0, 1]
    assert followed(moves[::-1], {3: moves[0]}, sure=sure, slice_mm=7.7) == [2, 3]
    # Thin slices are compared with one further back, thick ones may differ more.
    assert followed(moves, {0: moves[0]}, sure=sure, slice_mm=1.0) == [0, 1, 2, 3]
    assert followed(np.repeat(moves, 3, 0), {0: moves[0]}, sure=sure * 3, slice_mm=3.0) == list(range(6))
    assert followed(moves, {0: moves[0]}, sure=sure, slice_mm=15.0) == [0, 1, 2, 3]


def test_a_structure_ends_where_the_network_is_less_sure_than_on_the_outlined_slice() -> None:
    still = np.stack([square(4, 4, side=12)] * 5)
    sure = [0.7, 0.85, 0.9, 0.81, 0.79]
    assert followed(still, {2: still[2]}, sure=sure, slice_mm=7.7) == [1, 2, 3]
    # A preview may lack the outlined slice: then there is nothing to compare with.
    probability = np.full((1, *still.shape[1:]), 0.5, np.float16)
    ends = Ends(probability, 7.7)
    assert follow_structure(still[:1], [3], {2: still[2]}, reach=30, ends=ends).any()


def test_no_end_is_told_where_the_network_does_not_find_the_outline_itself() -> None:
    found = np.stack([square(4, 4, side=12), square(12, 12, side=12)])
    assert followed(found, {0: square(4, 5, side=12)}, sure=[0.9, 0.2], slice_mm=7.7) == [0]
    assert followed(found, {0: square(4, 7, side=12)}, sure=[0.9, 0.2], slice_mm=7.7) == [0, 1]


def test_between_two_outlines_a_structure_goes_on() -> None:
    there, away = square(4, 4), square(16, 16)
    found = np.stack([away, there, away, away, away, there, away])
    sure = [0.9, 0.9, 0.2, 0.2, 0.2, 0.9, 0.9]
    assert followed(found, {1: there, 5: there}, sure=sure, slice_mm=7.7) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [((1.25, 1.25, 7.7), 0.65 * 7.7 / 1.25), ((1.0, 1.0, 1.0), 1.5), ((0.5, 0.5, 3.0), 3.9)],
)
def test_reach_follows_the_distance_of_the_slices(spacing: tuple[float, ...], expected: float) -> None:
    assert growth_reach(spacing, 0.65) == pytest.approx(expected)


def test_a_pixel_goes_to_the_structure_with_the_highest_score_among_those_that_may_be_there() -> None:
    foreground = np.array([[8.0, 3.0, 3.0], [9.0, 8.0, 5.0]]).reshape(2, 1, 1, 3)
    masks = np.array([[False, True, True], [False, False, True]]).reshape(2, 1, 1, 3)
    assert resolve(foreground, masks)[0, 0].tolist() == [0, 1, 2]
