"""Choosing unlabelled images: reliability, rules, the table that a person edits, judging that goes on."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cssn.reliability import (
    Judgement,
    complete,
    keep_best,
    keep_sibling,
    ranked,
    read_selection,
    reliability,
    write_selection,
)
from SegToolkitLib.methods.cssn.select_unlabelled import Choice, rank_agreement, select
from SegToolkitLib.sharding import Shard

Maps = list[np.ndarray]


def line(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


AGREES = [line(1, 1, 2, 0), line(1, 1, 2, 0)]


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        (AGREES, 1.0),
        ([line(1, 0, 0, 0), line(1, 1, 0, 0)], 2 / 3),  # organ 2 is in neither map and does not count
        ([line(1, 1, 2, 0), line(1, 1, 0, 0)], 0.5),  # organ 2 is in one map alone
        ([line(0, 0, 0, 0), line(0, 0, 0, 0)], 0.0),
        ([line(1, 0, 0, 0), line(0, 0, 0, 0)], 0.0),
        ([line(0, 0, 0, 0), *AGREES], 0.5),  # the mean over the earlier states
        ([line(1, 1, 2, 0), line(0, 0, 0, 0), line(1, 1, 2, 0)], 0.5),
        ([line(9, 1, 1, 0), line(7, 1, 1, 0)], 1.0),  # values that are no organs
    ],
)
def test_reliability_is_the_mean_agreement_with_the_last_state(maps: Maps, expected: float) -> None:
    assert reliability(maps, [1, 2]) == pytest.approx(expected)


def test_a_single_state_cannot_agree() -> None:
    with pytest.raises(SegToolkitError, match="1 state"):
        reliability(AGREES[:1], [1, 2])


@pytest.mark.parametrize(
    ("labels", "expected"), [([1, 2], True), ([1], True), ([1, 3], False), ([0, 1], True)]
)
def test_complete_means_every_organ(labels: list[int], expected: bool) -> None:
    assert complete(AGREES[0], labels) is expected


def rows(*values: float, whole: Sequence[bool] | None = None) -> list[Judgement]:
    return [
        Judgement(str(n), value, 1 - value, True if whole is None else whole[n])
        for n, value in enumerate(values)
    ]


def kept(found: Sequence[Judgement]) -> list[str]:
    return [row.id for row in found if row.kept]


def test_equal_ones_stay_in_their_order() -> None:
    assert [row.id for row in ranked(rows(0.2, 0.9, 0.2, 0.9))] == ["1", "3", "0", "2"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["1"]),  # a tenth of four, but one at least
        ({"share": 0.5}, ["1", "3"]),
        ({"share": 0.625}, ["1", "3", "0"]),  # 2.5 rounds up
        ({"count": 3}, ["1", "3", "0"]),
        ({"count": 99}, ["1", "3", "0", "2"]),
        ({"count": 3, "least": 0.85}, ["1", "3"]),
        ({"least": 0.99}, []),
    ],
)
def test_the_best_are_kept(settings: dict, expected: list[str]) -> None:
    assert kept(keep_best(rows(0.5, 0.9, 0.1, 0.85), **settings)) == expected


def test_the_sibling_rule_wants_complete_and_more_than_reliable() -> None:
    found = rows(0.95, 0.9, 0.99, 0.97, whole=[True, True, False, True])
    assert kept(keep_sibling(found)) == ["3", "0"]
    assert kept(keep_sibling(found, count=1)) == ["3"]
    assert kept(keep_sibling(found, above=0.5)) == ["3", "0", "1"]


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.5}, {"count": 0}, {"least": 2.0}])
def test_rules_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(SegToolkitError, match="cannot be kept"):
        Choice(**wrong)


def test_the_table_comes_back_and_may_be_edited(tmp_path: Path) -> None:
    table = tmp_path / "selection.csv"
    write_selection(table, keep_best(rows(0.5, 0.9, 0.1), count=2))
    assert table.read_text().splitlines()[:2] == [
        "id,reliability,uncertainty,complete,kept",
        "1,0.9,0.1,1,1",
    ]
    assert read_selection(table) == ["1", "0"]
    table.write_text(table.read_text().replace("0,0.5,0.5,1,1", "0,0.5,0.5,1,no"))
    assert read_selection(table) == ["1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffid;reliability;kept\r\nCase_1;0,93;1\r\nCase_2;0,5;0\r\n", ["Case_1"]),  # a spreadsheet's
        ("kept\tid\nTRUE\ta b\nFalse\tc\n", ["a b"]),
        ("id,kept\n7,yes\n\n8,\n", ["7"]),
    ],
)
def test_tables_of_spreadsheets_are_understood(tmp_path: Path, text: str, expected: list[str]) -> None:
    table = tmp_path / "t.csv"
    table.write_text(text, encoding="utf-8")
    assert read_selection(table) == expected


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("id,chosen\n1,1\n", "no column 'kept'"),
        ("id,kept\n1,perhaps\n", r"'perhaps' as 'kept' of 1 \(line 2\)"),
        ("id,kept\n1,1\n1,0\n", "names 1 twice"),
        ("id,kept\n1,0\n", "keeps no image"),
        ("", "no column 'id'"),
        (None, "cannot be read"),
    ],
)
def test_tables_that_cannot_be_used_say_why(tmp_path: Path, text: str | None, match: str) -> None:
    table = tmp_path / "t.csv"
    if text is not None:
        table.write_text(text, encoding="utf-8")
    with pytest.raises(SegToolkitError, match=match):
        read_selection(table)


class Pretended:
    """Judges by the number in a case's name: the higher, the more reliable; "bad" cannot be read."""

    values = (1,)
    names = ("early", "late")

    def __init__(self, fingerprint: str = "first") -> None:
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    def maps(self, id: str) -> Maps:
        self.asked.append(id)
        if id == "bad":
            raise SegToolkitError("truncated-file", "The file of case bad ends too early.", "")
        early = np.zeros(100, np.uint8)
        early[: int(id)] = 1
        return [early, np.ones(100, np.uint8)]

    def truth(self, id: str) -> np.ndarray | None:
        return None if id == "50" else self.maps(id)[0]


