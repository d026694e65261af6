"""``segtoolkit train METHOD`` and ``segtoolkit estimate METHOD``: what they share over all methods."""

from __future__ import annotations

import difflib
import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.settings import load
from SegToolkitLib.training.method import TrainingMethod
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.settings import TrainingSettings
from SegToolkitLib.training.start import Start, stored_settings


def add_arguments(parser: ArgumentParser, presets: str = "quick, default or published") -> None:
    """The arguments of ``train``; a method may add more.

    Args:
        parser: of the command.
        presets: their names, for the help.
    """
    _add_settings(parser, presets)
    parser.add_argument(
        "--run", type=Path, required=True, metavar="FOLDER", help="run folder to make or resume"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of the run")
    how.add_argument(
        "--start-or-resume", action="store_true", help="go on where there is a run, else start one"
    )
    parser.add_argument("--name", default="", help="name of the resulting model (default: the run folder's)")
    parser.add_argument(
        "--place",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a further input of the method, where it reads any",
    )


def add_estimate_arguments(parser: ArgumentParser) -> None:
    """The arguments of ``estimate``."""
    _add_settings(parser, "quick, default or published")


def _add_settings(parser: ArgumentParser, presets: str) -> None:
    parser.add_argument(
        "--dataset",
        metavar="DESCRIPTION",
        help="description file, or a folder that holds a dataset.json; a resumed run knows it",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="folder of the volumes, if not the described one"
    )
    parser.add_argument("--preset", metavar="NAME", help=f"{presets} (default: as published)")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="JSON or YAML file with settings that differ"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one setting, such as log_every=10",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: auto)")


def run(
    method: TrainingMethod,
    options: Namespace,
    reporter: Reporter,
    overrides: Iterable[str] = (),
    places: Mapping[str, Path] | None = None,
    presets: Mapping[str, TrainingSettings] | None = None,
) -> dict[str, object]:
    """Train as the options say.

    Args:
        method: what is trained.
        options: of :func:`add_arguments`.
        reporter: hears of progress.
        overrides: further settings, from a method's own options.
        places: further inputs, likewise.
        presets: further presets by name.
    """
    from SegToolkitLib.training.session import Resume, run_training

    known = {name: preset.settings for name, preset in method.presets.items()} | dict(presets or {})
    changes = [*options.set, *overrides]
    given = options.dataset if method.needs_dataset else options.preset or options.config or changes
    resume: Resume = "must" if options.resume else "may" if options.start_or_resume else "no"
    if resume == "may" and given and RunFolder(options.run).failed_at_start:
        resume = "no"  # it is not held to what it failed with
    goes_on = options.resume or (resume == "may" and RunFolder(options.run).settings_file.exists())
    if options.dataset is None and method.needs_dataset and not goes_on:
        raise SegToolkitError(
            "no-dataset", "A new run needs a data set.", "Give --dataset, or go on with a run with --resume."
        )
    settings = None
    if not goes_on:
        base = preset_of(known, options.preset or "published")
        settings = load(method.settings, base, options.config, changes)
    elif options.preset or options.config or changes:
        base = stored_settings(RunFolder.open(options.run), None, method)
        if options.preset:
            base = preset_of(known, options.preset)
        settings = load(method.settings, base, options.config, changes)
    start = Start(
        dataset=options.dataset,
        data=options.data,
        places={**_places(options.place), **(places or {})},
        name=options.name or "",
        command="segtoolkit " + shlex.join(sys.argv[1:]),
    )
    model = run_training(method, options.run, settings, start, options.device, reporter, resume)
    if model is None:
        return {"run": str(options.run), "finished": False}
    reporter.info(f"The model lies in {model}")
    return {"run": str(options.run), "model": str(model), "finished": True}


def estimate(method: TrainingMethod, options: Namespace, reporter: Reporter) -> dict[str, object]:
    """Measure a few steps on made-up samples; see :mod:`SegToolkitLib.training.estimate`."""
    known = {name: preset.settings for name, preset in method.presets.items()}
    base = preset_of(known, options.preset or "published")
    settings = load(method.settings, base, options.config, options.set)
    from SegToolkitLib.training.estimate import estimate_of

    found = estimate_of(method, settings, options.dataset, options.data, options.device, reporter)
    reporter.info(found.told())
    return found.values()


def preset_of(presets: Mapping[str, TrainingSettings], name: str) -> TrainingSettings:
    """The preset of that name.

    Raises:
        SegToolkitError: "unknown-preset", with the nearest name that there is.
    """
    if name in presets:
        return presets[name]
    near = difflib.get_close_matches(name, presets, n=1)
    raise SegToolkitError(
        "unknown-preset",
        f"There is no preset {name!r}" + (f" (did you mean {near[0]!r}?)." if near else "."),
        f"The presets are {', '.join(presets)}.",
    )


def _places(given: Iterable[str]) -> dict[str, Path]:
    places = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise SegToolkitError(
                "bad-place", f"{text!r} is not of the form name=path.", "Write, say, weights=/data/w.pth."
            )
        places[name.strip()] = Path(path)
    return places
