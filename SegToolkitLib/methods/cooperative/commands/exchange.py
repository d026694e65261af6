"""``segtoolkit models import cooperative`` and ``segtoolkit models export cooperative``."""

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
        metavar="PATH",
        help="folder with the five files (image_encoder.pth, ...), or above them; or a snapshot (.pkl)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="model folder to write")
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
    parser.add_argument("--name", help="name of the model (default: made from the labels)")
    parser.add_argument("--licence-name", help="licence of the weights (default: unclear)")
    parser.add_argument("--half", action="store_true", help="store half precision")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cooperative.checkpoints import import_authors
    from SegToolkitLib.methods.cooperative.plan import InputPlan

    card = import_authors(
        options.source,
        options.out,
        labels=options.labels,
        plan=InputPlan(rescale=options.rescale),
        reconstruction=options.reconstruction,
        name=options.name,
        licence_name=options.licence_name,
        half=options.half,
        tell=reporter.info,
    )
    reporter.info(f"{card.name}: the model lies in {options.out}")
    return {"model": str(options.out)}


def _add_export(parser: ArgumentParser) -> None:
    parser.add_argument("model", help="name of a model, or its folder")
    parser.add_argument("folder", type=Path, help="folder of the five files to write")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cooperative.checkpoints import export_authors
    from SegToolkitLib.models.store import ModelStore

    files = export_authors(ModelStore().find(options.model).folder, options.folder)
    for file in files:
        reporter.info(f"Wrote {file}")
    return {"files": [str(file) for file in files]}


IMPORT = Command("turn checkpoints of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as checkpoints of the authors' code", _add_export, _export)
