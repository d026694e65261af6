"""How well maps of whole cases, cut at thresholds, match masks; and which threshold to take.

Source: released protocol of WSS-CMER: thresholds 0.2 to 0.8, DSC and ASSD in three dimensions, mean and
population standard deviation over patients. Empty masks, real spacing and the choice of a threshold are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.evaluation.surface import border_distances
from SegToolkitLib.methods.cmer.plan import DEFAULT_THRESHOLD

THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
UNIT = (1.0, 1.0, 1.0)
FULL = np.float32(255)

Floats = NDArray[np.float64]
# directed: mean of both directed means (medpy when the paper was written); pooled: mean of all distances.
Assd = Literal["directed", "pooled"]


class CaseScores(NamedTuple):
    """Of one case, in the order of the thresholds.

    Attributes:
        dsc: [T]; 0 where either mask alone is empty, 1 where both are.
        assd: in the unit of the spacing [T]; NaN (missing) where a mask is empty.
    """

    dsc: Floats
    assd: Floats


class MeanStd(NamedTuple):
    """Over cases, for each threshold [T].

    Attributes:
        mean, std: of the cases that have a value (population standard deviation); NaN where none has.
        missing: how many have none.
    """

    mean: Floats
    std: Floats
    missing: NDArray[np.intp]


@dataclass(frozen=True)
class Sweep:
    """Scores of all cases at all thresholds.

    Attributes:
        thresholds: [T].
        cases: names [P].
        dsc, assd: [P, T], see :class:`CaseScores`.
    """

    thresholds: tuple[float, ...]
    cases: tuple[str, ...]
    dsc: Floats
    assd: Floats

    @classmethod
    def of(cls, scores: Mapping[str, CaseScores], thresholds: Sequence[float] = THRESHOLDS) -> Sweep:
        """Join the scores of cases.

        Raises:
            SegToolkitError: "no-cases".
        """
        if not scores:
            raise SegToolkitError(
                "no-cases", "There is no case to score.", "Give cases that have maps and masks."
            )
        dsc, assd = (np.stack([one[which] for one in scores.values()]) for which in (0, 1))
        return cls(tuple(thresholds), tuple(scores), dsc, assd)

    def dsc_over_cases(self) -> MeanStd:
        """Of the DSC."""
        return _over_cases(self.dsc)

    def assd_over_cases(self) -> MeanStd:
        """Of the ASSD."""
        return _over_cases(self.assd)

    def best(self) -> float:
        """The threshold of the best mean DSC: of several alike, that nearest to 0.5; 0.5 where all are 0."""
        means = self.dsc.mean(0)
        if not means.any():
            return DEFAULT_THRESHOLD
        first = np.flatnonzero(means == means.max())
        return min((self.thresholds[at] for at in first), key=lambda one: abs(one - DEFAULT_THRESHOLD))


def choose_thresholds(sweeps: Mapping[str, Sweep]) -> dict[str, float]:
    """The best threshold of each modality, from validation cases, for a :class:`ModelPlan`."""
    return {modality: sweep.best() for modality, sweep in sweeps.items()}


def score_case(
    maps: NDArray[Any],
    mask: NDArray[Any],
    spacing_zyx: Sequence[float] = UNIT,
    thresholds: Sequence[float] = THRESHOLDS,
    assd: Assd = "directed",
) -> CaseScores:
    """Score the map of one case.

    Args:
        maps: gated, floats in 0 to 1 [Z, Y, X]; whole numbers are taken as the authors' 8-bit ones.
        mask: everything but 0 is object, [Z, Y, X].
        spacing_zyx: mm between voxels; the authors take 1 for all axes.
        thresholds: a pixel above one (not at it) is object.
        assd: which definition.

    Raises:
        SegToolkitError: "shape": the arrays differ, or are not three-dimensional.
    """
    return both_assd(maps, mask, spacing_zyx, thresholds)[assd]


def both_assd(
    maps: NDArray[Any],
    mask: NDArray[Any],
    spacing_zyx: Sequence[float] = UNIT,
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[Assd, CaseScores]:
    """:func:`score_case` with both definitions of the ASSD, measured once.

    Raises:
        SegToolkitError: "shape".
    """
    values = maps if maps.dtype.kind == "f" else maps / FULL
    truth = mask != 0
    rows = [_score(values > threshold, truth, spacing_zyx) for threshold in thresholds]
    dsc, directed, pooled = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    return {"directed": CaseScores(dsc, directed), "pooled": CaseScores(dsc, pooled)}


def _score(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float]
) -> tuple[float, float, float]:
    distances = border_distances(found, truth, spacing)
    dsc = float(overlaps(found, truth, [1]).dice()[0])
    if not (distances.a.size and distances.b.size):
        return dsc, float("nan"), float("nan")
    return dsc, distances.directed_assd(), distances.assd()


def _over_cases(values: Floats) -> MeanStd:
    there = np.isfinite(values)
    count = there.sum(0)
    with np.errstate(invalid="ignore"):
        mean = np.where(there, values, 0).sum(0) / count
        std = np.sqrt(np.square(np.where(there, values - mean, 0)).sum(0) / count)
    return MeanStd(mean, std, len(values) - count)
