"""Orders of rounds, and what cards say of a training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.trained import training_of
from SegToolkitLib.training.figures import metrics_of
from SegToolkitLib.training.rounds import order_of_round, some_slices
from SegToolkitLib.training.settings import TrainingSettings

ORDER = [4, 2, 5, 0, 7, 3, 6, 8, 1]


def test_an_order_follows_from_its_numbers_alone() -> None:
    order = order_of_round(5, 0, 2, 9)
    # By heart: another order would give another training for the same seed.
    assert order.tolist() == np.random.default_rng((5, 0, 2, 9)).permutation(9).tolist()
    assert order.tolist() == ORDER
    order_of_round.cache_clear()
    assert order_of_round(5, 0, 2, 9).tolist() == ORDER
    others = [order_of_round(*numbers).tolist() for numbers in ((6, 0, 2, 9), (5, 1, 2, 9), (5, 0, 3, 9))]
    assert ORDER not in others
    assert all(sorted(one) == list(range(9)) for one in others)


def test_a_round_without_slices_is_told() -> None:
    assert some_slices(((0, 3), (1, 2))) == [(0, 3), (1, 2)]
    with pytest.raises(SegToolkitError, match="no slice to train on") as refused:
        some_slices([])
    assert (refused.value.code, refused.value.hint) == (
        "no-slices",
        "Use more cases (data.cases, data.fold).",
    )


class Brief(TrainingSettings):
    @property
    def total_steps(self) -> int:
        return 12


def test_a_card_says_how_a_model_was_made() -> None:
    training = training_of("segtoolkit train brief", Brief(seed=3), {"1": "abc"})
    assert (training.command, training.seed, training.steps) == ("segtoolkit train brief", 3, 12)
    assert training.provenance["data_sha256"] == {"1": "abc"}
    assert {"segtoolkit", "torch", "git_commit"} <= training.provenance.keys()
    assert training.settings["seed"] == 3


@pytest.mark.parametrize(
    ("events", "use_best", "expected"),
    [
        ([], True, {}),
        ([(1, 0.5, True), (2, 0.25, False)], True, {"validation": {"step": 1, "dice": 0.5}}),
        ([(1, 0.5, True), (2, 0.25, False)], False, {"validation": {"step": 2, "dice": 0.25}}),
    ],
    ids=["none", "best", "last"],
)
def test_metrics_are_counts_and_what_validated(
    events: list[tuple[int, float, bool]], use_best: bool, expected: dict[str, Any]
) -> None:
    kept = [{"t": 1, "step": step, "dice": dice, "best": best} for step, dice, best in events]
    run: Any = SimpleNamespace(events=lambda kind: kept if kind == "validation" else [])
    found = metrics_of(run, use_best, train=["1", "2"], held_out=())
    assert found == {"cases": {"train": 2, "held_out": 0}} | expected
