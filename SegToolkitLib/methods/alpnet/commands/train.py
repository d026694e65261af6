"""``segtoolkit train alpnet``: the engine's options, and shorthands of ALPNet's own."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import whole_numbers
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training import command


def _add_arguments(parser: ArgumentParser) -> None:
    command.add_arguments(
        parser, "quick: a few minutes; default (compact): a small encoder; published (authors): ResNet-101"
    )
    parser.add_argument("--fold", help='fold left out for testing, or "none" (shorthand for data.fold)')
    parser.add_argument(
        "--setting", type=int, choices=[1, 2], help="2 leaves out slices that hold tested organs"
    )
    parser.add_argument(
        "--exclude", type=whole_numbers, metavar="IDS", help="label ids that setting 2 leaves out"
    )
    parser.add_argument("--steps", type=int, help="shorthand for optimiser.steps")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--superpixels", type=Path, metavar="FOLDER", help="pseudo-labels (default: in the run folder)"
    )
    parser.add_argument(
        "--coco", type=Path, metavar="FILE", help="initialise from torchvision's COCO DeepLabV3 weights"
    )
    parser.add_argument(
        "--download-coco", action="store_true", help="fetch those weights (233 MB) and check their checksum"
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.alpnet.settings import PRESETS
    from SegToolkitLib.methods.alpnet.training import METHOD

    if options.coco and options.download_coco:
        raise SegToolkitError(
            "two-sources", "Both --coco and --download-coco are given.", "Give one of them."
        )
    places = {"superpixels": options.superpixels, "coco": options.coco}
    if options.download_coco and not options.resume:
        places["coco"] = _downloaded(reporter)
    given = {name: path for name, path in places.items() if path is not None}
    return command.run(METHOD, options, reporter, _shorthands(options), given, PRESETS)


def _downloaded(reporter: Reporter) -> Path:
    from SegToolkitLib.methods.alpnet.checkpoints import download_coco

    folder = Path.home() / ".SegToolkit" / "downloads"
    return download_coco(folder, lambda done, total: reporter.progress("download", done, total))


def _shorthands(options: Namespace) -> list[str]:
    given = {
        "data.fold": None if options.fold is None else {"none": "null"}.get(options.fold, options.fold),
        "data.setting": options.setting,
        "data.exclude": options.exclude,
        "optimiser.steps": options.steps,
        "seed": options.seed,
    }
    return [f"{name}={value}" for name, value in given.items() if value is not None]


COMMAND = Command("train a few-shot network on superpixels, without annotations", _add_arguments, _run)
