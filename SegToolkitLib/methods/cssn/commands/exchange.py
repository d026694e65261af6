"""``segtoolkit models import cssn`` and ``segtoolkit models export cssn``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.models.exchange import add_export, add_naming, add_out, exported_files, imported, naming


def _size(text: str) -> tuple[int, int, int]:
    """ "160" or "160,192,192" (z, y, x)."""
    numbers = [int(part) for part in text.split(",") if part.isdecimal()] if text.count(",") in (0, 2) else []
    if len(numbers) != text.count(",") + 1:
        raise ArgumentTypeError(f"{text!r} must be one number or three (z,y,x), such as 160,192,192")
    z, y, x = numbers * 3 if len(numbers) == 1 else numbers
    return z, y, x


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument("--coarse", type=Path, metavar="FILE", help="base_coarse_model/best_model.pt")
    parser.add_argument("--fine", type=Path, metavar="FILE", help="efficient_fine_model/best_model.pt")
    add_out(parser)
    parser.add_argument(
        "--labels", default="flare22", help="flare22 (default), flare21, or a JSON file: name -> value"
    )
    parser.add_argument(
        "--size", type=_size, metavar="Z,Y,X", help="input of the fine network (default: the released one)"
    )
    parser.add_argument("--coarse-size", type=_size, metavar="Z,Y,X", help="input of the coarse network")
    add_naming(parser, made_from="the labels", licence="unknown")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cssn.checkpoints import import_authors

    card = import_authors(
        options.coarse,
        options.fine,
        options.out,
        labels=options.labels,
        coarse_size=options.coarse_size,
        fine_size=options.size,
        **naming(options, reporter),
    )
    return imported(card, options.out, reporter)


def _add_export(parser: ArgumentParser) -> None:
    add_export(parser, "folder", "folder of the authors' weights to write")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cssn.checkpoints import export_authors

    return exported_files(options, reporter, export_authors)


IMPORT = Command("turn checkpoints of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as checkpoints of the authors' code", _add_export, _export)
