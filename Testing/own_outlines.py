"""What outlines on a few slices of a volume give in the rest of it; see docs/starter-model.md.

    python Testing/own_outlines.py --data FOLDER_OF_DATA_SETS --out runs/own-outlines

Each structure of each volume is taken for itself. Its truth on the middle slice is the first outline; each
further one is the truth on the slice that the result suggests, as long as that shows the structure, or else
on the one in the middle of the widest gap. Scored is the whole volume but the slices that are outlined.
For comparison: the outline of the nearest outlined slice, copied to each slice that truly has the structure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from experiment import ROOT, spread
from numpy.typing import NDArray

from SegToolkitLib.atomic import write_text
from SegToolkitLib.dataset.dataset import Dataset, read_case
from SegToolkitLib.evaluation.tables import write_csv
from SegToolkitLib.methods.alpnet.segment import FewShotSegmenter
from SegToolkitLib.methods.alpnet.slice_cache import SliceCache
from SegToolkitLib.volume import Volume

Mask = NDArray[np.bool_]
MOST_OUTLINES = 3
WAYS = ("copied", "found without looking for ends", "found", "found, range given")


@dataclass(frozen=True)
class Row:
    """Dice of a structure, in per cent, by one way after so many outlines."""

    case: str
    seen: bool
    structure: str
    outlines: int
    way: str
    dice: float


def rows_of(
    segmenter: FewShotSegmenter, case: str, seen: bool, image: Volume, label: Volume, names: dict[int, str]
) -> Iterator[Row]:
    """All structures, numbers of outlines and ways; the slices lie along the first axis of the arrays."""
    for value, name in names.items():
        truth = label.voxels == value
        there = np.flatnonzero(truth.any((1, 2)))
        if len(there) <= MOST_OUTLINES:
            continue
        outlined = [int(there[len(there) // 2])]
        for count in range(1, MOST_OUTLINES + 1):
            segmenter.set_support(image, label, outlined, {value: name})
            first = segmenter.segment(image)
            whole = {
                "copied": _copied(truth, outlined, there),
                "found": first.labels.voxels > 0,
                "found without looking for ends": segmenter.segment(image, find_ends=False).labels.voxels > 0,
                "found, range given": segmenter.segment(image, (int(there[0]), int(there[-1]))).labels.voxels
                > 0,
            }
            rest = np.setdiff1d(np.arange(len(truth)), outlined)
            for way in WAYS:
                yield Row(case, seen, name, count, way, _dice(whole[way][rest], truth[rest]))
            outlined = sorted([*outlined, _next(first.next_slice, outlined, there)])


def _copied(truth: Mask, outlined: Sequence[int], there: NDArray[np.intp]) -> Mask:
    found = np.zeros_like(truth)
    for z in there:
        found[z] = truth[min(outlined, key=lambda one: abs(one - int(z)))]
    return found


def _next(suggested: int | None, outlined: Sequence[int], there: NDArray[np.intp]) -> int:
    """What is outlined next: a person sees that a slice does not show the structure."""
    if suggested is not None and suggested in there and suggested not in outlined:
        return suggested
    first, last = sorted(pairwise([int(there[0]) - 1, *outlined, int(there[-1]) + 1]), key=_width)[-1]
    return (first + last) // 2


def _width(gap: tuple[int, int]) -> int:
    return gap[1] - gap[0]


def _dice(found: Mask, truth: Mask) -> float:
    return 200 * float((found & truth).sum()) / float(found.sum() + truth.sum())


def table(rows: Sequence[Row]) -> str:
    """Means over the volumes and, in the last column, mean and deviation over volumes of their means."""
    names = list(dict.fromkeys(row.structure for row in rows))
    lines = [f"| outlines | way | {' | '.join(names)} | mean |", f"|---|---|{'---|' * (len(names) + 1)}"]
    for count in range(1, MOST_OUTLINES + 1):
        for way in WAYS:
            own = [row for row in rows if (row.outlines, row.way) == (count, way)]
            cells = [f"{np.mean([row.dice for row in own if row.structure == name]):.1f}" for name in names]
            cases = dict.fromkeys(row.case for row in own)
            means = [float(np.mean([row.dice for row in own if row.case == case])) for case in cases]
            lines.append(f"| {count} | {way} | {' | '.join(cells)} | {spread(means)} |")
    return "\n".join(lines)


def main() -> int:
    """Score all volumes, write ``rows.csv`` and ``table.md``, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each data set")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "own-outlines")
    parser.add_argument("--dataset", default="chaos_mr_t2", help="a description in Resources/DataSets")
    parser.add_argument("--model", default="abdomen-mr-t2-compact")
    options = parser.parse_args()
    description = ROOT / "Resources" / "DataSets" / f"{options.dataset}.json"
    dataset = Dataset.open(description, options.data / options.dataset)
    names = {value: name for name, value in dataset.description.labels.items() if value}
    segmenter = FewShotSegmenter.from_model(options.model, accept_licence=True)
    known = {id for one in segmenter.card.trained_on for id in one.cases}
    segmenter = FewShotSegmenter(segmenter.predictor.network, segmenter.card, cache=SliceCache())
    rows: list[Row] = []
    for case in dataset.cases:
        image, label = read_case(case)
        assert label is not None
        rows += rows_of(segmenter, case.id, case.id in known, image, label, names)
        print(f"{case.id}{' (seen in training)' if case.id in known else ''}", file=sys.stderr, flush=True)
    write_csv(options.out / "rows.csv", rows)
    text = "\n\n".join(
        f"{title}, {len({row.case for row in some})} volumes:\n\n{table(some)}"
        for title, some in (("All", rows), ("Not seen in training", [row for row in rows if not row.seen]))
        if some
    )
    write_text(options.out / "table.md", text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
