"""``segtoolkit convert-settings pdcr_uafr``: a configuration of the authors' code as settings."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("configuration", type=Path, help="YAML (or JSON) file of the authors' code")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="settings to write, for train pdcr_uafr --config"
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.atomic import write_json
    from SegToolkitLib.methods.pdcr_uafr.released import read_released

    found = read_released(options.configuration)
    for line in found.text().splitlines():
        reporter.info(line)
    if options.out is not None:
        write_json(options.out, found.settings.model_dump(mode="json"))
        reporter.info(f"Wrote {options.out}")
    return {
        "mapped": found.mapped,
        "ignored": found.ignored,
        "unknown": found.unknown,
        "file": str(options.out) if options.out else None,
    }


COMMAND = Command("turn a configuration of the authors' code into settings", _add_arguments, _run)
