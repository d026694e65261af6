"""``segtoolkit models import pdcr_uafr`` and ``segtoolkit models export pdcr_uafr``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import count
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.models.exchange import add_export, add_naming, add_out, exported_file, imported, naming


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, metavar="FILE", help="checkpoint epoch_N.pth"
    )
    add_out(parser)
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
    add_naming(parser, made_from="the file's", licence="unclear")


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
        **naming(options, reporter),
    )
    return imported(card, options.out, reporter)


def _add_export(parser: ArgumentParser) -> None:
    add_export(parser, "file", "checkpoint (.pth) to write")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.pdcr_uafr.exchange import export_authors

    return exported_file(options, reporter, export_authors)


IMPORT = Command("turn a checkpoint of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as a checkpoint of the authors' code", _add_export, _export)
