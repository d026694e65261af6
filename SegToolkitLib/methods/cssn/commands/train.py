"""``segtoolkit train cssn``: the engine's options, and shorthands of this method's own."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.cli.options import count, whole_numbers
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training import command

if TYPE_CHECKING:
    from SegToolkitLib.methods.cssn.settings import CssnSettings
    from SegToolkitLib.training.settings import TrainingSettings

COARSE = "-coarse"


def _add_arguments(parser: ArgumentParser) -> None:
    command.add_arguments(parser, "quick, default or published, of the stage")
    parser.add_argument("--stage", choices=["coarse", "fine"], help="which network to train (default: fine)")
    parser.add_argument(
        "--coarse",
        type=Path,
        metavar="FOLDER",
        help="coarse model that finds the organs (place coarse); with --folds, its fold-N where there is one",
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
    _refuse_other_stage(options)
    if not options.folds:
        return _train(options, reporter)
    if options.fold is not None:
        raise SegToolkitError("two-folds", "Both --fold and --folds are given.", "Give one of them.")
    from SegToolkitLib.methods.cssn.commands.folds import each_fold

    runs: dict[str, object] = {}
    finished = True
    for one in each_fold(options):
        if one.told:
            reporter.info(one.told)
        runs[one.options.run.name] = done = _train(one.options, reporter, one.settings)
        finished = bool(done["finished"])
        if not finished:
            break
    return {"run": str(options.run), "folds": runs, "finished": finished}


def _train(options: Namespace, reporter: Reporter, settings: CssnSettings | None = None) -> dict[str, object]:
    """Train one run; ``settings`` are those to begin it with in place of a preset's."""
    from SegToolkitLib.methods.cssn.commands.folds import goes_on
    from SegToolkitLib.methods.cssn.training import METHOD

    changes = _shorthands(options)
    presets: dict[str, TrainingSettings] = {}
    if settings is not None:
        options.preset, presets = "another fold's", {"another fold's": settings}
    elif options.stage and not options.preset and goes_on(options):
        changes.append(f"stage={options.stage}")  # the engine refuses it where the run has another one
    elif options.stage == "coarse":
        name = options.preset or "published"
        options.preset = name if name.endswith(COARSE) else name + COARSE
    places = {"coarse": options.coarse, "selection": options.selection}
    given = {name: path for name, path in places.items() if path is not None}
    return command.run(METHOD, options, reporter, changes, given, presets)


def _refuse_other_stage(options: Namespace) -> None:
    """Neither preset nor file may train another stage than --stage says."""
    from SegToolkitLib.settings import read_settings

    other = None
    if options.stage == "fine" and (options.preset or "").endswith(COARSE):
        other = f"the preset {options.preset} is of the coarse one"
    elif options.stage and options.config:
        stage = read_settings(options.config).get("stage", options.stage)
        other = f"{options.config} says {stage!r}" if stage != options.stage else None
    if other:
        raise SegToolkitError(
            "other-stage",
            f"--stage asks for the {options.stage} stage, but {other}.",
            "Leave out --stage, or choose settings of that stage.",
        )


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
