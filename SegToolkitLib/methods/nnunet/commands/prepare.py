"""``segtoolkit prepare nnunet``: a data set where nnU-Net looks for it, and what to call then."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, metavar="DESCRIPTION", help="description or folder")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its volumes, if not described")
    parser.add_argument(
        "--home",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="above nnU-Net's folders raw, preprocessed and results, which are made",
    )
    parser.add_argument(
        "--number", type=int, default=901, metavar="N", help="of the data set, 1 to 999 (default: 901)"
    )
    parser.add_argument("--name", help="of the data set for nnU-Net (default: its own)")
    parser.add_argument("--copy", action="store_true", help="copy files instead of linking them")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.nnunet.package import environment
    from SegToolkitLib.methods.nnunet.raw import write_raw

    folder = write_raw(
        Dataset.open(options.dataset, options.data),
        options.home,
        options.number,
        options.name,
        options.copy,
        lambda done, total: reporter.progress("preparing", done, total),
    )
    variables = environment(options.home.resolve())
    lines = [f'export {name}="{value}"' for name, value in variables.items()]
    reporter.info(
        "\n".join([f"The data set lies in {folder}. nnU-Net is told so:", *lines, "", "Then, say:"])
    )
    for line in (
        f"nnUNetv2_plan_and_preprocess -d {options.number} -c 3d_fullres --verify_dataset_integrity",
        f"nnUNetv2_train {options.number} 3d_fullres 0 -tr nnUNetTrainerPDCR_UAFR",
    ):
        reporter.info(line)
    return {"folder": str(folder), "environment": variables}


COMMAND = Command("put a data set where nnU-Net looks for it", _add_arguments, _run)
