"""Score folders of label maps against their references, and write what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.dataset.batch import Failures, for_each_case
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.absent import notes_on_absent
from SegToolkitLib.evaluation.flare import PROTOCOLS
from SegToolkitLib.evaluation.scoring import OrganScore, Protocol, score_case
from SegToolkitLib.evaluation.summary import MEASURES, case_means, summary, told
from SegToolkitLib.evaluation.tables import write_csv, write_results
from SegToolkitLib.events import Reporter
from SegToolkitLib.volume import Volume, onto_grid, read_volume

SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha")
# FLARE and nnU-Net number the channels of images; label maps are named without.
CHANNEL = "_0000"
HOW_TO_LEAVE_OUT = (
    "To leave such organs out, take --protocol generic, with a --dataset whose labels are the other ones."
)


@dataclass(frozen=True)
class Pair:
    """A case to score.

    Attributes:
        case: its id.
        reference: label map.
        result: label map; None counts as one where nothing was found.
        fold: it was held out of, where there are folds.
    """

    case: str
    reference: Path
    result: Path | None
    fold: int | None = None


@dataclass(frozen=True)
class _Job:
    pair: Pair
    protocol: Protocol


def label_files(folder: Path) -> dict[str, Path]:
    """The volume files of a folder by case: file names without suffix and channel.

    Raises:
        SegToolkitError: "no-labels": there are none; "same-name": two of one case.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        suffix = next((one for one in SUFFIXES if path.name.lower().endswith(one)), None)
        if suffix is None or path.name.startswith("."):
            continue
        case = path.name[: -len(suffix)].removesuffix(CHANNEL)
        if case in found:
            raise SegToolkitError(
                "same-name", f"{found[case]} and {path} are both of case {case}.", "Remove one of them."
            )
        found[case] = path
    if not found:
        raise SegToolkitError(
            "no-labels", f"{folder} holds no label maps ({', '.join(SUFFIXES)}).", "Check the path."
        )
    return found


def paired(
    references: Mapping[str, Path],
    results: Mapping[str, Path],
    reporter: Reporter,
    fold: int | None = None,
    count_missing: bool = False,
) -> list[Pair]:
    """References and results of the same cases.

    Args:
        references, results: files by case.
        reporter: hears of references without result.
        fold: of the results.
        count_missing: score such a reference as if nothing was found; otherwise it is left out.

    Raises:
        SegToolkitError: "nothing-in-common".
    """
    missing = [case for case in references if case not in results]
    pairs = [
        Pair(case, path, results.get(case), fold)
        for case, path in references.items()
        if case in results or count_missing
    ]
    if len(missing) == len(references):
        raise SegToolkitError(
            "nothing-in-common",
            f"No result belongs to a reference: there are results of {', '.join(list(results)[:3])} ...,"
            f" references of {', '.join(list(references)[:3])} ...",
            "Name a result as its reference (or as the image without _0000).",
        )
    if missing:
        what = "count as empty" if count_missing else "are left out"
        reporter.warning(f"{len(missing)} cases without a result {what}: {', '.join(missing[:5])}.")
    return pairs


def score_files(
    pairs: Sequence[Pair], protocol: Protocol, reporter: Reporter, workers: int = 1
) -> tuple[list[OrganScore], Failures]:
    """Score each case.

    Args:
        pairs: cases; each once.
        protocol: the rules.
        reporter: hears of progress, and of results on other grids.
        workers: processes at once.

    Returns:
        The rows in the order of the cases, and why cases could not be scored.
    """
    found: dict[str, list[OrganScore]] = {}

    def keep(case: str, outcome: tuple[list[OrganScore], str]) -> None:
        found[case] = outcome[0]
        if outcome[1]:
            reporter.warning(outcome[1])

    failures = for_each_case(
        _score,
        {pair.case: _Job(pair, protocol) for pair in pairs},
        keep,
        workers,
        lambda done, total, text: reporter.progress("scoring", done, total),
    )
    return [row for pair in pairs for row in found.get(pair.case, ())], failures


