"""``segtoolkit train pdcr_uafr``: the engine's options, and shorthands of this method's own."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import count
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training import command

VARIANTS = ("baseline", "uafr", "rf-pdcr", "h-pdcr", "full")


def _add_arguments(parser: ArgumentParser) -> None:
    command.add_arguments(parser)
    parser.add_argument("--variant", choices=VARIANTS, help="which parts of the method are used")
    parser.add_argument("--fold", help='fold left out for validation, or "none" (shorthand for data.fold)')
    parser.add_argument(
        "--fraction",
        metavar="PART",
        help="of the training cases, drawn by the seed (shorthand for data.fraction)",
    )
    parser.add_argument(
        "--start", type=Path, metavar="FOLDER", help="model whose weights are trained further (place start)"
    )
    parser.add_argument(
        "--imagenet", type=Path, metavar="FILE", help="ImageNet weights to begin with (place imagenet)"
    )
    parser.add_argument("--steps", type=count, help="updates of the whole run, in place of epochs")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--log", action="store_true", help="curves for TensorBoard (tensorboard=true)")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.pdcr_uafr.training import METHOD

    taken = taken_over(options.config, reporter)
    if taken is not None:
        options.set, options.config = [*taken, *options.set], None
    given = {"start": options.start, "imagenet": options.imagenet}
    places = {name: path for name, path in given.items() if path is not None}
    return command.run(METHOD, options, reporter, shorthands(options), places)


def taken_over(config: Path | None, reporter: Reporter) -> list[str] | None:
    """The settings that a configuration of the authors' code means; None for other files, and for none."""
    from SegToolkitLib.methods.pdcr_uafr.released import is_released, overrides, read_released

    if config is None or not is_released(config):
        return None
    found = read_released(config)
    for line in found.text().splitlines():
        reporter.info(line)
    return overrides(found)


def shorthands(options: Namespace) -> list[str]:
    """The options as settings."""
    given = {
        **variant_settings(options.variant),
        "data.fold": None if options.fold is None else {"none": "null"}.get(options.fold, options.fold),
        "data.fraction": options.fraction,
        "optimiser.epochs": options.steps,
        "optimiser.steps_per_epoch": None if options.steps is None else 1,
        "schedule.warm_up": None if options.steps is None else options.steps // 100,
        "seed": options.seed,
        "tensorboard": "true" if options.log else None,
    }
    return [f"{name}={value}" for name, value in given.items() if value is not None]


def variant_settings(variant: str | None) -> dict[str, str]:
    """What a variant switches off, as settings."""
    if variant is None:
        return {}
    found: dict[str, str] = {}
    if variant not in ("uafr", "full"):
        found["network.uafr.positions"] = "[]"
    if variant in ("baseline", "uafr"):
        found |= {f"pdcr.weights_of_terms.{term}": "0" for term in ("encoder", "decoder", "cross")}
    else:
        found["pdcr.labels"] = '"receptive_field"' if variant == "rf-pdcr" else '"hierarchical"'
    return found


COMMAND = Command("train on labelled pictures or slices", _add_arguments, _run)
