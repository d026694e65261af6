"""``segtoolkit prepare cmer``: PNG slices, tasks of the Decathlon and folders of BraTS as a data set."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

MOST_TOLD = 20


def _add_arguments(parser: ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--png",
        type=Path,
        metavar="ROOT",
        help="folder of train, val and perhaps test, each with MR_<modality> or <modality>, and GT",
    )
    source.add_argument(
        "--msd",
        type=Path,
        metavar="TASK",
        help="task of the Medical Segmentation Decathlon (dataset.json, imagesTr, labelsTr), whose 4-D images"
        " are split into a file a modality",
    )
    source.add_argument(
        "--brats",
        type=Path,
        metavar="ROOT",
        help="folder of <patient>/<patient>_t1.nii.gz, _t1ce, _t2, _flair, _seg (also below HGG and LGG),"
        " which are listed where they lie",
    )
    parser.add_argument("--modalities", metavar="A,B", help="to take, in this order (default: all)")
    png = parser.add_argument_group("of PNG slices alone")
    png.add_argument("--structure", help="what GT shows (default: lesion)")
    png.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="mm, which PNG files do not tell (default: 1 1 1, as the authors take it)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="data set to make")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    modalities = None
    if options.modalities is not None:
        modalities = [one.strip() for one in options.modalities.split(",") if one.strip()]
    if options.png is not None:
        return _png(options, modalities, reporter)
    if options.structure is not None or options.spacing is not None:
        raise SegToolkitError(
            "bad-choice",
            "--structure and --spacing are for PNG slices.",
            "Leave them out: volumes say their spacing, and a data set names its labels.",
        )
    if options.msd is not None:
        return _msd(options, modalities, reporter)
    return _brats(options, modalities, reporter)


def _png(options: Namespace, modalities: list[str] | None, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.png_slices import import_slices

    made = import_slices(
        options.png,
        options.out,
        modalities,
        structure=options.structure or "lesion",
        spacing=tuple(options.spacing or (1.0, 1.0, 1.0)),
        progress=lambda done, total: reporter.progress("writing", done, total),
        tell=reporter.warning,
    )
    for folder, cases in made.items():
        reporter.info(f"{folder} has {len(cases)} patients.")
    return {"folders": {str(folder): cases for folder, cases in made.items()}}


def _msd(options: Namespace, modalities: list[str] | None, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cmer.msd import import_task

    cases = import_task(
        options.msd,
        options.out,
        modalities,
        progress=lambda done, total: reporter.progress("writing", done, total),
        tell=reporter.info,
    )
    reporter.info(f"{options.out} has {len(cases)} patients.")
    return {"folders": {str(options.out): cases}}


def _brats(options: Namespace, modalities: list[str] | None, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.description import FILE_NAME
    from SegToolkitLib.methods.cmer.brats import dataset_exists, describe_patients, read_patients

    if (options.out / FILE_NAME).exists():  # before masks are read for minutes
        raise dataset_exists(options.out)
    found = read_patients(
        options.brats, modalities, lambda done, total: reporter.progress("reading masks", done, total)
    )
    dataset = describe_patients(options.brats, found, options.out)
    for id, why in list(found.left_out.items())[:MOST_TOLD]:
        reporter.warning(f"Patient {id} is left out: {why}.")
    if len(found.left_out) > MOST_TOLD:
        reporter.warning(f"{len(found.left_out) - MOST_TOLD} more patients are left out.")
    reporter.info(
        f"{options.out} describes {len(found.images)} patients, {len(found.masks)} of them with a mask,"
        f" where they lie, with the images {', '.join(dataset.description.channels)}."
    )
    return {"folders": {str(options.out): dataset.ids}, "left_out": found.left_out}


COMMAND = Command("turn PNG slices, 4-D images or folders of BraTS into a data set", _add_arguments, _run)
