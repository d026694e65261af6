"""``segtoolkit profile cssn``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import add_device, add_model, ask_in_terminal, count
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    scan = parser.add_mutually_exclusive_group()
    scan.add_argument("--image", type=Path, metavar="FILE", help="a scan to measure with")
    scan.add_argument(
        "--synthetic",
        type=count,
        default=400,
        metavar="SLICES",
        help="or a synthetic one of 512 x 512 and so many slices (default: 400)",
    )
    parser.add_argument("--mode", choices=["full", "quick"], default="full")
    parser.add_argument("--uncertainty", action="store_true", help="also make the map of doubt")
    parser.add_argument("--small", action="store_true", help="take less memory, and more time")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file for the figures")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    import tempfile

    from SegToolkitLib.automatic.segmenter import UNCERTAINTY, AutomaticOptions
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.evaluation.tables import write_results
    from SegToolkitLib.methods.cssn.profiling import profile, told
    from SegToolkitLib.models.card import read_card
    from SegToolkitLib.models.licence import ensure_accepted
    from SegToolkitLib.models.store import ModelStore

    folder = ModelStore().find(options.model).folder
    card = read_card(folder)
    ensure_accepted(card, accept=options.accept_licence, ask=ask_in_terminal())
    maps = [UNCERTAINTY] if options.uncertainty else []
    wanted = AutomaticOptions(mode=options.mode, maps=maps, small=options.small)
    with tempfile.TemporaryDirectory() as temporary:
        facts = profile(
            folder,
            card,
            choose_device(options.device),
            options.precision,
            wanted,
            options.image or options.synthetic,
            Path(temporary),
            reporter.progress,
        )
    for line in told(facts):
        reporter.info(line)
    if options.out:
        write_results(options.out, facts)
    return {"figures": facts}


COMMAND = Command("measure size, time and memory of a model", _add_arguments, _run)
