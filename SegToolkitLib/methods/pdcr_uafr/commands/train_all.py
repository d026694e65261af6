"""``segtoolkit train-all pdcr_uafr``: one run for every configuration of a folder that has no result yet."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

SUFFIXES = (".json", ".yaml", ".yml")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--configs",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="of settings, or of configurations of the authors' code (JSON or YAML)",
    )
    parser.add_argument("--dataset", required=True, metavar="DESCRIPTION", help="data set of all runs")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its images, if elsewhere")
    parser.add_argument(
        "--runs", type=Path, required=True, metavar="FOLDER", help="a run for each file, named after it"
    )
    parser.add_argument("--preset", metavar="NAME", help="what a file does not say (default: published)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting of all runs"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="of prepared images (place cache)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: auto)")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    files = sorted(path for path in options.configs.glob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise SegToolkitError(
            "no-configurations",
            f"{options.configs} holds no configuration.",
            "Put .json or .yaml files there.",
        )
    doubled = {path.stem for path in files if sum(one.stem == path.stem for one in files) > 1}
    if doubled:
        raise SegToolkitError(
            "same-name", f"Two configurations are called {min(doubled)}.", "Rename one of them."
        )
    done: list[str] = []
    passed_over: list[str] = []
    failed: dict[str, str] = {}
    for number, file in enumerate(files, start=1):
        run = options.runs / file.stem
        if (run / "result" / "model" / "model.json").is_file():
            passed_over.append(file.stem)
            reporter.info(f"{file.stem}: has a result already")
            continue
        reporter.info(f"{file.stem} ({number} of {len(files)})")
        try:
            if not _train(file, run, options, reporter):
                reporter.info(f"{file.stem}: was asked to stop; the others are not begun")
                break
            done.append(file.stem)
        except SegToolkitError as error:
            failed[file.stem] = error.message
            reporter.warning(f"{file.stem}: {error.message}", error.hint)
    if failed:
        raise SegToolkitError(
            "runs-failed",
            f"{len(failed)} of {len(files)} runs failed: {', '.join(failed)}.",
            "The warnings say why; the same command goes on with those that have no result.",
        )
    return {"trained": done, "passed_over": passed_over, "runs": str(options.runs)}


def _train(file: Path, run: Path, options: Namespace, reporter: Reporter) -> bool:
    from SegToolkitLib.methods.pdcr_uafr.commands.train import taken_over
    from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
    from SegToolkitLib.methods.pdcr_uafr.training import METHOD
    from SegToolkitLib.settings import load
    from SegToolkitLib.training.command import preset_of
    from SegToolkitLib.training.run_folder import RunFolder
    from SegToolkitLib.training.session import run_training
    from SegToolkitLib.training.start import Start

    presets = {name: preset.settings for name, preset in METHOD.presets.items()}
    base = preset_of(presets, options.preset or "published")
    assert isinstance(base, PdcrUafrSettings)
    taken = taken_over(file, reporter)
    changes = [*(taken or []), *options.set]
    settings = load(PdcrUafrSettings, base, None if taken is not None else file, changes)
    start = Start(
        dataset=options.dataset,
        data=options.data,
        places={"cache": options.cache} if options.cache is not None else {},
        name=file.stem,
        command="segtoolkit " + shlex.join(sys.argv[1:]),
    )
    goes_on = RunFolder(run).begun
    model = run_training(METHOD, run, settings, start, options.device, reporter, "must" if goes_on else "no")
    return model is not None


COMMAND = Command("train with every configuration of a folder that has no result yet", _add_arguments, _run)
