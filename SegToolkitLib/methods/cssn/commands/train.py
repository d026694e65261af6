"""``segtoolkit train cssn``: the engine's options, and shorthands of this method's own."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import count, whole_numbers
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training import command

COARSE = "-coarse"


def _add_arguments(parser: ArgumentParser) -> None:
    command.add_arguments(parser, "quick, default or published, of the stage")
    parser.add_argument("--stage", choices=["coarse", "fine"], help="which network to train (default: fine)")
    parser.add_argument(
        "--coarse", type=Path, metavar="FOLDER", help="coarse model that finds the organs (place coarse)"
    )
    parser.add_argument(
        "--selection", type=Path, metavar="TABLE", help="unlabelled images to use (place selection)"
    )
    parser.add_argument("--fold", help='fold left out for validation, or "none" (shorthand for data.fold)')
    parser.add_argument(
        "--folds",
        type=whole_numbers,
        metavar="FOLDS",
        help="several folds, one after another, each in a run folder fold-N below --run",
    )
    parser.add_argument(
        "--labelled-count", type=count, metavar="N", help="keep the labels of so many training cases only"
    )
    parser.add_argument(
        "--supervised", action="store_true", help="one network, labels alone (cross.enabled=false)"
    )
    parser.add_argument("--steps", type=count, help="updates of the whole run, in place of epochs")
    parser.add_argument("--seed", type=int)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    if not options.folds:
        return _train(options, reporter)
    if options.fold is not None:
        raise SegToolkitError("two-folds", "Both --fold and --folds are given.", "Give one of them.")
    folder, runs, finished = options.run, {}, True
    name = options.name or folder.resolve().name
    # Folds that an interrupted command did not come to are started, not resumed.
    begins = {"resume": False, "start_or_resume": options.resume or options.start_or_resume}
    for fold in options.folds:
        own = {"run": folder / f"fold-{fold}", "fold": str(fold), "name": f"{name}-fold-{fold}", **begins}
        runs[f"fold-{fold}"] = done = _train(Namespace(**{**vars(options), **own}), reporter)
        finished = bool(done["finished"])
        if not finished:
            break
    return {"run": str(folder), "folds": runs, "finished": finished}


def _train(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cssn.training import METHOD

    if options.stage == "coarse" and not (options.resume and options.preset is None):
        name = options.preset or "published"
        options.preset = name if name.endswith(COARSE) else name + COARSE
    places = {"coarse": options.coarse, "selection": options.selection}
    given = {name: path for name, path in places.items() if path is not None}
    return command.run(METHOD, options, reporter, _shorthands(options), given)


def _shorthands(options: Namespace) -> list[str]:
    given = {
        "data.fold": None if options.fold is None else {"none": "null"}.get(options.fold, options.fold),
        "data.labelled_count": options.labelled_count,
        "cross.enabled": "false" if options.supervised else None,
        # An epoch a step: the schedule goes by parts of the run.
        "optimiser.epochs": options.steps,
        "optimiser.steps_per_epoch": None if options.steps is None else 1,
        "seed": options.seed,
    }
    return [f"{name}={value}" for name, value in given.items() if value is not None]


COMMAND = Command("train one stage, with labelled and unlabelled volumes", _add_arguments, _run)
