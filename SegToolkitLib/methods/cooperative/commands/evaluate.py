"""``segtoolkit evaluate cooperative``: models on clean volumes and on corrupted copies of them."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from SegToolkitLib.cli.options import add_device, add_tolerance, ask_in_terminal, count
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.automatic.tested import OpenedModel
    from SegToolkitLib.dataset.batch import Failures
    from SegToolkitLib.dataset.dataset import Case, Dataset
    from SegToolkitLib.evaluation.robustness import VolumeResult
    from SegToolkitLib.methods.cooperative.evaluate import Candidate, Sets

KINDS = ("bias", "spike", "ghosting", "motion")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="[NAME=]MODEL",
        help="model to test; models of one NAME are runs, whose means and deviations the table shows;"
        " repeatable",
    )
    parser.add_argument(
        "--dataset",
        action="append",
        required=True,
        metavar="DESCRIPTION",
        help="data set to test on; repeatable",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="folder of its volumes, if elsewhere; one for each --dataset",
    )
    parser.add_argument(
        "--cases",
        default="held-out",
        help="held-out (by each model's training; all of a data set it never saw), test, or ids such as"
        " 012_ED,017_ES (default: held-out)",
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        default=[],
        choices=[*KINDS, "all"],
        metavar="KIND",
        help=f"also test on corrupted copies: {', '.join(KINDS)}, or all",
    )
    parser.add_argument("--no-clean", action="store_true", help="leave out the volumes themselves")
    parser.add_argument("--repeats", type=count, default=1, help="copies a volume and kind (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the corruptions (default: 0)")
    parser.add_argument(
        "--as-published",
        action="store_true",
        help="corrupt as the test set ACDC-C was made: see segtoolkit corrupt",
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="JSON or YAML with other ranges of the corruptions"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one of them: motion.degrees=10"
    )
    parser.add_argument(
        "--passes",
        nargs="+",
        type=count,
        default=[],
        metavar="N",
        help="1: without shape correction; 2: with it; more: corrected again (default: 1, and the model's)",
    )
    parser.add_argument(
        "--grid",
        choices=["native", "released"],
        default="native",
        help="compare on the volumes' own voxels, or as released on the networks' pixels (default: native)",
    )
    add_tolerance(parser)
    parser.add_argument("--small", action="store_true", help="one slice at a time, for little memory")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write the tables")
    parser.add_argument(
        "--overwrite", action="store_true", help="evaluate anew what an earlier run into --out has done"
    )
    parser.add_argument("--accept-licence", action="store_true", help="accept the models' licences")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.batch import raise_failures
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.evaluation.robustness import overview, write_robustness
    from SegToolkitLib.methods.cooperative.evaluate import Scoring, evaluate
    from SegToolkitLib.methods.cooperative.kept_results import FOLDER, KeptResults
    from SegToolkitLib.methods.cooperative.tested_cases import calibration_note
    from SegToolkitLib.training.run_folder import provenance

    if options.no_clean and not options.kinds:
        raise SegToolkitError(
            "nothing-to-evaluate",
            "There is nothing to test on: neither the volumes nor copies.",
            "Give --kinds, or leave out --no-clean.",
        )
    if options.data and len(options.data) != len(options.dataset):
        raise SegToolkitError(
            "bad-choice",
            f"There are {len(options.dataset)} data sets, and folders for {len(options.data)}.",
            "Give one --data for each --dataset, in the same order, or none.",
        )
    folders = options.data or [None] * len(options.dataset)
    datasets = [Dataset.open(one, data) for one, data in zip(options.dataset, folders, strict=True)]
    _check_names([dataset.description.name for dataset in datasets])
    _make_folder(options.out)
    sets = _sets(options)
    scoring = Scoring(tuple(options.passes), options.grid, options.tolerance, options.small)
    how = {"sets": asdict(sets), "scoring": asdict(scoring), "precision": options.precision}
    models = _models(options)
    results: list[VolumeResult] = []
    failures: Failures = {}
    notes: list[str] = []
    total = 0
    for dataset in datasets:
        name = dataset.description.name
        candidates, cases = _candidates(dataset, models, options, reporter)
        reporter.info(f"{name}: {len(cases)} cases, {sets.count} volume(s) each, {len(candidates)} model(s)")
        prefix = f"{name} " if len(datasets) > 1 else ""
        measured = replace(scoring, spacing=_spacing_of(dataset))
        tested = _tested(candidates, models)
        kept = KeptResults(
            options.out / FOLDER, name, {**how, "prefix": prefix, "models": tested}, options.overwrite
        )
        made, failed = evaluate(
            candidates, cases, sets.prefixed(prefix), measured, reporter, kept, dataset.description
        )
        notes += [
            note
            for one, (_, _, model) in zip(candidates, models, strict=True)
            if (note := calibration_note(dataset, model, one.segmenter.plan.typicality, one.run, one.cases))
        ]
        results += made
        failures |= {f"{prefix}{id}": error for id, error in failed.items()}
        total += len(cases)
    if not results:
        raise_failures(failures, total, "evaluated")
    about = {
        "dataset": ", ".join(dataset.description.name for dataset in datasets),
        "cases": total - len(failures),
        "protocol": {"grid": options.grid, "tolerance_mm": options.tolerance, "cases": options.cases},
        "corruptions": {
            "kinds": list(sets.kinds),
            "repeats": sets.repeats,
            "seed": sets.seed,
            "settings": sets.settings.model_dump(mode="json"),
        },
        "models": {run: str(model.folder) for _, run, model in models},
        "made_with": provenance(),
    }
    for line in write_robustness(options.out, results, about, notes):
        reporter.info(line)
    raise_failures(failures, total, "evaluated")
    averages = {f"{row.name}, {row.variant}": round(row.average, 4) for row in overview(results)}
    return {"folder": str(options.out), "dice": averages}


def _weights(model: OpenedModel) -> str:
    return model.card.weights.sha256 if model.card.weights else ""


def _spacing_of(dataset: Dataset) -> Literal["described", "file", "none"]:
    """Where spacings come from: volumes of 1 x 1 x 1 mm are no pictures."""
    if dataset.description.pictures or not dataset.description.spacing_known:
        return "none"
    return "described" if dataset.description.spacing else "file"


def _tested(candidates: list[Candidate], models: list[tuple[str, str, OpenedModel]]) -> list[object]:
    """All of the models that decides results."""
    return [
        [one.name, one.run, sorted(one.classes.items()), one.names, model.card.settings, _weights(model)]
        for one, (_, _, model) in zip(candidates, models, strict=True)
    ]


def _check_names(names: list[str]) -> None:
    """Data sets are told apart by their names."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SegToolkitError(
            "same-name",
            f"Two data sets are called {twice}: their results would be taken for those of one.",
            "Give each once, or another name in its dataset.json.",
        )


