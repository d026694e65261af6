"""``segtoolkit convert-settings cooperative``: a configuration of the authors' code as settings."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("configuration", type=Path, help="JSON file of the authors' code")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="settings to write, for train cooperative --config"
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.atomic import write_json
    from SegToolkitLib.methods.cooperative.configuration import read_configuration

    found = read_configuration(options.configuration)
    for line in found.report:
        reporter.info(line)
    if options.out is not None:
        write_json(options.out, found.settings.model_dump(mode="json"))
        reporter.info(f"Wrote {options.out}")
    return {"settings": found.overrides, "file": str(options.out) if options.out else None}


COMMAND = Command("turn a configuration of the authors' code into settings", _add_arguments, _run)
