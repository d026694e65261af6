"""The cases state their tolerances in words; this reads those words.

A sentence that no rule here understands fails the case: a tolerance is never guessed.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

NUMBER = r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"


def assert_close(
    tolerances: dict[str, str], key: str, got: Any, expected: Any, what: str, **which: Any
) -> None:
    """Fail unless ``got`` meets the tolerance sentence stored under ``key``.

    ``which`` picks a clause where a sentence has several: ``step=0`` for "... at step 0",
    ``group="conv"`` for "... for conv weights".
    """
    sentence = _resolve(tolerances, key)
    got, expected = _array(got), _array(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    for clause in _clauses(_without_remarks(sentence), which):
        _assert_clause(clause, got, expected, what)


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _resolve(tolerances: dict[str, str], key: str) -> str:
    """Follow "same" (the entry before) and "same as X"."""
    sentence = str(tolerances[key]).strip()
    if match := re.fullmatch(r"same as (\w+)", sentence):
        return _resolve(tolerances, match[1])
    if sentence == "same":
        names = list(tolerances)
        return _resolve(tolerances, names[names.index(key) - 1])
    return sentence


def _without_remarks(sentence: str) -> str:
    """Drop explanations in brackets, but keep the brackets of max(...)."""
    return re.sub(r"\s*(?<!max)\((?:[^()]|\([^()]*\))*\)", "", sentence).strip()


def _clauses(sentence: str, which: dict[str, Any]) -> list[str]:
    if "step" in which and "step" in sentence:
        step = which["step"]
        for part in re.split(r",\s*", sentence):
            if re.search(rf"\bstep {step}\b", part):
                return [re.sub(rf"\s*at step {step}|step {step}:\s*", "", part)]
        return []  # the sentence says nothing of this step ("step 0: ...")
    if "group" in which and " for " in sentence:
        for part in re.split(r",\s*", sentence):
            if which["group"] in part.split(" for ", 1)[-1]:
                return [part.split(" for ", 1)[0]]
        raise AssertionError(f"no tolerance for {which['group']!r} in {sentence!r}")
    return re.split(r"\s+and\s+", sentence)


def _assert_clause(clause: str, got: np.ndarray, expected: np.ndarray, what: str) -> None:
    g, e = got.astype(np.float64), expected.astype(np.float64)
    difference = np.abs(g - e)
    if not difference.size:
        return
    largest = float(np.abs(e).max())

    if re.fullmatch(r"(equal|identical|exact)( everywhere| when raw is equal)?|exactly 0", clause):
        assert np.array_equal(got, expected), f"{what}: {int((got != expected).sum())} values differ"
        return
    if match := re.fullmatch(
        rf"max abs diff <= {NUMBER}(?:\s*\*\s*(max\(1, max\|expected\|\)|max\|expected\|))?", clause
    ):
        scale = {None: 1.0, "max|expected|": largest}.get(match[2], max(1.0, largest))
        _bound(difference.max(), float(match[1]) * scale, what, "max abs diff")
    elif match := re.fullmatch(rf"{NUMBER}", clause):
        _bound(difference.max(), float(match[1]), what, "max abs diff")
    elif match := re.fullmatch(rf"(?:relative|rel) (?:<= )?{NUMBER}", clause):
        allowed = float(match[1]) * np.maximum(np.abs(e), 1e-12)
        _bound((difference / allowed).max() * float(match[1]), float(match[1]), what, "relative diff")
    elif match := re.fullmatch(rf"mean abs diff <= {NUMBER}", clause):
        _bound(difference.mean(), float(match[1]), what, "mean abs diff")
    elif match := re.fullmatch(rf"{NUMBER} % of (?:pixels|voxels|cells) within {NUMBER}", clause):
        share = 100 * float((difference <= float(match[2])).mean())
        assert share >= float(match[1]), f"{what}: {share:.3f} % within {match[2]}, wanted {match[1]} %"
    elif match := re.fullmatch(rf"(?:argmax )?equal on >= {NUMBER} % of (?:pixels|voxels|cells)", clause):
        share = 100 * float((got == expected).mean())
        assert share >= float(match[1]), f"{what}: {share:.3f} % equal, wanted {match[1]} %"
    elif match := re.fullmatch(rf"Dice >= {NUMBER}", clause):
        dice = 2 * float((g * e).sum()) / max(float(g.sum() + e.sum()), 1e-12)
        assert dice >= float(match[1]), f"{what}: Dice {dice:.5f}, wanted {match[1]}"
    elif match := re.fullmatch(rf"adjusted Rand >= {NUMBER}", clause):
        index = adjusted_rand(got, expected)
        assert index >= float(match[1]), f"{what}: adjusted Rand {index:.5f}, wanted {match[1]}"
    else:
        raise AssertionError(f"{what}: the tolerance {clause!r} is in words that this check does not know")


def _bound(value: float, allowed: float, what: str, name: str) -> None:
    # "not <=" so that NaN fails.
    assert value <= allowed, f"{what}: {name} {value:.3e}, allowed {allowed:.3e}"


def adjusted_rand(a: np.ndarray, b: np.ndarray) -> float:
    """Adjusted Rand index of two labelings of the same points."""
    _, a_codes = np.unique(a.ravel(), return_inverse=True)
    _, b_codes = np.unique(b.ravel(), return_inverse=True)
    table = np.zeros((a_codes.max() + 1, b_codes.max() + 1))
    np.add.at(table, (a_codes, b_codes), 1)

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    total = a.size * (a.size - 1) / 2
    chance = rows * columns / total
    top = (rows + columns) / 2
    return 1.0 if top == chance else (both - chance) / (top - chance)
