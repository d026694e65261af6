"""``segtoolkit path nnunet``: the folder for nnU-Net's variable ``nnUNet_extTrainer``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--unchecked", action="store_true", help="do not ask whether nnU-Net is there and new enough"
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.nnunet.package import TRAINERS, require_nnunet

    if not options.unchecked:
        require_nnunet(finds_trainers=True)
    if not getattr(options, "json", False):
        # On stdout alone, for: export nnUNet_extTrainer=$(segtoolkit path nnunet)
        print(TRAINERS)
    return {"path": str(TRAINERS)}


COMMAND = Command("print the folder in which nnU-Net finds our trainers", _add_arguments, _run)
