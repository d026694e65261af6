"""Models on several sets of volumes, such as clean ones and corrupted copies: tables of what they find.

Source of the tables: the released evaluation of cooperative training (a file of volumes and one of means for
each model and set); the overview of models and sets, and means over runs, are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_text
from SegToolkitLib.evaluation.scoring import OrganScore
from SegToolkitLib.evaluation.summary import Mean, mean_of
from SegToolkitLib.evaluation.tables import write_csv, write_results

DIGITS = 3
# In tables for people, where there is no number.
NONE = "-"


@dataclass(frozen=True)
class VolumeResult:
    """What one model found in one volume.

    Attributes:
        name: of the model's kind; runs that differ by chance alone share it.
        run: the model itself.
        variant: how it was applied.
        set: which set the volume is of.
        case: id of the volume.
        copy: number of a corrupted copy; None for the volume itself.
        scores: one a structure.
        slices, unlike: how many slices it has, and how many of them were told to look unlike the training;
            ``unlike`` is None where the model cannot tell.
    """

    name: str
    run: str
    variant: str
    set: str
    case: str
    copy: int | None
    scores: tuple[OrganScore, ...]
    slices: int = 0
    unlike: int | None = None

    @property
    def id(self) -> str:
        """The case, and the copy of it: "007_ED_0"."""
        return self.case if self.copy is None else f"{self.case}_{self.copy}"


@dataclass(frozen=True)
class Row:
    """One line of the overview.

    Attributes:
        name, variant: which models, and how they were applied.
        runs: how many models these are.
        dice: set -> mean over the runs of their mean Dice; and how that differs between runs.
        unlike: set -> share of slices told to look unlike the training; without sets where nobody can tell.
    """

    name: str
    variant: str
    runs: int
    dice: Mapping[str, Mean]
    unlike: Mapping[str, float]

    @property
    def average(self) -> float:
        """Mean over the sets; NaN where one has no value."""
        means = [mean.mean for mean in self.dice.values()]
        return sum(means) / len(means) if means else math.nan


def overview(results: Sequence[VolumeResult]) -> list[Row]:
    """The rows of the table of models and sets, in the order of the results."""
    rows = []
    for name, variant in dict.fromkeys((one.name, one.variant) for one in results):
        own = [one for one in results if (one.name, one.variant) == (name, variant)]
        runs = list(dict.fromkeys(one.run for one in own))
        dice = {}
        unlike = {}
        for chosen in dict.fromkeys(one.set for one in own):
            of_set = [one for one in own if one.set == chosen]
            dice[chosen] = mean_of([mean_dice([one for one in of_set if one.run == run]) for run in runs])
            told = [one for one in of_set if one.unlike is not None]
            if told:
                unlike[chosen] = sum(one.unlike or 0 for one in told) / sum(one.slices for one in told)
        rows.append(Row(name, variant, len(runs), dice, unlike))
    return rows


def mean_dice(results: Iterable[VolumeResult], measure: str = "dsc") -> float:
    """Mean over the structures of the mean over the volumes; what both lack is left out."""
    by_organ: dict[str, list[float]] = {}
    for result in results:
        for score in result.scores:
            by_organ.setdefault(score.organ, []).append(getattr(score, measure))
    return mean_of([mean_of(values).mean for values in by_organ.values()]).mean


def write_robustness(
    out: Path, results: Sequence[VolumeResult], about: Mapping[str, Any], notes: Sequence[str] = ()
) -> list[str]:
    """Write the tables.

    * ``<run>/<variant>/<set>.csv`` lists the Dice of each volume, ``<set>_summary.csv`` mean and deviation.
    * ``scores.csv`` holds every figure of every structure and volume.
    * ``table.csv`` and ``table.md`` are the overview; ``results.json`` has the same, and ``about``.

    Args:
        out: folder.
        results: of all models and sets; at least one.
        about: what else results.json says.
        notes: sentences on how far the shares of unlike slices hold.

    Returns:
        The overview as lines for a person.
    """
    groups = dict.fromkeys((one.run, one.variant, one.set) for one in results)
    for run, variant, chosen in groups:
        own = [one for one in results if (one.run, one.variant, one.set) == (run, variant, chosen)]
        _write_volumes(out / _file_name(run) / _file_name(variant), _file_name(chosen), own)
    write_csv(
        out / "scores.csv",
        [
            {"model": one.name, "run": one.run, "variant": one.variant, "set": one.set, "copy": one.copy}
            | asdict(score)
            for one in results
            for score in one.scores
        ],
    )
    rows = overview(results)
    sets = list(dict.fromkeys(one.set for one in results))
    several = any(row.runs > 1 for row in rows)
    write_csv(out / "table.csv", [_record(row, sets, several) for row in rows])
    lines = _markdown(rows, sets, notes)
    lines += _without_value(results)
    write_text(out / "table.md", "\n".join(lines) + "\n")
    write_results(
        out / "results.json",
        {
            **about,
            "notes": list(notes),
            "dice_percent": {f"{row.name}, {row.variant}": _percent(row) for row in rows},
            "nsd_percent": {
                f"{row.name}, {row.variant}": {
                    chosen: round(100 * mean_dice(_of(results, row, chosen), "nsd"), 2) for chosen in row.dice
                }
                for row in rows
            },
            "rows": [asdict(row) | {"average": row.average} for row in rows],
        },
    )
    return lines


def _write_volumes(folder: Path, name: str, results: Sequence[VolumeResult]) -> None:
    records = [
        {"patient_id": one.id} | {f"{score.organ}_Dice": score.dsc for score in one.scores} for one in results
    ]
    write_csv(folder / f"{name}.csv", records)
    columns = list(dict.fromkeys(column for record in records for column in record if column != "patient_id"))
    means = {column: mean_of([float(one.get(column, math.nan)) for one in records]) for column in columns}
    write_csv(
        folder / f"{name}_summary.csv",
        [
            {"": what} | {column: f"{getattr(mean, what):.{DIGITS}f}" for column, mean in means.items()}
            for what in ("mean", "std")
        ],
    )


def _of(results: Sequence[VolumeResult], row: Row, chosen: str) -> list[VolumeResult]:
    wanted = (row.name, row.variant, chosen)
    return [one for one in results if (one.name, one.variant, one.set) == wanted]


def _record(row: Row, sets: Sequence[str], several: bool) -> dict[str, Any]:
    """A line of the table; where one has ``several`` runs, all have the columns of deviations."""
    record: dict[str, Any] = {"model": row.name, "variant": row.variant, "runs": row.runs}
    for chosen in sets:
        mean = row.dice.get(chosen, Mean(math.nan, math.nan, 0))
        record[chosen] = round(mean.mean, 6)
        if several:
            record[f"{chosen} std"] = round(mean.std, 6) if row.runs > 1 else ""
    record["average"] = round(row.average, 6)
    return record


def _percent(row: Row) -> dict[str, float]:
    percent = {chosen: round(100 * mean.mean, 2) for chosen, mean in row.dice.items()}
    return percent | {"average": round(100 * row.average, 2)}


def _markdown(rows: Sequence[Row], sets: Sequence[str], notes: Sequence[str]) -> list[str]:
    several = any(row.runs > 1 for row in rows)
    lines = [
        "Dice: mean over structures of the mean over volumes"
        + ("; mean and standard deviation over the runs of a model" if several else "")
        + ".",
        "",
    ]
    lines += _table(
        ["model", "variant", *(["runs"] if several else []), *sets, "average"],
        [
            [
                row.name,
                row.variant,
                *([str(row.runs)] if several else []),
                *(_cell(row.dice.get(chosen), row.runs) for chosen in sets),
                _number(row.average),
            ]
            for row in rows
        ],
    )
    told = [row for row in rows if row.unlike]
    if told:
        lines += ["", "Share of slices told to look unlike the training images.", ""]
        lines += _table(
            ["model", "variant", *sets],
            [
                [
                    row.name,
                    row.variant,
                    *(_share(row.unlike.get(chosen)) for chosen in sets),
                ]
                for row in told
            ],
        )
        lines += [line for note in notes for line in ("", note)]
    return lines


def _without_value(results: Sequence[VolumeResult]) -> list[str]:
    """Why means rest on fewer numbers than there are volumes, and cells may have none."""
    values = [score.dsc for one in results for score in one.scores]
    none = sum(math.isnan(value) for value in values)
    if not none:
        return []
    text = (
        f"{none} of {len(values)} Dice values (one a structure, volume and model) are none, as neither the"
        f" label nor the result has the structure; means leave them out, and {NONE} stands where nothing is"
        " left."
    )
    return ["", text]


def _cell(mean: Mean | None, runs: int) -> str:
    if mean is None:
        return ""
    if math.isnan(mean.mean):
        return NONE
    return _number(mean.mean) + (f" ± {mean.std:.{DIGITS}f}" if runs > 1 else "")


def _number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.{DIGITS}f}"


def _share(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.0f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    ruler = ["---"] * len(head)
    return ["| " + " | ".join(cells) + " |" for cells in (head, ruler, *rows)]


def _file_name(text: str) -> str:
    return "".join(one if one.isalnum() or one in "._-" else "_" for one in text)
