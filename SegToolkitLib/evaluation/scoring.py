"""Scores of label maps, organ by organ, by the rules of a protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.evaluation.surface import surface_distances

MM3_PER_ML = 1000.0
DEFAULT_TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class Organ:
    """One structure of a protocol.

    Attributes:
        value: its label.
        name: what tables call it.
        tolerance_mm: of the NSD.
        sliced: only slices that the reference has are scored.
    """

    value: int
    name: str
    tolerance_mm: float
    sliced: bool = False


@dataclass(frozen=True)
class Protocol:
    """What is scored, and how.

    Attributes:
        name: for tables.
        organs: in the order of the tables.
        both_empty: DSC and NSD of an organ that reference and result both lack; NaN leaves it out of means.
        digits: DSC and NSD of each case and organ are rounded to; None for not at all.
        merged: label -> label that it counts as, in reference and result alike.
        ignored: label of the reference's voxels that nobody decided on (nnU-Net's "ignore"): there, reference
            and result count as background. None for none.
        distances: measure NSD, HD95 and ASSD, which take most of the time; otherwise they have no value.
        spacing_known: the spacing is true; otherwise distances and volumes have no value.
    """

    name: str
    organs: tuple[Organ, ...]
    both_empty: float = math.nan
    digits: int | None = None
    merged: Mapping[int, int] = field(default_factory=dict)
    ignored: int | None = None
    distances: bool = True
    spacing_known: bool = True


@dataclass(frozen=True)
class OrganScore:
    """One organ in one case; NaN where a measure has no value.

    Attributes:
        case, organ, value: which.
        dsc: 2 |both| / (|reference| + |result|), 0 to 1.
        nsd: surface Dice at the organ's tolerance, 0 to 1.
        hd95_mm, assd_mm: infinite where reference or result alone is empty.
        reference_ml, result_ml: volumes, in all slices, without what the reference ignores.
    """

    case: str
    organ: str
    value: int
    dsc: float
    nsd: float
    hd95_mm: float
    assd_mm: float
    reference_ml: float
    result_ml: float


def generic(
    labels: Mapping[str, int], tolerance_mm: float | Mapping[str, float] = DEFAULT_TOLERANCE_MM
) -> Protocol:
    """A protocol for any anatomy: every structure, whole volumes, what both lack left out.

    Args:
        labels: value of each label by name; 0 and nnU-Net's "ignore" are no structures, and voxels that the
            reference ignores are left out.
        tolerance_mm: of the NSD, for all or by name (2 mm where not named).

    Raises:
        SegToolkitError: "unknown-structure": a tolerance for a structure that is not there;
            "no-labels": no label is a structure.
    """
    by_name = tolerance_mm if isinstance(tolerance_mm, Mapping) else dict.fromkeys(labels, tolerance_mm)
    strange = sorted(set(by_name) - set(labels))
    if strange:
        raise SegToolkitError(
            "unknown-structure",
            f"There is no structure {strange[0]!r} to have a tolerance.",
            f"There are {', '.join(labels)}.",
        )
    organs = tuple(
        Organ(value, name, by_name.get(name, DEFAULT_TOLERANCE_MM))
        for name, value in sorted(labels.items(), key=lambda item: item[1])
        if value and name.casefold() != IGNORE
    )
    if not organs:
        raise SegToolkitError(
            "no-labels",
            f"There are no structures to score among the labels ({', '.join(labels) or 'none'}).",
            "Name the structures in the data set's description.",
        )
    return Protocol("generic", organs, ignored=ignored_value(labels))


def ignored_value(labels: Mapping[str, int]) -> int | None:
    """The label of voxels that nobody decided on, of labels by name; None where there is none."""
    return next((value for name, value in labels.items() if name.casefold() == IGNORE), None)


def score_case(
    case: str,
    reference: NDArray[Any],
    result: NDArray[Any],
    spacing_zyx: Sequence[float],
    protocol: Protocol,
) -> list[OrganScore]:
    """Score one case.

    Args:
        case: its id, for the rows.
        reference, result: whole numbers [z, y, x] of one shape; values that the protocol does not name are
            background.
        spacing_zyx: mm along the axes.
        protocol: its rules.

    Returns:
        One row an organ, in the order of the protocol.

    Raises:
        SegToolkitError: "shape", "bad-labels".
    """
    if protocol.ignored is not None and reference.shape == result.shape:
        # Before labels are merged: it is the reference's own value, which a challenge may use for an organ.
        decided = reference != protocol.ignored
        reference, result = reference * decided, result * decided
    reference, result = (_merged(one, protocol.merged) for one in (reference, result))
    values = [organ.value for organ in protocol.organs]
    whole = overlaps(reference, result, values)
    top = max(values, default=0)
    boxes = [
        find_objects(one.astype(np.uint8) if one.dtype == bool else one, max_label=top)
        for one in (reference, result)
    ]
    voxel_ml = math.nan
    if protocol.spacing_known:
        voxel_ml = math.prod(float(one) for one in spacing_zyx) / MM3_PER_ML
    rows = []
    for index, organ in enumerate(protocol.organs):
        box = _joint(boxes[0][organ.value - 1], boxes[1][organ.value - 1])
        scores = _organ_scores(
            reference[box] == organ.value, result[box] == organ.value, spacing_zyx, organ, protocol
        )
        volumes = (float(whole.a[index] * voxel_ml), float(whole.b[index] * voxel_ml))
        rows.append(OrganScore(case, organ.name, organ.value, *scores, *volumes))
    return rows


def _organ_scores(
    truth: NDArray[np.bool_],
    found: NDArray[np.bool_],
    spacing_zyx: Sequence[float],
    organ: Organ,
    protocol: Protocol,
) -> tuple[float, float, float, float]:
    """DSC, NSD, HD95 and ASSD of two masks [z, y, x]."""
    if organ.sliced and truth.any():
        used = np.flatnonzero(truth.any(axis=(1, 2)))
        # The last slice is left out, as coded in the challenge; a single one is kept, or nothing were left.
        slices = slice(used[0], max(used[-1], used[0] + 1))
        truth, found = truth[slices], found[slices]
    measured = protocol.distances and protocol.spacing_known
    if not truth.any() and not found.any():
        return protocol.both_empty, protocol.both_empty if measured else math.nan, math.nan, math.nan
    dsc = _rounded(float(overlaps(truth, found, [1]).dice()[0]), protocol)
    if not measured:
        return dsc, math.nan, math.nan, math.nan
    distances = surface_distances(truth, found, spacing_zyx)
    nsd = _rounded(distances.nsd(organ.tolerance_mm), protocol)
    return dsc, nsd, distances.hd95(), distances.assd()


def _rounded(value: float, protocol: Protocol) -> float:
    return value if protocol.digits is None else round(value, protocol.digits)


def _merged(labels: NDArray[Any], merged: Mapping[int, int]) -> NDArray[Any]:
    if not merged:
        return labels
    joined = labels.copy()
    for value, into in merged.items():
        joined[labels == value] = into
    return joined


def _joint(a: tuple[slice, ...] | None, b: tuple[slice, ...] | None) -> tuple[slice, ...]:
    """Smallest box around two; of no voxels if both are None."""
    there = [box for box in (a, b) if box is not None]
    if not there:
        return (slice(0, 0),) * 3
    return tuple(
        slice(min(one.start for one in axis), max(one.stop for one in axis))
        for axis in zip(*there, strict=True)
    )
