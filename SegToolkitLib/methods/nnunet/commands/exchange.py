"""``segtoolkit models import nnunet``: a trained nnU-Net as a model."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.models.exchange import add_naming, add_out, imported, naming


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="a training: nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION",
    )
    add_out(parser)
    parser.add_argument(
        "--folds", nargs="+", metavar="N", help="whose networks are averaged (default: all that are there)"
    )
    parser.add_argument(
        "--checkpoint", default="checkpoint_final.pth", metavar="NAME", help="default: checkpoint_final.pth"
    )
    parser.add_argument(
        "--modality", choices=["CT", "MR", "picture"], help="of the images (default: by the channel's name)"
    )
    parser.add_argument(
        "--orientation",
        metavar="CODE",
        help="that the training's volumes had, such as RAS: volumes are turned to it first"
        " (default: axes as in the file, as in nnU-Net)",
    )
    add_naming(parser, made_from="the data set's", licence="not stated")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.nnunet.package import require_nnunet

    require_nnunet()
    from SegToolkitLib.methods.nnunet.importing import import_trained

    card = import_trained(
        options.source,
        options.out,
        folds=options.folds,
        checkpoint=options.checkpoint,
        modality=options.modality,
        orientation=options.orientation,
        **naming(options, reporter),
    )
    return imported(card, options.out, reporter)


IMPORT = Command("turn a trained nnU-Net into a model", _add_arguments, _import)
