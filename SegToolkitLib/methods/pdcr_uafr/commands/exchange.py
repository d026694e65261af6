"""``segtoolkit models import pdcr_uafr`` and ``segtoolkit models export pdcr_uafr``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import count
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, metavar="FILE", help="checkpoint epoch_N.pth"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="model folder to write")
    parser.add_argument(
        "--labels",
        default="lesion",
        help="structures in the order of the classes (default: lesion), or a JSON file: name -> value",
    )
    parser.add_argument(
        "--size",
        nargs=2,
        type=count,
        default=(512, 512),
        metavar=("WIDTH", "HEIGHT"),
        help="of the training's images, as in its configuration (default: 512 512)",
    )
    parser.add_argument(
        "--intensity-scale",
        type=int,
        choices=[1, 255],
        default=1,
        help="intensities were divided by it (default: 1, as in the authors' code)",
    )
    parser.add_argument("--output-stride", type=int, choices=[8, 16], default=16, help="default: 16")
    parser.add_argument(
        "--modality",
        choices=["picture", "MR", "CT"],
        default="picture",
        help="of the training's images (default: picture)",
    )
    parser.add_argument("--name", help="name of the model (default: made from the file's)")
    parser.add_argument("--licence-name", help="licence of the weights (default: unclear)")
    parser.add_argument("--half", action="store_true", help="store half precision")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.pdcr_uafr.exchange import import_authors, labels_named
    from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan
    from SegToolkitLib.validation import validated

    width, height = options.size
    plan = {"size": (height, width), "intensity_scale": options.intensity_scale}
    card = import_authors(
        options.source,
        options.out,
        labels=labels_named(options.labels),
        plan=validated(InputPlan, plan, "The input of the model"),
        output_stride=options.output_stride,
        modality=options.modality,
        name=options.name,
        licence_name=options.licence_name,
        half=options.half,
        tell=reporter.info,
    )
    reporter.info(f"{card.name}: the model lies in {options.out}")
    return {"model": str(options.out)}


def _add_export(parser: ArgumentParser) -> None:
    parser.add_argument("model", help="name of a model, or its folder")
    parser.add_argument("file", type=Path, help="checkpoint (.pth) to write")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.pdcr_uafr.exchange import export_authors
    from SegToolkitLib.models.store import ModelStore

    file = export_authors(ModelStore().find(options.model).folder, options.file)
    reporter.info(f"Wrote {file}")
    return {"file": str(file)}


IMPORT = Command("turn a checkpoint of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as a checkpoint of the authors' code", _add_export, _export)
