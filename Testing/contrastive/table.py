"""What the experiments here write down: every score, and means over the seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from experiment import spread

from SegToolkitLib.atomic import write_text
from SegToolkitLib.evaluation.tables import write_csv


class Scored(Protocol):
    """A training that is tested, or will be."""

    name: str
    share: float
    seed: int
    row: str

    def scores(self) -> dict[str, float] | None:
        """Means over the test images in per cent; None if it is not done."""


def table(
    trainings: Iterable[Scored], out: Path, rows: Mapping[str, str], measures: Mapping[str, str]
) -> str:
    """A CSV of all that is finished, and a Markdown table of means and deviations over the seeds.

    "Gain" compares with the first of the rows, seed by seed.

    Args:
        trainings: in the order of the table.
        out: folder of ``table.csv`` and ``table.md``.
        rows: row of a training -> what it is called; the first has neither part.
        measures: name of a score -> its title; the gain is of the first.
    """
    plain, compared = next(iter(rows)), next(iter(measures))
    found: dict[tuple[str, float, str], dict[int, dict[str, float]]] = {}
    records = []
    for one in trainings:
        scores = one.scores()
        if scores is not None:
            found.setdefault((one.name, one.share, one.row), {})[one.seed] = scores
            about = {"set": one.name, "share": one.share, "row": one.row, "seed": one.seed}
            records.append({**about, **scores})
    write_csv(out / "table.csv", records)
    lines = [
        f"| data set | labels | training | seeds | {' | '.join(measures.values())} |"
        f" gain in {measures[compared]} |",
        f"|---|---|---|---|{'---|' * len(measures)}---|",
    ]
    for (name, share, row), seeds in found.items():
        base = found.get((name, share, plain), {})
        gains = [scores[compared] - base[seed][compared] for seed, scores in seeds.items() if seed in base]
        cells = [spread([scores[measure] for scores in seeds.values()]) for measure in measures]
        gain = spread(gains, sign="+") if row != plain and gains else ""
        lines.append(
            f"| {name} | {100 * share:g} % | {rows[row]} | {len(seeds)} | {' | '.join(cells)} | {gain} |"
        )
    text = "\n".join(lines)
    write_text(out / "table.md", text + "\n")
    return text
