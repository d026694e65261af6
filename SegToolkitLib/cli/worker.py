"""``segtoolkit worker``: the process behind a window; docs/worker.md."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

HELP = "answer the requests of a window (for programs; see docs/worker.md)"


def add_arguments(parser: ArgumentParser) -> None:
    """The worker's arguments."""
    parser.add_argument("--folder", type=Path, required=True, help="exchange folder; the worker ends with it")
    parser.add_argument("--parent", type=int, metavar="PID", help="process that the worker ends with")
    parser.set_defaults(program=_run)


def _run(options: Namespace) -> int:
    from SegToolkitLib.worker.serving import serve

    return serve(options.folder, options.parent)