def _make_folder(folder: Path) -> None:
    """Where nothing can be written is found out before the work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SegToolkitError(
            "bad-place",
            f"{folder} cannot be made: {error.strerror or error}.",
            "Give another folder for the tables (--out).",
        ) from error
    if not os.access(folder, os.W_OK):
        raise SegToolkitError(
            "bad-place", f"You may not write in {folder}.", "Give another folder for the tables (--out)."
        )


def _sets(options: Namespace) -> Sets:
    from SegToolkitLib.evaluation.corruptions import CorruptionSettings
    from SegToolkitLib.methods.cooperative.evaluate import Sets
    from SegToolkitLib.settings import load

    base = CorruptionSettings()
    base = base.as_published() if options.as_published else base
    settings = load(CorruptionSettings, base, options.settings, options.set)
    kinds = KINDS if "all" in options.kinds else tuple(dict.fromkeys(options.kinds))
    return Sets(not options.no_clean, kinds, options.repeats, options.seed, settings)


def _models(options: Namespace) -> list[tuple[str, str, OpenedModel]]:
    """Name, name of the run, and model; runs have names of their own."""
    from SegToolkitLib.automatic.tested import opened_model

    found: list[tuple[str, str, OpenedModel]] = []
    for text in options.model:
        name, equals, model = text.partition("=")
        if not equals or Path(text).exists():
            name, model = "", text
        opened = opened_model(model, "cooperative", options.accept_licence, ask_in_terminal())
        run = base = opened.card.name
        known = {one for _, one, _ in found}
        number = 2
        while run in known:
            run, number = f"{base}-{number}", number + 1
        found.append((name or run, run, opened))
    return found


def _candidates(
    dataset: Dataset, models: list[tuple[str, str, OpenedModel]], options: Namespace, reporter: Reporter
) -> tuple[list[Candidate], list[Case]]:
    """The models, loaded, and all cases that any of them is tested on, in the data set's order."""
    from SegToolkitLib.automatic.tested import cases_to_test
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cooperative import automatic
    from SegToolkitLib.methods.cooperative.evaluate import Candidate
    from SegToolkitLib.methods.cooperative.segment import CooperativeSegmenter
    from SegToolkitLib.methods.cooperative.tested_cases import classes_for, held_out, test_cases

    device = choose_device(options.device)
    candidates: list[Candidate] = []
    cases: dict[str, Case] = {}
    for name, run, model in models:
        own = cases_to_test(dataset, model, options.cases, held_out, test_cases, reporter)
        classes = classes_for(dataset, model.card)
        cases |= {case.id: case for case in own}
        segmenter = automatic.load(model.folder, model.card, device, options.precision)
        assert isinstance(segmenter, CooperativeSegmenter)
        names = tuple(label.name for label in model.card.labels)
        ids = frozenset(case.id for case in own)
        candidates.append(Candidate(name, run, segmenter, ids, classes, names))
    order = {id: number for number, id in enumerate(dataset.ids)}
    return candidates, sorted(cases.values(), key=lambda case: order.get(case.id, len(order)))


COMMAND = Command("test models on clean volumes and on corrupted copies of them", _add_arguments, _run)
