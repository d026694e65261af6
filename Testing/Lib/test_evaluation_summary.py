"""Means of scores as lines for a person, also where nothing has a value."""

from __future__ import annotations

import numpy as np

from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.scoring import OrganScore
from SegToolkitLib.evaluation.summary import summary, told
from SegToolkitLib.methods.pdcr_uafr.evaluate import Evaluated, Protocol, write_evaluation

NAN = float("nan")


def score(organ: str, value: float) -> OrganScore:
    return OrganScore("1", organ, 1, value, value, value, value, 0.0, 0.0)


def test_a_structure_without_values_has_dashes_and_is_counted() -> None:
    lines = told(summary([score("liver", 0.5), score("spleen", NAN)]))
    assert not any("nan" in line for line in lines)
    (row,) = (line for line in lines if line.startswith("spleen"))
    assert row.split() == ["spleen", "-", "-", "-", "-"]
    assert len(row) == len(lines[1]), "dashes stand where numbers would"
    assert lines[-1] == "- stands where no case has a value: 1 structures (spleen)."


def test_with_values_for_all_nothing_is_said_of_dashes() -> None:
    assert not any("stands where" in line for line in told(summary([score("liver", 0.5)])))


def test_pictures_that_show_nothing_have_no_percentage(tmp_path: object) -> None:
    from pathlib import Path

    table = Confusion(2)
    table.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    found = Evaluated({"first": {"1": table}})
    lines = write_evaluation(Path(str(tmp_path)), found, Protocol(("first",)), {1: "spot"}, {})
    assert not any("nan" in line for line in lines)
    assert "foreground dice none" in lines[0]
    assert "1 images show nothing" in lines[1]
