"""``segtoolkit models import cmer`` and ``segtoolkit models export cmer``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder with 0_model_best.pth.tar, 1_model_best.pth.tar, ...; or above it",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="model folder to write")
    parser.add_argument(
        "--modalities", required=True, metavar="A,B", help="names, in the order of the files' numbers"
    )
    parser.add_argument("--structure", default="lesion", help="what the maps show (default: lesion)")
    parser.add_argument("--which", choices=["best", "last"], default="best", help="files (default: best)")
    parser.add_argument("--name", help="name of the model (default: made from the modalities)")
    parser.add_argument("--licence-name", help="licence of the weights (default: none stated)")
    parser.add_argument("--half", action="store_true", help="store half precision")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cmer.checkpoints import import_authors

    card = import_authors(
        options.source,
        options.out,
        modalities=[one.strip() for one in options.modalities.split(",") if one.strip()],
        structure=options.structure,
        which=options.which,
        name=options.name,
        licence_name=options.licence_name,
        half=options.half,
        tell=reporter.info,
    )
    reporter.info(f"{card.name}: the model lies in {options.out}")
    return {"model": str(options.out)}


def _add_export(parser: ArgumentParser) -> None:
    parser.add_argument("model", help="name of a model, or its folder")
    parser.add_argument("folder", type=Path, help="folder of the files to write")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cmer.checkpoints import export_authors
    from SegToolkitLib.models.store import ModelStore

    files = export_authors(ModelStore().find(options.model).folder, options.folder)
    for file in files:
        reporter.info(f"Wrote {file}")
    return {"files": [str(file) for file in files]}


IMPORT = Command("turn checkpoints of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as checkpoints of the authors' code", _add_export, _export)
