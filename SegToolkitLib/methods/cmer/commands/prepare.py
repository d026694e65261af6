"""``segtoolkit prepare cmer``: the authors' folders of PNG slices as a data set of volumes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--png",
        type=Path,
        required=True,
        metavar="ROOT",
        help="folder of train, val and perhaps test, each with MR_<modality> or <modality>, and GT",
    )
    parser.add_argument("--modalities", metavar="A,B", help="to take (default: all that are there)")
    parser.add_argument("--structure", default="lesion", help="what GT shows (default: lesion)")
    parser.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        default=(1.0, 1.0, 1.0),
        metavar=("X", "Y", "Z"),
        help="mm, which PNG files do not tell (default: 1 1 1, as the authors take it)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="data set to make")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.png_slices import import_slices

    modalities = None
    if options.modalities is not None:
        modalities = [one.strip() for one in options.modalities.split(",") if one.strip()]
    made = import_slices(
        options.png,
        options.out,
        modalities,
        structure=options.structure,
        spacing=tuple(options.spacing),
        progress=lambda done, total: reporter.progress("writing", done, total),
        tell=reporter.warning,
    )
    for folder, cases in made.items():
        reporter.info(f"{folder} has {len(cases)} patients.")
    return {"folders": {str(folder): cases for folder, cases in made.items()}}


COMMAND = Command("turn the authors' PNG slices into a data set", _add_arguments, _run)
