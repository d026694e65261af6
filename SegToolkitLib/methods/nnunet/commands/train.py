"""``segtoolkit train nnunet``: the engine's options, and shorthands of this method's own."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from SegToolkitLib.cli.options import count
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.nnunet.settings import TRAINERS
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training import command


def _add_arguments(parser: ArgumentParser) -> None:
    command.add_arguments(parser, "quick, small, default or published")
    parser.add_argument("--trainer", choices=list(TRAINERS), help="plain nnU-Net, or with PDCR and UAFR")
    parser.add_argument(
        "--configuration",
        choices=["2d", "3d_fullres", "3d_lowres"],
        help="of nnU-Net's plans (shorthand for plan.configuration)",
    )
    parser.add_argument(
        "--fold", help='fold left out for validation, or "none" to train on all (shorthand for data.fold)'
    )
    parser.add_argument(
        "--fraction",
        metavar="PART",
        help="of the training patients, drawn by the seed (shorthand for data.fraction)",
    )
    parser.add_argument("--steps", type=count, help="updates of the whole run, in place of epochs")
    parser.add_argument("--seed", type=int)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.nnunet.training import METHOD

    return command.run(METHOD, options, reporter, shorthands(options))


def shorthands(options: Namespace) -> list[str]:
    """The options as settings."""
    given = {
        "trainer": options.trainer,
        "plan.configuration": options.configuration and f'"{options.configuration}"',
        "data.fold": None if options.fold is None else {"none": "null"}.get(options.fold, options.fold),
        "data.fraction": options.fraction,
        "optimiser.epochs": options.steps,
        "optimiser.steps_per_epoch": None if options.steps is None else 1,
        "seed": options.seed,
    }
    return [f"{name}={value}" for name, value in given.items() if value is not None]


COMMAND = Command("train nnU-Net on labelled volumes", _add_arguments, _run)
