"""The FLARE rules: which slices, which organs, rounding, costs, ranks; and the means of it all."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.absent import notes_on_absent
from SegToolkitLib.evaluation.flare import (
    FLARE21,
    FLARE22,
    RANKED,
    STUCK,
    efficiency,
    mean_ranks,
)
from SegToolkitLib.evaluation.scoring import OrganScore, Protocol, generic, score_case
from SegToolkitLib.evaluation.summary import case_means, mean_of, summary, told

SPACING = (2.0, 1.0, 1.0)
AORTA, LIVER, SPLEEN = 5, 1, 3


def tube(value: int, first: int, last: int) -> np.ndarray:
    """A square tube in the slices ``first`` to ``last``, both included."""
    labels = np.zeros((12, 10, 10), np.uint8)
    labels[first : last + 1, 3:6, 3:6] = value
    return labels


def score(truth: np.ndarray, found: np.ndarray, value: int, protocol: Protocol = FLARE22) -> OrganScore:
    rows = score_case("case", truth, found, SPACING, protocol)
    return next(row for row in rows if row.value == value)


def test_the_protocols_are_as_published() -> None:
    assert [organ.tolerance_mm for organ in FLARE22.organs] == [5, 3, 3, 5, 2, 2, 2, 2, 2, 3, 5, 7, 3]
    assert [organ.value for organ in FLARE22.organs if organ.sliced] == [5, 6, 10]
    assert [organ.value for organ in FLARE22.organs] == list(range(1, 14))
    assert {(organ.tolerance_mm, organ.sliced) for organ in FLARE21.organs} == {(1, False)}


@pytest.mark.parametrize(
    ("found", "dsc"),
    [
        ((2, 8), 1.0),
        ((2, 11), 1.0),  # beyond the truth's slices nothing counts
        ((0, 7), 1.0),  # nor in its last slice, as coded
        ((2, 4), round(2 * 3 / (6 + 3), 4)),
    ],
)
def test_sliced_organs_are_scored_from_the_first_to_before_the_last_slice_of_the_truth(
    found: tuple[int, int], dsc: float
) -> None:
    assert score(tube(AORTA, 2, 8), tube(AORTA, *found), AORTA).dsc == dsc
    if found != (2, 8):
        assert score(tube(LIVER, 2, 8), tube(LIVER, *found), LIVER).dsc < 1


def test_the_only_slice_of_a_truth_is_kept() -> None:
    assert score(tube(AORTA, 4, 4), tube(AORTA, 3, 6), AORTA).dsc == 1.0
    half = tube(AORTA, 3, 6)
    half[:, :, 5] = 0
    assert score(tube(AORTA, 4, 4), half, AORTA).dsc == round(2 * 6 / (9 + 6), 4)


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [(0, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0)],
    ids=["neither", "made up", "missed"],
)
@pytest.mark.parametrize("value", [AORTA, LIVER])
def test_absent_organs(truth: int, found: int, expected: float, value: int) -> None:
    row = score(tube(value, 2, 8) * truth, tube(value, 2, 8) * found, value)
    assert (row.dsc, row.nsd) == (expected, expected)


def test_organs_that_references_lack_are_told_with_the_rule_that_scores_them() -> None:
    truth = tube(LIVER, 2, 8)
    rows = [
        row
        for case, voxels in (("a", truth), ("b", truth + tube(SPLEEN, 9, 11)))
        for row in score_case(case, voxels, voxels, SPACING, FLARE21)
    ]
    (note,) = notes_on_absent(rows, FLARE21)
    assert "kidney and pancreas in all 2 cases, spleen in 1 of 2" in note
    assert "flare21 counts an organ that reference and result both lack as 1" in note
    assert "as 0" in note
    whole = np.arange(1, 5, dtype=np.uint8).repeat(100).reshape(4, 10, 10)
    assert notes_on_absent(score_case("a", whole, whole, SPACING, FLARE21), FLARE21) == []
    protocol = generic({"liver": 1, "spleen": 3})
    assert notes_on_absent(score_case("a", truth, truth, SPACING, protocol), protocol) == []


@pytest.mark.parametrize("lacks", ["distances", "spacing_known"])
def test_what_cannot_be_measured_has_no_value(lacks: str) -> None:
    protocol = replace(generic({"liver": 1, "spleen": 2}), both_empty=1.0, **{lacks: False})
    liver, spleen = score_case("a", tube(1, 1, 5), tube(1, 1, 4), SPACING, protocol)
    assert 0.5 < liver.dsc < 1 == spleen.dsc
    assert all(np.isnan([one.nsd, one.hd95_mm, one.assd_mm]).all() for one in (liver, spleen))
    assert np.isnan(liver.reference_ml) == np.isnan(spleen.result_ml) == (lacks == "spacing_known")


def test_scores_are_rounded_to_four_digits_by_the_challenge_alone() -> None:
    truth, found = tube(LIVER, 2, 8), tube(LIVER, 3, 8)
    assert score(truth, found, LIVER).dsc == round(12 / 13, 4)
    assert score(truth, found, LIVER, replace(FLARE22, digits=None)).dsc == 12 / 13


def test_the_tolerance_is_the_organs_own() -> None:
    for value, within in ((LIVER, True), (SPLEEN, False)):  # 5 and 3 mm; two slices are 4 mm
        row = score(tube(value, 2, 8), tube(value, 4, 8), value)
        assert (row.nsd == 1.0) is within


def test_merged_labels_count_as_one() -> None:
    truth = tube(2, 1, 3) + tube(13, 7, 9)
    merged = replace(FLARE21, merged={13: 2})
    assert score(truth, truth, 2, merged).reference_ml == pytest.approx(2 * 27 * 2 / 1000)
    assert score(truth, tube(2, 1, 3) + tube(2, 7, 9), 2, merged).dsc == 1.0
    assert truth.max() == 13, "the input must stay as it is"


def test_any_labels_with_tolerances_by_name_and_what_both_lack_left_out() -> None:
    protocol = generic({"background": 0, "cord": 7, "stem": 200}, {"cord": 1.5})
    assert [(o.name, o.value, o.tolerance_mm) for o in protocol.organs] == [
        ("cord", 7, 1.5),
        ("stem", 200, 2.0),
    ]
    rows = score_case("x", tube(7, 1, 5), tube(7, 1, 5), SPACING, protocol)
    assert (rows[0].dsc, rows[0].hd95_mm) == (1.0, 0.0)
    assert math.isnan(rows[1].dsc)
    assert case_means(rows, "dsc") == {"x": 1.0}
    with pytest.raises(SegToolkitError, match="no structure 'crd'"):
        generic({"background": 0, "cord": 7}, {"crd": 1.0})


def test_the_largest_memory_is_one_that_was_seen_more_than_once_in_fifty_samples() -> None:
    cost = efficiency(10.0, [2500.0] * 2 + [2300.0] * 3 + [100.0] * 95, [50.0] * 100, [10.0] * 100)
    assert cost.max_gpu_mb == 2300.0
    assert cost.auc_gpu_raw == pytest.approx(0.1 * (2 * 2500 + 3 * 2300 + 95 * 100))
    assert cost.auc_gpu == pytest.approx(0.1 * (2 * (2500 - 2048) + 3 * (2300 - 2048)))
    assert (cost.auc_cpu, cost.auc_ram) == (pytest.approx(500), pytest.approx(100))
    assert efficiency(1.0, [], []).max_gpu_mb == 0.0
    # Values that all differ: none is seen often, so the largest one counts.
    assert efficiency(1.0, np.arange(200.0), []).max_gpu_mb == 199.0
    assert (STUCK.auc_gpu, STUCK.auc_cpu, STUCK.seconds) == (29_491_200, 360_000, 3600)


def table(**best: list[float]) -> dict[str, list[list[float]]]:
    """Two equal cases of three teams."""
    return {name: [best.get(name, [1.0, 1.0, 1.0])] * 2 for name in RANKED}


def test_ranks_weigh_memory_and_load_half_and_share_ties() -> None:
    np.testing.assert_allclose(mean_ranks(table()), [2, 2, 2])
    np.testing.assert_allclose(mean_ranks(table(dsc=[0.9, 0.8, 0.8])), [(1 + 3 * 2) / 4, 8.5 / 4, 8.5 / 4])
    np.testing.assert_allclose(
        mean_ranks(table(auc_gpu=[9, 0, 5])), [(0.5 * 3 + 3.5 * 2) / 4, (0.5 + 3.5 * 2) / 4, 2]
    )


def test_ranks_need_every_number() -> None:
    for wrong in (
        {"dsc": [[1.0, math.nan]]},
        {"dsc": [[1.0, 1.0]]},
        {**table(), "dsc": [[0.1, 0.2, math.nan]] * 2},
    ):
        with pytest.raises(SegToolkitError, match="cannot be ranked"):
            mean_ranks(wrong)


def rows_of(**scores: list[float]) -> list[OrganScore]:
    return [
        OrganScore(case, organ, value, dsc, dsc, math.inf if dsc == 0 else 1 - dsc, 0.0, 1.0, 1.0)
        for case, values in scores.items()
        for value, (organ, dsc) in enumerate(zip(("liver", "spleen"), values, strict=True), start=1)
    ]


def test_means_are_over_organs_then_cases_then_folds() -> None:
    found = summary(rows_of(a=[0.8, 0.4], b=[1.0, math.nan], c=[0.6, 0.0]), {"a": 0, "b": 0, "c": 1})
    dsc = found["dsc"]
    assert dsc["organs"]["liver"]["mean"] == pytest.approx(0.8)
    assert dsc["organs"]["spleen"] == {**asdict(mean_of([0.4, 0.0]))}
    assert dsc["cases"]["mean"] == pytest.approx((0.6 + 1.0 + 0.3) / 3)
    assert dsc["folds"]["0"]["mean"] == pytest.approx(0.8)
    assert dsc["over_folds"]["mean"] == pytest.approx((0.8 + 0.3) / 2)
    assert dsc["over_folds"]["std"] == pytest.approx(0.25)
    assert found["hd95_mm"]["organs"]["spleen"]["infinite"] == 1
    assert found["hd95_mm"]["organs"]["spleen"]["mean"] == pytest.approx(0.6)
    lines = told(found)
    assert "liver" in lines[1]
    assert lines[-1].startswith("deviation over folds")
    assert len(told(summary(rows_of(a=[0.8, 0.4])))) == 4
