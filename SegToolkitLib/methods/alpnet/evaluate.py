"""The authors' test protocol, and beside it one that does not know where the organ begins and ends.

Source: Ouyang et al., ECCV 2020, section 4.1, and the released validation script.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.folds import FoldSplit
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.cleaning import reject_unlike
from SegToolkitLib.methods.alpnet.data import Normalisation, slice_size
from SegToolkitLib.methods.alpnet.matching import by_chunk, by_relative_position
from SegToolkitLib.methods.alpnet.predictor import Predictor, StructurePrototypes
from SegToolkitLib.methods.alpnet.protocol import scan_scores, support_slices
from SegToolkitLib.methods.alpnet.segment import REJECT
from SegToolkitLib.volume import CropBox, Volume
from SegToolkitLib.volume.parts import largest_parts

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ProtocolSettings:
    """The test protocol's constants; the defaults are the authors'.

    Attributes:
        parts: chunks of an organ, each served by one support slice; odd.
        margin: slices beyond the organ that enter the metric.
        support_index: positions of the support scans in the fold's validation list (queries, then
            supports); several are several shots.
    """

    parts: int = 3
    margin: int = 0
    support_index: tuple[int, ...] = (-1,)


@dataclass(frozen=True)
class ScanResult:
    """Scores of one organ in one query scan, 0..1.

    ``dice``, ``precision`` and ``recall`` follow the authors: support slices by chunks of the true slice
    range, and only slices of that range are scored. ``honest_*`` uses nothing of the query's truth:
    support slices by relative position, every slice scored; ``product_dice`` is the same with what
    ``segment --keep-largest`` does besides: unlike voxels rejected, the largest component kept.
    """

    fold: int
    scan: str
    organ: str
    dice: float
    precision: float
    recall: float
    honest_dice: float
    honest_precision: float
    honest_recall: float
    product_dice: float


@dataclass
class _Scan:
    id: str
    image: Volume
    label: NDArray
    features: Tensor = field(repr=False)


def evaluate_fold(
    dataset: Dataset,
    split: FoldSplit,
    fold: int,
    predictor: Predictor,
    normalisation: Normalisation,
    organs: Sequence[str],
    settings: ProtocolSettings | None = None,
    *,
    progress: Progress | None = None,
    keep: Callable[[str, Volume, Volume, Volume], None] | None = None,
) -> list[ScanResult]:
    """Evaluate one fold.

    Args:
        dataset: prepared volumes with labels.
        split: of the fold.
        fold: its number, for the table.
        predictor: the trained network.
        normalisation: as in training.
        organs: names of the tested structures.
        settings: protocol constants.
        progress: called with (scans done, scans in all).
        keep: called with (scan id, image, prediction by the authors' protocol, truth).

    Returns:
        One row a query scan and organ.
    """
    settings = settings or ProtocolSettings()
    ids = _support_ids(split, settings)
    supports = [_read(dataset, id, predictor, normalisation) for id in ids]
    banks = {organ: _support_bank(dataset, supports, organ, predictor, settings.parts) for organ in organs}
    queries = [id for id in split.validation if id not in ids]
    rows = []
    for done, id in enumerate(queries, start=1):
        scan = _read(dataset, id, predictor, normalisation)
        shown = np.zeros(scan.label.shape, dtype=np.uint8)
        for organ in organs:
            value = dataset.description.labels[organ]
            truth = scan.label == value
            if not truth.any():
                continue
            row, predicted = _one_organ(fold, scan, organ, truth, banks[organ], predictor, settings)
            rows.append(row)
            shown[predicted & (shown == 0)] = value
        if keep:
            keep(id, scan.image, scan.image.with_voxels(shown), scan.image.with_voxels(scan.label))
        if progress:
            progress(done, len(queries))
    return rows


@dataclass(frozen=True)
class _Bank:
    """Prototypes of an organ for each chunk, and the support's place in its volume."""

    prototypes: list[StructurePrototypes]
    slices: list[int]
    depth: int


def _support_bank(
    dataset: Dataset, supports: Sequence[_Scan], organ: str, predictor: Predictor, parts: int
) -> _Bank:
    value = dataset.description.labels[organ]
    chosen = []
    for scan in supports:
        present = np.flatnonzero((scan.label == value).any((1, 2)))
        if not len(present):
            raise SegToolkitError(
                "organ-missing",
                f"The support scan {scan.id} has no {organ}.",
                "Choose another support scan (--support-index) or other organs.",
            )
        chosen.append(support_slices(present.tolist(), parts))
    prototypes = [
        predictor.describe(
            [
                (scan.features[slices[part]], scan.label[slices[part]] == value)
                for scan, slices in zip(supports, chosen, strict=True)
            ],
            REJECT,
        )
        for part in range(parts)
    ]
    return _Bank(prototypes, chosen[0], len(supports[0].label))


def _one_organ(
    fold: int,
    scan: _Scan,
    organ: str,
    truth: NDArray,
    bank: _Bank,
    predictor: Predictor,
    settings: ProtocolSettings,
) -> tuple[ScanResult, NDArray]:
    depth = len(truth)
    every = list(range(depth))
    present = np.flatnonzero(truth.any((1, 2)))
    first, last = int(present[0]), int(present[-1])
    # Each chunk's prototypes are applied to all slices at once; both protocols only pick among these.
    scores = [predictor.scores(scan.features, one, truth.shape[1:]) for one in bank.prototypes]
    candidates = np.stack([_is_foreground(one) for one in scores])
    liked = np.stack(
        [
            _is_foreground(reject_unlike(one, prototypes.floor))
            for one, prototypes in zip(scores, bank.prototypes, strict=True)
        ]
    )
    authors = candidates[by_chunk(every, first, last, settings.parts), every]
    placed = by_relative_position(every, depth, bank.slices, bank.depth)
    honest, product = candidates[placed, every], largest_parts(liked[placed, every])
    scored = slice(max(first - settings.margin, 0), last + settings.margin + 1)
    by_authors = scan_scores(authors[scored], truth[scored])
    by_us = scan_scores(honest, truth)
    row = ScanResult(
        fold,
        scan.id,
        organ,
        by_authors.dice,
        by_authors.precision,
        by_authors.recall,
        by_us.dice,
        by_us.precision,
        by_us.recall,
        scan_scores(product, truth).dice,
    )
    return row, authors


def _is_foreground(scores: Tensor) -> NDArray:
    return scores.argmax(1).cpu().numpy() == 1


def _read(dataset: Dataset, id: str, predictor: Predictor, normalisation: Normalisation) -> _Scan:
    image, label = dataset.read(dataset.case(id))
    if label is None:
        raise SegToolkitError(
            "no-label", f"Case {id} has no label, so nothing can be scored.", "Leave it out or add its label."
        )
    rows, columns = slice_size(dataset.description, image.voxels.shape)
    # Normalised as a whole, then cut, as in training.
    pixels = normalisation(image.voxels)[:, :rows, :columns]
    box = CropBox((0, 0, 0), (columns, rows, len(pixels)))
    image, truth = box.apply(image)[0], label.voxels[:, :rows, :columns]
    return _Scan(id, image, truth, predictor.encode(pixels))


def _support_ids(split: FoldSplit, settings: ProtocolSettings) -> list[str]:
    validation = split.validation
    try:
        return [validation[index] for index in settings.support_index]
    except IndexError as error:
        raise SegToolkitError(
            "bad-support-index",
            f"The support index {list(settings.support_index)} does not fit {len(validation)} scans.",
            f"Use -1 for the last one, or 0 to {len(validation) - 1}.",
        ) from error


def summary(rows: Sequence[ScanResult]) -> dict[str, dict[str, float]]:
    """Mean Dice in per cent by organ: over the scans of a fold, then over folds; "mean" over organs.

    Returns:
        For "dice", "honest_dice" and "product_dice": organ -> mean, with "mean" and
        "std_over_folds" (population) of the organs' mean.
    """
    table = {}
    organs = list(dict.fromkeys(row.organ for row in rows))
    folds = sorted({row.fold for row in rows})
    for measure in ("dice", "honest_dice", "product_dice"):
        by_fold = {
            (fold, organ): statistics.fmean(values)
            for fold in folds
            for organ in organs
            if (values := [getattr(r, measure) for r in rows if r.fold == fold and r.organ == organ])
        }
        means = {
            organ: 100 * statistics.fmean([v for (_, o), v in by_fold.items() if o == organ])
            for organ in organs
        }
        per_fold = [
            100 * statistics.fmean([v for (f, _), v in by_fold.items() if f == fold]) for fold in folds
        ]
        means["mean"] = statistics.fmean(means[organ] for organ in organs)
        means["std_over_folds"] = statistics.pstdev(per_fold)
        table[measure] = {name: round(value, 2) for name, value in means.items()}
    return table