def table_ids(path: Path) -> list[str]:
    with path.open() as lines:
        return [row["id"] for row in csv.DictReader(lines)]


def test_judging_goes_on_where_it_stopped_and_another_rule_needs_none(tmp_path: Path) -> None:
    ids, out = ["20", "90", "50", "70"], tmp_path / "chosen.csv"

    class Stopped(Pretended):
        def maps(self, id: str) -> Maps:
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().maps(id)

    with pytest.raises(KeyboardInterrupt):
        select(Stopped(), ids, out, Choice(), Reporter())
    assert not out.exists()
    second = Pretended()
    outputs = select(second, ids, out, Choice(count=2), Reporter())
    assert second.asked == ["50", "70"]
    assert table_ids(out) == ["90", "70", "50", "20"]
    assert read_selection(out) == ["90", "70"]
    assert outputs == {"table": str(out), "judged": 4, "kept": 2, "spearman": None}
    third = Pretended()
    select(third, ids, out, Choice(count=3), Reporter())
    assert third.asked == []
    assert read_selection(out) == ["90", "70", "50"]
    other = Pretended("other weights")
    select(other, ids, out, Choice(), Reporter())
    assert other.asked == ids


def test_parts_share_the_work_and_the_last_one_writes_the_table(tmp_path: Path) -> None:
    ids, out = ["20", "90", "50"], tmp_path / "chosen.csv"
    first, second = Pretended(), Pretended()
    assert select(first, ids, out, Choice(), Reporter(), Shard(1, 2))["table"] is None
    assert not out.exists()
    select(second, ids, out, Choice(), Reporter(), Shard(0, 2))
    assert (first.asked, second.asked) == (["90"], ["20", "50"])
    assert table_ids(out) == ["90", "50", "20"]


def test_an_image_that_cannot_be_judged_is_told_and_the_others_are_chosen_from(tmp_path: Path) -> None:
    out = tmp_path / "chosen.csv"
    with pytest.raises(
        SegToolkitError, match=r"1 of 3 cases could not be judged\. Case bad: The file of case bad"
    ):
        select(Pretended(), ["20", "bad", "90"], out, Choice(), Reporter())
    assert table_ids(out) == ["90", "20"]
    with pytest.raises(SegToolkitError, match="There is no image to judge"):
        select(Pretended(), [], out, Choice(), Reporter())


def test_with_labels_the_ranking_is_checked(tmp_path: Path) -> None:
    out = tmp_path / "chosen.csv"
    ids = ["20", "90", "50", "70"]
    select(Pretended(), ids, out, Choice(), Reporter())
    judge = Pretended()
    outputs = select(judge, ids, out, Choice(), Reporter(), with_truth=True)
    assert judge.asked, "what was judged without labels must be judged again"
    assert outputs["spearman"] == 1.0
    with out.open() as lines:
        dice = {row["id"]: row["dice"] for row in csv.DictReader(lines)}
    assert dice["50"] == ""
    assert float(dice["90"]) == pytest.approx(180 / 190, abs=1e-5)
    assert json.loads((tmp_path / "chosen.json").read_text())["states"] == ["early", "late"]


def test_ranks_of_equal_or_few_values_agree_with_nothing() -> None:
    def scored(*pairs: tuple[float, float | None]) -> list[Judgement]:
        return [Judgement(str(n), a, 1 - a, True, dice=b) for n, (a, b) in enumerate(pairs)]

    assert rank_agreement(scored((0.1, 0.3), (0.2, 0.2), (0.3, 0.1), (0.9, None))) == pytest.approx(-1)
    assert rank_agreement(scored((0.1, 0.3), (0.2, 0.2))) is None
    assert rank_agreement(scored((0.5, 0.3), (0.5, 0.2), (0.5, 0.1))) is None
