"""``segtoolkit models import nnunet``: a trained nnU-Net as a model."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="a training: nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of the model")
    parser.add_argument(
        "--folds", nargs="+", metavar="N", help="whose networks are averaged (default: all that are there)"
    )
    parser.add_argument(
        "--checkpoint", default="checkpoint_final.pth", metavar="NAME", help="default: checkpoint_final.pth"
    )
    parser.add_argument("--name", help="name of the model (default: made of the data set's)")
    parser.add_argument("--licence-name", help="licence of the weights (default: not stated)")
    parser.add_argument(
        "--modality", choices=["CT", "MR", "picture"], help="of the images (default: by the channel's name)"
    )
    parser.add_argument(
        "--orientation",
        metavar="CODE",
        help="that the training's volumes had, such as RAS: volumes are turned to it first"
        " (default: axes as in the file, as in nnU-Net)",
    )
    parser.add_argument("--half", action="store_true", help="store half precision")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.nnunet.package import require_nnunet

    require_nnunet()
    from SegToolkitLib.methods.nnunet.importing import import_trained

    card = import_trained(
        options.source,
        options.out,
        folds=options.folds,
        checkpoint=options.checkpoint,
        name=options.name,
        licence_name=options.licence_name,
        modality=options.modality,
        orientation=options.orientation,
        half=options.half,
        tell=reporter.info,
    )
    reporter.info(f"{card.name}: the model lies in {options.out}")
    return {"model": str(options.out)}


IMPORT = Command("turn a trained nnU-Net into a model", _add_arguments, _import)
