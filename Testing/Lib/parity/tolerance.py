"""The cases state their tolerances in words; this reads those words.

A sentence that no rule here understands fails the case: a tolerance is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

NUMBER = r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
SCALE = r"(?:\s*\*?\s*(MAX1|MAX))?"
UNIT = r"(?: of (?:all |the )?(pixels|voxels|cells|values|slices|entries|elements))?"
SHARE = rf"(?:>=)?\s*{NUMBER}\s*%{UNIT}"
SAME = r"(?:bit-?\s*)?(?:exactly )?(?:equal|identical|exact)"

BOUND = re.compile(rf"(?:(max|mean) )?(abs|relative)?\s*(?:diff)?\s*(?:<=|within)?\s*{NUMBER}{SCALE}")
EXACT = re.compile(rf"{SAME}(?: everywhere| when raw is equal)?")
EQUAL_SHARE = re.compile(rf"(?:argmax )?{SAME} (?:on|in|at|for) {SHARE}")
SHARE_EQUAL = re.compile(rf"{SHARE} {SAME}")
# Numbers of an entry each, as numpy.isclose takes them: |got - expected| <= atol + rtol |expected|.
TOGETHER = re.compile(rf"(?:rtol {NUMBER})?\s*(?:atol {NUMBER})?")
SHARE_WITHIN = re.compile(rf"{SHARE} (?:within|<=) {NUMBER}{SCALE}")

# (pattern, replacement), in order, on the lower-case sentence; afterwards MAX is max|expected|,
# MAX1 is max(1, max|expected|), and "@0+2", "@later", "@every" say to which steps a part belongs.
WORDS = [
    (r"≤|at most\b|<(?!=)", "<="),
    (r"≥|at least\b|>(?!=)", ">="),
    (r"×|\bx(?=\s*max\b)", "*"),
    (r"max\s*\|\s*expected\s*\||the array maximum|max\(\|expected\|\)", "MAX"),
    (r"(?:\bof|\brelative to) MAX", "MAX"),
    (r"max\(\s*(?:1(?:\.0)?\s*,\s*MAX|MAX\s*,\s*1(?:\.0)?)\s*\)", "MAX1"),
    (r"\b(?:per ?cent)\b", "%"),
    (r"\b(?:errors?|err|differences?|deviation)\b", "diff"),
    (r"\babsolute\b", "abs"),
    (r"\bmaximum\b", "max"),
    (r"\brel\b", "relative"),
    (r"\(([^()]*(?:informative|not compared)[^()]*)\)", r", \1"),
    (r"\(((?:at )?(?:steps? \d+|(?:every|later) steps?))\)", r"\1"),
    (rf"\(({NUMBER} (?:at|for|later)\b[^()]*)\)", r", \1"),
    (r"\s*\((?:[^()]|\([^()]*\))*\)", ""),  # every other remark in brackets
    (r"\b(?:(?:at|for|in) )?(?:every|each|all) steps?\b", "@every"),
    (r"\b(?:(?:at|for|in) )?(?:all |the )?(?:later|other|further|following|remaining) steps?\b", "@later"),
    (r"(?<!@)\b(?:later|afterwards|thereafter)\b", "@later"),
    (r"\b(?:(?:at|for|in) )?the first step\b", "@0"),
]
STEPS = re.compile(
    r"\b(?:(?:at|for|in|from|(after)) )?(?:step (?:>= ?)?(\d+)(?![\d.e])|"
    r"steps (?:>= ?)?(\d+(?:(?:\s*-\s*|\s*,\s*and |\s*,\s*| and | to )\d+(?!\s*%)(?![\d.e]))*))"
    r"(?:\+| on(?:wards)?\b| and @later)?"
)


def assert_close(
    tolerances: dict[str, Any], key: str, got: Any, expected: Any, what: str, **which: Any
) -> bool:
    """Fail unless ``got`` meets the tolerance sentence stored under ``key``.

    ``which`` picks a clause where a sentence has several: ``step=0`` for "... at step 0",
    ``group=("running",)`` for "... for running statistics" (the first word that the sentence knows).

    Returns:
        Whether anything was compared: False where the sentence calls the value informative only.
    """
    clauses = _clauses(_plain(_resolve(tolerances, key, what)), which, what)
    got, expected = _array(got), _array(expected)
    if got.size == expected.size == 1 and max(got.ndim, expected.ndim) == 1:
        got, expected = got.reshape(1), expected.reshape(1)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    for clause in clauses:
        _assert_clause(clause, got, expected, what)
    return bool(clauses)


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _resolve(tolerances: dict[str, Any], key: str, what: str) -> str:
    """Return the sentence for ``key``; follows "same" (the entry before) and "same as X".

    Where the case has no such entry: its numbers ``<key>_rtol`` and ``<key>_atol``, else its ``rtol`` and
    ``atol``, else what it says of "all".
    """
    if key not in tolerances:
        for prefix in (f"{key}_", ""):
            if numbers := [
                f"{n} {tolerances[prefix + n]}" for n in ("rtol", "atol") if prefix + n in tolerances
            ]:
                return " ".join(numbers)
        assert "all" in tolerances, f"{what}: the case states no tolerance {key!r}"
        key = "all"
    sentence = str(tolerances[key]).strip()
    if match := re.fullmatch(r"same as (\w+)", sentence):
        return _resolve(tolerances, match[1], what)
    if sentence == "same":
        names = list(tolerances)
        return _resolve(tolerances, names[names.index(key) - 1], what)
    return sentence


def _plain(sentence: str) -> str:
    """Bring synonyms to one form, drop remarks in brackets, and mark the steps."""
    sentence = sentence.lower()
    for pattern, replacement in WORDS:
        sentence = re.sub(pattern, replacement, sentence)
    sentence = STEPS.sub(lambda match: _step_token(match[2] or match[3], bool(match[1])), sentence)
    return re.sub(r"(@\d+) and @(\d+)(?!:)", r"\1+\2", sentence).strip(" .,;")


def _step_token(text: str, after: bool) -> str:
    numbers = [int(number) + after for number in re.findall(r"\d+", text)]
    if re.search(r"-| to ", text):
        numbers = list(range(numbers[0], numbers[-1] + 1))
    return "@" + "+".join(map(str, numbers))


class Part(NamedTuple):
    """A part of a sentence: "relative 1e-2 @1 for conv weights" is ("relative 1e-2", "1", "conv weights")."""

    words: str
    steps: str
    whom: str

    @property
    def is_free(self) -> bool:
        return bool(re.search(r"\binformative\b|\bnot compared\b", self.words))


def _clauses(sentence: str, which: dict[str, Any], what: str) -> list[str]:
    """Return the clauses that hold for ``which``, each with its words in full."""
    parts = _parts(re.sub(r"(@\S+)\s+and\s+", r"\1, ", sentence))
    if "step" in which and any(part.steps for part in parts):
        parts = _of_step(parts, which["step"])
    if "group" in which and any(part.whom for part in parts):
        parts = _of_group(parts, which["group"])
    assert parts, f"{what}: the tolerance {sentence!r} says nothing of {which}"
    if all(part.is_free for part in parts):
        return []
    return [clause for part in parts if not part.is_free for clause in re.split(r"\s+and\s+", part.words)]


def _parts(sentence: str) -> list[Part]:
    """Split at commas; a part that is but a number takes the words of the bound before it."""
    parts: list[Part] = []
    bound = ""
    for text in filter(None, re.split(r"\s*[,;]\s*", sentence)):
        mark = re.search(r"@([\w+]+)", text)
        words, _, whom = re.sub(r"\s*@[\w+]+:?\s*", " ", text).strip().partition(" for ")
        if bound and re.fullmatch(rf"(?:<=)?\s*{NUMBER}", words):
            words = re.sub(NUMBER, words.removeprefix("<=").strip(), bound, count=1)
        if BOUND.fullmatch(words):
            bound = words
        parts.append(Part(words, mark[1] if mark else "", whom))
    return parts


def _of_step(parts: list[Part], step: int) -> list[Part]:
    """Keep the parts of ``step``; a step that is not named has those of the last one named before it."""

    def having(mark: str) -> list[Part]:
        return [part for part in parts if part.steps == "every" or mark in (part.steps or "later").split("+")]

    named = sorted({int(number) for part in parts for number in re.findall(r"\d+", part.steps)})
    if step in named:
        return having(str(step))
    if any(part.steps in ("later", "") for part in parts) or not named:
        return having("later")
    return having(str(max([number for number in named if number < step], default=named[0])))


def _of_group(parts: list[Part], group: Sequence[str]) -> list[Part]:
    """Keep the parts for the first word of ``group`` that is named, else those for the rest."""
    for word in (*group, "other", "rest", "all"):
        if found := [part for part in parts if re.search(rf"\b{word}", part.whom)]:
            return found
    return [part for part in parts if not part.whom]


def _assert_clause(clause: str, got: np.ndarray, expected: np.ndarray, what: str) -> None:
    g, e = got.astype(np.float64), expected.astype(np.float64)
    same = (g == e) | (np.isnan(g) & np.isnan(e))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(g - e))
    largest = float(np.abs(e[np.isfinite(e)]).max(initial=0.0))
    scales = {None: 1.0, "MAX": largest, "MAX1": max(1.0, largest)}

    if EXACT.fullmatch(clause):
        assert same.all(), f"{what}: {int((~same).sum())} values differ"
    elif clause == "exactly 0":
        assert same.all(), f"{what}: {int((~same).sum())} values differ"
        assert not g.any(), f"{what}: {int((g != 0).sum())} values are not 0"
    elif match := BOUND.fullmatch(re.sub(r"(.*\d) relative", r"relative \1", clause)):
        how, kind, number, scale = match.groups()
        allowed = float(number) * scales[scale]
        if kind == "relative" and scale is None:
            difference = np.where(same, 0.0, difference / np.maximum(np.abs(e), 1e-12))
        if difference.size:
            value = difference.mean() if how == "mean" else difference.max()
            # "not <=" so that NaN fails.
            assert value <= allowed, f"{what}: {clause!r} is not met: {value:.3e}, allowed {allowed:.3e}"
    elif clause and (match := TOGETHER.fullmatch(clause)):
        rtol, atol = (float(number or 0) for number in match.groups())
        beyond = ~(difference <= atol + rtol * np.abs(e))  # "not <=" so that NaN fails
        worst = difference[beyond].max(initial=0.0)
        assert not beyond.any(), (
            f"{what}: {clause!r} is not met by {int(beyond.sum())} values, up to {worst:.3e}"
        )
    elif match := SHARE_WITHIN.fullmatch(clause):
        _assert_share(difference <= float(match[3]) * scales[match[4]], match[1], match[2], what)
    elif match := EQUAL_SHARE.fullmatch(clause) or SHARE_EQUAL.fullmatch(clause):
        _assert_share(same, match[1], match[2], what)
    elif match := re.fullmatch(rf"dice >= {NUMBER}", clause):
        value = lowest_dice(g, e)
        assert value >= float(match[1]), f"{what}: Dice {value:.5f}, wanted {match[1]}"
    elif match := re.fullmatch(rf"adjusted rand(?: index)? >= {NUMBER}", clause):
        planes = zip(got, expected, strict=True) if got.ndim == 3 else [(got, expected)]
        value = min((adjusted_rand(a, b) for a, b in planes), default=1.0)
        assert value >= float(match[1]), f"{what}: adjusted Rand {value:.5f}, wanted {match[1]}"
    else:
        raise AssertionError(f"{what}: the tolerance {clause!r} is in words that this check does not know")


def _assert_share(good: np.ndarray, wanted: str, unit: str | None, what: str) -> None:
    """Fail unless ``wanted`` per cent are good; a slice is good if all of it is."""
    if unit == "slices":
        good = good.reshape(len(good), -1).all(1) if good.ndim >= 3 else good.all(keepdims=True)
    share = 100 * float(good.mean()) if good.size else 100.0
    assert share >= float(wanted), f"{what}: {share:.3f} % are within tolerance, wanted {wanted} %"


def lowest_dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the lowest Dice of the labels above 0; 1 where both have none."""
    values = np.union1d(a[a > 0], b[b > 0])
    scores = [2 * ((a == v) & (b == v)).sum() / ((a == v).sum() + (b == v).sum()) for v in values]
    return float(min(scores, default=1.0))


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
