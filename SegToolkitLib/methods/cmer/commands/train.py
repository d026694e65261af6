"""``segtoolkit train cmer``: the engine's options, and shorthands of this method's own."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import count
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training import command


def add_arguments(parser: ArgumentParser) -> None:
    """Of ``train`` and ``crossval``."""
    command.add_arguments(parser, "quick, default, published, published-brats or second-stage")
    parser.add_argument(
        "--modalities", metavar="A,B", help="names in the data set (shorthand for data.modalities)"
    )
    parser.add_argument("--tags", type=Path, metavar="FILE", help="which slices show the object (place tags)")
    parser.add_argument("--steps", type=count, help="updates of each seed, in place of epochs")
    parser.add_argument("--seeds", type=count, help="trainings in the run, of which the best are kept")
    parser.add_argument("--seed", type=int, help="of the first")
    parser.add_argument(
        "--init-from",
        type=Path,
        metavar="FOLDER",
        help="begin with the weights of a model, of a run, or of the authors' checkpoints (place start)",
    )


def _add_arguments(parser: ArgumentParser) -> None:
    add_arguments(parser)
    parser.add_argument("--fold", help='fold left out for validation, or "none" (shorthand for data.fold)')


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cmer.training import METHOD

    take_over(options, reporter)
    fold = None if options.fold is None else {"none": "null"}.get(options.fold, options.fold)
    return command.run(METHOD, options, reporter, shorthands(options, fold), places_of(options))


def places_of(options: Namespace) -> dict[str, Path]:
    """Further inputs by the method's own options."""
    given = {"tags": options.tags, "start": options.init_from}
    return {name: path for name, path in given.items() if path is not None}


def take_over(options: Namespace, reporter: Reporter) -> None:
    """Of a configuration of the authors' code, the settings; what --set says goes before it."""
    from SegToolkitLib.methods.cmer.released import SAME, read_config
    from SegToolkitLib.settings import read_settings

    if options.config is None or not set(read_settings(options.config)) & (set(SAME) - {"seed"}):
        return
    found = read_config(options.config)
    for line in found.lines():
        reporter.info(line)
    values = found.settings.model_dump(mode="json")
    changes = []
    for name in found.changed:
        value = values
        for part in name.split("."):
            value = value[part]
        changes.append(f"{name}={json.dumps(value)}")
    options.set, options.config = [*changes, *options.set], None


def shorthands(options: Namespace, fold: str | None) -> list[str]:
    """Settings that the method's own options stand for."""
    names = None if options.modalities is None else [one.strip() for one in options.modalities.split(",")]
    given = {
        "data.modalities": None if names is None else json.dumps(names),
        "data.fold": fold,
        "optimiser.epochs": options.steps,
        "optimiser.steps_per_epoch": None if options.steps is None else 1,
        "schedule.at_epoch_ends": None if options.steps is None else "false",
        "seeds": options.seeds,
        "seed": options.seed,
    }
    return [f"{name}={value}" for name, value in given.items() if value is not None]


COMMAND = Command("train on tags of slices of registered modalities", _add_arguments, _run)
