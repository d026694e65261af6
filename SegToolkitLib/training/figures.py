"""Figures of a finished run, for its model's card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from SegToolkitLib.training.run_folder import RunFolder

# Of what an event of the validation says.
NO_FIGURES = ("t", "time", "best", "pictures")


def metrics_of(run: RunFolder, use_best: bool, **cases: Sequence[str]) -> dict[str, Any]:
    """How many cases a run had of each kind, and the figures of its validation, where there are any.

    Args:
        run: its folder.
        use_best: see :func:`kept_validation`.
        cases: ids by kind ("train", "held_out").
    """
    metrics: dict[str, Any] = {"cases": {kind: len(ids) for kind, ids in cases.items()}}
    if validation := kept_validation(run, use_best):
        metrics["validation"] = validation
    return metrics


def kept_validation(run: RunFolder, use_best: bool) -> dict[str, Any]:
    """Step and figures of the validation whose weights the result has; empty where nothing validated.

    Args:
        run: its folder.
        use_best: the result takes the best weights, where there were any; else the last.
    """
    validations = run.events("validation")
    if not validations:
        return {}
    best = [event for event in validations if event["best"]] if use_best else []
    return {key: value for key, value in (best or validations)[-1].items() if key not in NO_FIGURES}
