"""``segtoolkit train cooperative``: the engine's options, and shorthands of this method's own."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import count
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training import command


def _add_arguments(parser: ArgumentParser) -> None:
    command.add_arguments(parser)
    parser.add_argument(
        "--mode",
        choices=["cooperative", "standard"],
        help="standard: without hard examples, the baseline (shorthand for step.mode)",
    )
    parser.add_argument("--fold", help='fold left out for validation, or "none" (shorthand for data.fold)')
    parser.add_argument(
        "--setting",
        metavar="N",
        help="published split of ACDC: a number or part of 40 patients, standard, one_shot or three_shot",
    )
    parser.add_argument("--cval", metavar="0..4", help="which draw of that split")
    parser.add_argument(
        "--start", type=Path, metavar="FOLDER", help="model whose weights are trained further (place start)"
    )
    parser.add_argument("--steps", type=count, help="updates of the whole run, in place of epochs")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--log", action="store_true", help="curves for TensorBoard (tensorboard=true)")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cooperative.training import METHOD

    _take_over(options, reporter)
    places = {"start": options.start} if options.start is not None else {}
    return command.run(METHOD, options, reporter, _shorthands(options), places)


def _take_over(options: Namespace, reporter: Reporter) -> None:
    """Of a configuration of the authors' code, the settings; what --set says goes before it."""
    from SegToolkitLib.methods.cooperative.configuration import is_authors, read_configuration

    if options.config is not None and is_authors(options.config):
        found = read_configuration(options.config)
        for line in found.report:
            reporter.info(line)
        options.set = [*found.overrides, *options.set]
        options.config = None


def _shorthands(options: Namespace) -> list[str]:
    published = options.setting is not None or options.cval is not None
    given = {
        "step.mode": options.mode,
        "data.fold": None if options.fold is None else {"none": "null"}.get(options.fold, options.fold),
        "data.split": "acdc" if published else None,
        "data.setting": options.setting,
        "data.cval": options.cval,
        "optimiser.epochs": options.steps,
        "optimiser.steps_per_epoch": None if options.steps is None else 1,
        "seed": options.seed,
        "tensorboard": "true" if options.log else None,
    }
    return [f"{name}={value}" for name, value in given.items() if value is not None]


COMMAND = Command("train on labelled slices and the hard examples made of them", _add_arguments, _run)
