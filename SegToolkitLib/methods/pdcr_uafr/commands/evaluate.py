"""``segtoolkit evaluate pdcr_uafr``: a model on labelled images, image by image."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import (
    add_device,
    add_model,
    add_tested_cases,
    add_tolerance,
    ask_in_terminal,
    count,
)
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    add_tested_cases(parser, "data set to test on")
    parser.add_argument(
        "--resize",
        choices=["first", "after", "both"],
        default="both",
        help="first: logits are brought to the image's size, then the best class is taken; after: the other"
        " way round (default: both)",
    )
    parser.add_argument(
        "--size",
        choices=["image", "network"],
        default="image",
        help="compare at the image's size, or at the network's, as published for DigestPath (default: image)",
    )
    parser.add_argument(
        "--absent",
        choices=["exclude", "released"],
        default="exclude",
        help="a class that neither image nor result has: left out, or a Dice of 0 as released",
    )
    parser.add_argument("--decimals", type=count, help="round the measures of each image (published: 4)")
    add_tolerance(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write the tables")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.automatic.tested import cases_to_test, opened_model
    from SegToolkitLib.dataset.batch import raise_failures
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.pdcr_uafr import automatic
    from SegToolkitLib.methods.pdcr_uafr.evaluate import Protocol, Resize, evaluate, write_evaluation
    from SegToolkitLib.methods.pdcr_uafr.segment import PdcrUafrSegmenter
    from SegToolkitLib.methods.pdcr_uafr.tested_cases import classes_for, held_out
    from SegToolkitLib.training.run_folder import provenance

    model = opened_model(options.model, "pdcr_uafr", options.accept_licence, ask_in_terminal())
    dataset = Dataset.open(options.dataset, options.data)
    cases = cases_to_test(dataset, model, options.cases, held_out, reporter=reporter)
    classes = classes_for(dataset, model.card)
    segmenter = automatic.load(model.folder, model.card, choose_device(options.device), options.precision)
    assert isinstance(segmenter, PdcrUafrSegmenter)
    resizes: tuple[Resize, ...] = ("first", "after") if options.resize == "both" else (options.resize,)
    tolerance = options.tolerance if dataset.description.spacing_known else None
    protocol = Protocol(resizes, options.size, options.absent, options.decimals, tolerance)
    found = evaluate(segmenter, cases, classes, protocol, reporter)
    if len(found.failures) == len(cases):
        raise_failures(found.failures, len(cases), "evaluated")
    about = {
        "dataset": dataset.description.name,
        "model": str(model.folder),
        "cases": len(cases) - len(found.failures),
        "made_with": provenance(),
    }
    names = {number: label.name for number, label in enumerate(model.card.labels, start=1)}
    for line in write_evaluation(options.out, found, protocol, names, about):
        reporter.info(line)
    raise_failures(found.failures, len(cases), "evaluated")
    return {"folder": str(options.out), "cases": len(cases)}


COMMAND = Command("measure a model on labelled images, one by one", _add_arguments, _run)
