"""The command line: ``segtoolkit VERB METHOD ...``.

Exit code 0 means success, 1 an error that was told in a sentence, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from SegToolkitLib import __version__
from SegToolkitLib.cli import corrupt, dataset, demo, dicom_seg, jobs, models, series, worker
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import JsonReporter, ReaderGoneError, Reporter, TerminalReporter
from SegToolkitLib.methods.registry import METHODS, Command, commands_of

VERBS = {
    "prepare": "turn raw data into the volumes that a method trains and is tested on",
    "superpixels": "make pseudo-labels for training without annotations",
    "classmap": "list which slices hold which structure",
    "train": "train a model",
    "train-all": "train with every configuration of a folder",
    "estimate": "estimate the time and memory of a training",
    "evaluate": "test a model by its paper's protocol",
    "select-unlabeled": "choose the unlabelled images that are worth learning from",
    "profile": "measure size, time and memory of a model",
    "segment": "segment volumes with a trained model",
    "visualise": "show how a model sees an image",
    "tags": "say of slices whether they show an object",
    "crossval": "train and test a model a fold",
    "maps": "make maps of several registered volumes",
    "export-pseudolabels": "write a model's maps as labels to train on",
    "refine": "turn maps into masks",
    "path": "print the folder that another program loads",
    "convert-settings": "turn a configuration of the authors' code into settings",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except ReaderGoneError:  # as behind ``| head``
        # The interpreter flushes once more at its end, and would complain.
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 1


def _run(options: argparse.Namespace) -> int:
    if hasattr(options, "program"):
        # It speaks to another program in its own way: many requests, many answers.
        code: int = options.program(options)
        return code
    reporter: Reporter = JsonReporter() if options.json else TerminalReporter()
    reporter.hello()
    try:
        outputs = options.command.run(options, reporter)
    except SegToolkitError as error:
        reporter.error(error)
        return 1
    except KeyboardInterrupt:
        reporter.error(SegToolkitError("interrupted", "Interrupted.", "Nothing half-written is left behind."))
        return 130
    except MemoryError:
        reporter.error(
            SegToolkitError(
                "out-of-memory", "There was not enough memory.", "Use a smaller --batch or a smaller volume."
            )
        )
        return 1
    except ReaderGoneError:
        raise
    except Exception as error:  # a fault of ours: say so, and keep the trace for the report
        if _is_out_of_gpu_memory(error):
            told = SegToolkitError(
                "out-of-gpu-memory", "The GPU ran out of memory.", "Use a smaller --batch, or --device cpu."
            )
        else:
            told = SegToolkitError(
                "internal",
                f"SegToolkit failed unexpectedly ({type(error).__name__}: {error}).",
                "Please report it together with the lines above.",
            )
            traceback.print_exc(file=sys.stderr)
        reporter.error(told)
        return 1
    reporter.done(**outputs)
    return 0


def _is_out_of_gpu_memory(error: Exception) -> bool:
    return type(error).__name__ == "OutOfMemoryError"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="segtoolkit", description="Segmentation of medical volumes with few or no labels."
    )
    parser.add_argument("--version", action="version", version=f"SegToolkit {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    found = {method: commands_of(method) for method in METHODS}
    for verb, help_text in VERBS.items():
        methods = verbs.add_parser(verb, help=help_text).add_subparsers(
            dest="method", required=True, metavar="METHOD"
        )
        for method, commands in found.items():
            if verb in commands:
                _add(methods, method, commands[verb])
    own = {
        "models": models.COMMAND,
        "series": series.COMMAND,
        "dicom-seg": dicom_seg.COMMAND,
        "dataset": dataset.COMMAND,
        "corrupt": corrupt.COMMAND,
        "jobs": jobs.COMMAND,
        "demo": demo.COMMAND,
    }
    for name, command in own.items():
        _add(verbs, name, command)
    worker.add_arguments(verbs.add_parser("worker", help=worker.HELP, description=worker.HELP.capitalize()))
    return parser


def _add(parsers: argparse._SubParsersAction, name: str, command: Command) -> None:
    parser = parsers.add_parser(
        name, help=command.help, description=command.help[:1].upper() + command.help[1:] + "."
    )
    command.add_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="report to a program: one JSON object a line on stdout"
    )
    parser.set_defaults(command=command)