def write_scores(
    out: Path,
    rows: Sequence[OrganScore],
    protocol: Protocol,
    fold_of: Mapping[str, int] | None,
    costs: Mapping[str, Mapping[str, float]],
    about: Mapping[str, Any],
    reporter: Reporter,
) -> dict[str, Any]:
    """Write organs.csv, cases.csv and results.json, and say the means, and what they rest on.

    Args:
        out: folder.
        rows: of all cases.
        protocol: they were scored by.
        fold_of: fold of each case, or None.
        costs: seconds and more of each case, by case; may lack cases.
        about: what else results.json says.
        reporter: hears the table.

    Returns:
        The content of results.json. Its "dice_percent" and "nsd_percent" hold the mean of each organ, the
        "mean" over the cases and "std_over_folds"; a model's card can take them up.
    """
    table = summary(rows, fold_of)
    by_measure = {measure: case_means(rows, measure) for measure in MEASURES}
    columns = list(dict.fromkeys(name for cost in costs.values() for name in cost))
    write_csv(out / "organs.csv", rows)
    write_csv(
        out / "cases.csv",
        [
            {"case": case}
            | ({"fold": fold_of[case]} if fold_of else {})
            | {measure: by_measure[measure][case] for measure in MEASURES}
            | {name: costs.get(case, {}).get(name, math.nan) for name in columns}
            for case in dict.fromkeys(row.case for row in rows)
        ],
    )
    results: dict[str, Any] = {
        **about,
        "protocol": {
            "name": protocol.name,
            "tolerance_mm": {organ.name: organ.tolerance_mm for organ in protocol.organs},
            "sliced": [organ.name for organ in protocol.organs if organ.sliced],
        },
        "folds": sorted(set(fold_of.values())) if fold_of else None,
        "cases": len(by_measure["dsc"]),
        "notes": notes_on_absent(rows, protocol),
        "dice_percent": _percent(table["dsc"]),
        "nsd_percent": _percent(table["nsd"]),
        "summary": table,
        "costs": {
            name: sum(values) / len(values)
            for name in columns
            if (values := [cost[name] for cost in costs.values() if name in cost])
        },
    }
    write_results(out / "results.json", results)
    for text in told(table):
        reporter.info(text)
    for note in results["notes"]:
        reporter.warning(note, HOW_TO_LEAVE_OUT)
    return results


def _percent(table: Mapping[str, Any]) -> dict[str, float]:
    percent = {organ: round(100 * mean["mean"], 2) for organ, mean in table["organs"].items()}
    percent["mean"] = round(100 * table["cases"]["mean"], 2)
    if "over_folds" in table:
        percent["std_over_folds"] = round(100 * table["over_folds"]["std"], 2)
    return percent


def _score(job: _Job) -> tuple[list[OrganScore], str]:
    """Rows of a case, and a warning or nothing; runs in another process."""
    pair = job.pair
    reference = read_volume(pair.reference, label=True)
    result = reference.with_voxels(reference.voxels * 0)
    text = ""
    if pair.result is not None:
        result, text = _on_grid(read_volume(pair.result, label=True), reference, job.protocol)
    spacing_zyx = reference.spacing[::-1]
    rows = score_case(pair.case, reference.voxels, result.voxels, spacing_zyx, job.protocol)
    return rows, f"Case {pair.case}: {text}" if text else ""


def _on_grid(result: Volume, reference: Volume, protocol: Protocol) -> tuple[Volume, str]:
    """The result on the grid of the reference, and what had to be done for that."""
    if result.same_grid(reference):
        return result, ""
    if protocol.name in PROTOCOLS and result.grid.shape == reference.grid.shape:
        text = (
            "the headers of result and reference differ; voxels are compared one by one, as in the challenge."
        )
        return reference.with_voxels(result.voxels), text
    return onto_grid(result, reference.grid, label=True), "the result was brought to the reference's grid."
