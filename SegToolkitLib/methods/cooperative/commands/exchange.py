"""``segtoolkit models import cooperative`` and ``segtoolkit models export cooperative``."""

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
        metavar="PATH",
        help="folder with the five files (image_encoder.pth, ...), or above them; or a snapshot (.pkl)",
    )
    add_out(parser)
    parser.add_argument(
        "--labels",
        default="acdc",
        help="acdc (1 left ventricle, 2 myocardium, 3 right ventricle; default), or a JSON file:"
        " name -> value",
    )
    parser.add_argument(
        "--reconstruction",
        choices=["sigmoid", "none"],
        help="last activation of the image decoder (default: none for files of the first release)",
    )
    parser.add_argument(
        "--rescale",
        choices=["volume", "slice"],
        default="volume",
        help="slice: each slice is brought to [0, 1], as released for volumes of one frame (default: volume)",
    )
    add_naming(parser, made_from="the labels", licence="unclear")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cooperative.checkpoints import import_authors
    from SegToolkitLib.methods.cooperative.plan import InputPlan

    card = import_authors(
        options.source,
        options.out,
        labels=options.labels,
        plan=InputPlan(rescale=options.rescale),
        reconstruction=options.reconstruction,
        **naming(options, reporter),
    )
    return imported(card, options.out, reporter)


def _add_export(parser: ArgumentParser) -> None:
    add_export(parser, "folder", "folder of the five files to write")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cooperative.checkpoints import export_authors

    return exported_files(options, reporter, export_authors)


IMPORT = Command("turn checkpoints of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as checkpoints of the authors' code", _add_export, _export)
