"""``segtoolkit dicom-seg LABELS --series FOLDER --out FILE``: a segmentation as a DICOM SEG object."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.cli.options import named_values
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.models.card import ModelCard
    from SegToolkitLib.volume import Segmentation


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("labels", type=Path, help="label map or .seg.nrrd, on the grid of the series")
    parser.add_argument(
        "--series", type=Path, required=True, help="folder of the DICOM series that was segmented"
    )
    parser.add_argument(
        "--uid", help="which series, if the folder has several (segtoolkit series lists them)"
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write, such as organs.dcm")
    parser.add_argument(
        "--model", help="the model that made it: names, standard terms and colours of its card"
    )
    parser.add_argument(
        "--names",
        type=named_values,
        default={},
        metavar="1=liver,...",
        help="names of label values; those left out keep the model's, else the file's, else Segment N",
    )
    parser.add_argument("--algorithm", help="what made it, if it is no model of yours")
    parser.add_argument("--description", default="", help="of the new series")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dicom_seg import Algorithm, write_dicom_seg
    from SegToolkitLib.models.store import ModelStore
    from SegToolkitLib.volume import pick_dicom_series, read_segmentation

    card = ModelStore().find(options.model).card if options.model else None
    reporter.progress("reading", 0, 2)
    segmentation = read_segmentation(options.labels)
    nameless = _name(segmentation, card, options.names)
    if nameless:
        reporter.warning(
            f"Nobody named {len(nameless)} of the label values, so the file says {', '.join(nameless)}.",
            "Name them with --names, or with --model, whose card knows them.",
        )
    reporter.progress("reading", 1, 2)
    series = pick_dicom_series(options.series, options.uid)
    reporter.progress("reading", 2, 2)
    made_by = options.algorithm or (card.title if card else "")
    written = write_dicom_seg(
        segmentation,
        [one.path for one in series.slices],
        options.out,
        algorithm=Algorithm(made_by) if made_by else None,
        description=options.description,
    )
    if written.left_out:
        reporter.warning(
            f"Without a voxel, and so left out: {', '.join(written.left_out)}.",
            "DICOM SEG has no way to say that a structure was looked for and not found.",
        )
    reporter.info(f"{written.path}: {len(written.segments)} segments in {written.frames} frames")
    return {
        "out": str(written.path),
        "segments": list(written.segments),
        "frames": written.frames,
        "series_uid": written.series_uid,
        "instance_uid": written.instance_uid,
    }


def _name(segmentation: Segmentation, card: ModelCard | None, names: dict[int, str]) -> list[str]:
    """Give the segments what the card and the person say of their values; the person has the last word.

    Returns:
        The names that were made up, because neither of them nor the file has one.

    Raises:
        SegToolkitError: "unknown-structure": the person names a value that is not there.
    """
    from SegToolkitLib.volume.segmentation import generated_segment

    _refuse_other_values(segmentation, names)
    labels = {label.value: label for label in card.labels} if card else {}
    nameless = []
    for segment in segmentation.segments:
        if (label := labels.get(segment.label)) is not None:
            segment.name, segment.terminology = label.name, label.terminology
            segment.colour = label.colour or segment.colour
        if segment.label in names:
            segment.name, segment.terminology = names[segment.label], ""
        elif label is None and segment.name == generated_segment(segment.label).name:
            nameless.append(segment.name)
    return nameless


def _refuse_other_values(segmentation: Segmentation, names: dict[int, str]) -> None:
    there = sorted(segment.label for segment in segmentation.segments)
    strange = [f"{value} ({name})" for value, name in names.items() if value not in there]
    if strange:
        raise SegToolkitError(
            "unknown-structure",
            f"{segmentation.labels.name or 'The segmentation'} has no label {', '.join(strange)}.",
            f"It has {', '.join(map(str, there))}." if there else "It has none at all.",
        )


COMMAND = Command("write a segmentation as a DICOM SEG file", _add_arguments, _run)
