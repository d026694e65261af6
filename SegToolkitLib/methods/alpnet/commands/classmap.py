"""``segtoolkit classmap alpnet``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.commands.data_options import add_dataset, open_dataset
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument(
        "--minimum", type=int, default=1, help="least voxels of a class that make a slice count"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to write (default: beside the volumes)"
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.alpnet.classmap import write_class_map

    path = write_class_map(open_dataset(options), options.minimum, options.out)
    reporter.info(f"Wrote {path}")
    return {"classmap": str(path)}


COMMAND = Command("list which slices of which scan hold which structure", _add_arguments, _run)
