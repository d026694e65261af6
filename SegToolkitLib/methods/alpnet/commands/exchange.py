"""``segtoolkit models import alpnet`` and ``segtoolkit models export alpnet``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.models.exchange import add_export, exported_file, imported


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the authors' checkpoint (.pth)")
    parser.add_argument("folder", type=Path, help="model folder to write")
    parser.add_argument("--modality", required=True, choices=["MR", "CT"], help="what it was trained on")
    parser.add_argument("--mean", type=float, help="CT: mean of the training scans, of 0..255 or 0..1")
    parser.add_argument("--std", type=float, help="CT: their standard deviation")
    parser.add_argument("--name", help="name of the model (default: made from the file's)")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.alpnet.checkpoints import import_authors_checkpoint

    card = import_authors_checkpoint(
        options.file,
        options.folder,
        modality=options.modality,
        mean=options.mean,
        std=options.std,
        name=options.name,
    )
    return imported(card, options.folder, reporter, "the weights fit; ")


def _add_export(parser: ArgumentParser) -> None:
    add_export(parser, "file", "checkpoint to write (.pth)")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.alpnet.checkpoints import export_authors_checkpoint

    return exported_file(options, reporter, export_authors_checkpoint)


IMPORT = Command("turn a checkpoint of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as a checkpoint of the authors' code", _add_export, _export)
