"""``segtoolkit models import cmer`` and ``segtoolkit models export cmer``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.models.exchange import add_export, add_naming, add_out, exported_files, imported, naming


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder with 0_model_best.pth.tar, 1_model_best.pth.tar, ...; or above it",
    )
    add_out(parser)
    parser.add_argument(
        "--modalities", required=True, metavar="A,B", help="names, in the order of the files' numbers"
    )
    parser.add_argument("--structure", default="lesion", help="what the maps show (default: lesion)")
    parser.add_argument("--which", choices=["best", "last"], default="best", help="files (default: best)")
    add_naming(parser, made_from="the modalities", licence="none stated")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cmer.checkpoints import import_authors

    card = import_authors(
        options.source,
        options.out,
        modalities=[one.strip() for one in options.modalities.split(",") if one.strip()],
        structure=options.structure,
        which=options.which,
        **naming(options, reporter),
    )
    return imported(card, options.out, reporter)


def _add_export(parser: ArgumentParser) -> None:
    add_export(parser, "folder", "folder of the files to write")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cmer.checkpoints import export_authors

    return exported_files(options, reporter, export_authors)


IMPORT = Command("turn checkpoints of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as checkpoints of the authors' code", _add_export, _export)
