"""``segtoolkit models``: list, show, add, remove, import and export models."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    pass


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    return {}


COMMAND = Command("list, show, add, remove, import and export models", _add_arguments, _run)
