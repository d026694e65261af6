"""``segtoolkit convert-settings cmer``: a configuration of the authors' code as settings."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("configuration", type=Path, help="JSON file of the authors' code")
    parser.add_argument("--as-released", action="store_true", help="with the authors' mistakes, too")
    parser.add_argument("--out", type=Path, metavar="FILE", help="settings to write, for train cmer --config")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.atomic import write_json
    from SegToolkitLib.methods.cmer.released import as_released, read_config

    found = read_config(options.configuration)
    for line in found.lines():
        reporter.info(line)
    settings = as_released(found.settings) if options.as_released else found.settings
    if options.out is not None:
        write_json(options.out, settings.model_dump(mode="json"))
        reporter.info(f"Wrote {options.out}")
    return {"mapped": dict(found.mapped), "file": str(options.out) if options.out else None}


COMMAND = Command("turn a configuration of the authors' code into settings", _add_arguments, _run)
