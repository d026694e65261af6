"""``segtoolkit train alpnet``."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import whole_numbers
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        metavar="DESCRIPTION",
        help="description file, or a folder that holds a dataset.json; a resumed run knows it",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="folder of the volumes, if not the described one"
    )
    parser.add_argument(
        "--run", type=Path, required=True, metavar="FOLDER", help="run folder to make or resume"
    )
    parser.add_argument(
        "--preset",
        choices=["authors", "compact"],
        help="authors: ResNet-101, 100,100 steps; compact: a small encoder for CPUs (default: authors)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON file with settings that differ")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one setting, such as optimiser.steps=500",
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
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of the run")
    parser.add_argument("--name", help="name of the resulting model (default: the run folder's)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: auto)")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.alpnet.run import Start, run_training, stored_settings
    from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
    from SegToolkitLib.settings import load
    from SegToolkitLib.training.run_folder import RunFolder

    if options.dataset is None and not options.resume:
        raise SegToolkitError(
            "no-dataset", "A new run needs a data set.", "Give --dataset, or go on with a run with --resume."
        )
    overrides = [*options.set, *_shorthands(options)]
    settings = None
    if not options.resume:
        settings = load(AlpnetSettings, PRESETS[options.preset or "authors"], options.config, overrides)
    elif options.preset or options.config or overrides:
        kept = stored_settings(RunFolder.open(options.run), None)
        base = PRESETS[options.preset] if options.preset else kept
        settings = load(AlpnetSettings, base, options.config, overrides)
    if options.coco and options.download_coco:
        raise SegToolkitError(
            "two-sources", "Both --coco and --download-coco are given.", "Give one of them."
        )
    start = Start(
        dataset=options.dataset,
        data=options.data,
        superpixels=options.superpixels,
        coco=options.coco,
        download_coco=options.download_coco,
        name=options.name or options.run.resolve().name,
        command="segtoolkit " + shlex.join(sys.argv[1:]),
    )
    model = run_training(
        options.run, settings, start, choose_device(options.device), reporter, resume=options.resume
    )
    if model is None:
        return {"run": str(options.run), "finished": False}
    reporter.info(f"The model lies in {model}")
    return {"run": str(options.run), "model": str(model), "finished": True}


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
