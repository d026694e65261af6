"""Maps against masks at thresholds, and which threshold is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.scoring import (
    THRESHOLDS,
    CaseScores,
    Sweep,
    choose_thresholds,
    score_case,
)


def cone(size: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """A map that falls from 1 at the centre, and the ball where it is above 0.45."""
    z, y, x = np.mgrid[:size, :size, :size] - size // 2
    maps = np.clip(1 - np.sqrt(x**2 + y**2 + z**2) / 8, 0, 1)
    return maps, maps > 0.45


def sweep_of(*rows: tuple[float, ...], thresholds: tuple[float, ...] = (0.2, 0.5, 0.8)) -> Sweep:
    scores = {str(n): CaseScores(np.array(row), np.array(row)) for n, row in enumerate(rows)}
    return Sweep.of(scores, thresholds)


def test_the_threshold_that_made_the_mask_scores_best() -> None:
    maps, mask = cone()
    found = score_case(maps, mask)
    assert np.argmax(found.dsc) == np.argmin(found.assd) == THRESHOLDS.index(0.4)
    assert Sweep.of({"a": found}).best() == 0.4
    assert score_case(maps, mask, thresholds=[0.45]).dsc == 1


@pytest.mark.parametrize(
    ("maps", "mask", "dsc", "has_distance"),
    [
        (0.9, 1, 1.0, True),
        (0.9, 0, 0.0, False),
        (0.1, 1, 0.0, False),
        (0.1, 0, 1.0, False),
    ],
    ids=["both full", "false alarm", "missed", "both empty"],
)
def test_empty_masks_have_a_dice_and_no_distance(
    maps: float, mask: int, dsc: float, has_distance: bool
) -> None:
    found = score_case(np.full((3, 4, 4), maps), np.full((3, 4, 4), mask), thresholds=[0.5])
    assert found.dsc.tolist() == [dsc]
    assert np.isfinite(found.assd).tolist() == [has_distance]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_pixel_at_the_threshold_is_not_object(threshold: float) -> None:
    mask = np.ones((1, 1, 1))
    for kind in (np.float32, np.float64):
        maps = np.full((1, 1, 1), threshold, kind)
        assert score_case(maps, mask, thresholds=[threshold]).dsc == 0
    grey = np.full((1, 1, 1), round(255 * threshold), np.uint8)
    above = round(255 * threshold) > 255 * threshold + 1e-9
    assert score_case(grey, mask, thresholds=[threshold]).dsc == above


def test_distances_are_in_the_unit_of_the_spacing() -> None:
    maps, mask = cone()
    unit = score_case(maps, mask, thresholds=[0.6]).assd[0]
    assert score_case(maps, mask, (2, 2, 2), [0.6]).assd[0] == pytest.approx(2 * unit)
    assert score_case(maps, mask, (4, 1, 1), [0.6]).assd[0] != pytest.approx(unit)


def test_both_definitions_of_the_distance_are_there() -> None:
    maps, mask = cone()
    directed, pooled = (score_case(maps, mask, assd=kind).assd for kind in ("directed", "pooled"))
    assert not np.allclose(directed, pooled)


def test_means_leave_out_what_is_missing_and_count_it() -> None:
    sweep = sweep_of((1.0, np.nan, np.nan), (3.0, 5.0, np.nan))
    found = sweep.assd_over_cases()
    np.testing.assert_array_equal(found.mean, [2, 5, np.nan])
    np.testing.assert_array_equal(found.std, [1, 0, np.nan])
    assert found.missing.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        (((0.1, 0.2, 0.9), (0.5, 0.5, 0.1)), 0.8),
        (((0.6, 0.1, 0.6),), 0.2),
        (((0.3, 0.3, 0.3),), 0.5),
        (((0.0, 0.0, 0.0),), 0.5),
        (((0.0, 0.0, 0.01),), 0.8),
    ],
    ids=["mean", "first of two as near", "nearest to the middle", "nothing found", "little found"],
)
def test_the_best_mean_dice_decides(rows: tuple[tuple[float, ...], ...], best: float) -> None:
    assert sweep_of(*rows).best() == best


def test_each_modality_has_its_own_threshold() -> None:
    sweeps = {"T2": sweep_of((0.9, 0.1, 0.1)), "ADC": sweep_of((0.1, 0.1, 0.9))}
    assert choose_thresholds(sweeps) == {"T2": 0.2, "ADC": 0.8}


def test_no_case_and_other_shapes_are_refused() -> None:
    with pytest.raises(SegToolkitError, match="no case"):
        Sweep.of({})
    with pytest.raises(SegToolkitError, match="cannot be compared"):
        score_case(np.zeros((2, 3, 3)), np.zeros((2, 3, 4)))
