"""``segtoolkit tags cmer``: tags of slices from masks, or of several files joined."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cmer.tags import Tags


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, metavar="DESCRIPTION", help="data set of the cases")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its volumes, if not described")
    parser.add_argument("--from-masks", action="store_true", help="tag the cases that have a mask by it")
    parser.add_argument(
        "--merge",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="tags to take in (CSV); a later file goes before earlier ones, and all before masks; repeatable",
    )
    parser.add_argument(
        "--structure", action="append", metavar="NAME", help="that is the object; repeatable (default: all)"
    )
    parser.add_argument("--modality", metavar="NAME", help="whose slices are counted (default: the first)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="CSV file to write")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cmer.cases import slice_count
    from SegToolkitLib.methods.cmer.tags import counted, from_csv, to_csv

    if not options.from_masks and not options.merge:
        raise SegToolkitError(
            "no-tags", "There is nothing to take tags from.", "Give --from-masks or --merge."
        )
    dataset = Dataset.open(options.dataset, options.data)
    sizes = {case.id: slice_count(case, options.modality) for case in dataset.cases}
    tags: Tags = {id: [None] * count for id, count in sizes.items()}
    if options.from_masks:
        tags |= _of_masks(dataset, options.structure, reporter)
    for file in options.merge:
        for id, own in from_csv(file, sizes).items():
            tags[id] = [old if new is None else new for old, new in zip(tags[id], own, strict=True)]
    to_csv(tags, options.out)
    counts = counted(tags)
    reporter.info(
        f"{options.out}: {counts.visible} slices show the object, {counts.not_visible} do not,"
        f" {counts.not_tagged} are not tagged."
    )
    return {"file": str(options.out), **counts._asdict()}


def _of_masks(dataset: Dataset, structures: list[str] | None, reporter: Reporter) -> Tags:
    """Tags of the cases that have a mask."""
    from SegToolkitLib.dataset.classes import not_looked_for
    from SegToolkitLib.methods.cmer.cases import ignore_value, object_values, slices_with
    from SegToolkitLib.methods.cmer.tags import from_mask
    from SegToolkitLib.volume import read_volume

    values, ignore = object_values(dataset, structures), ignore_value(dataset)
    left_open = [] if ignore is None else [ignore]
    tags: Tags = {}
    for done, case in enumerate(dataset.cases, start=1):
        if case.label is not None:
            label = read_volume(case.label, label=True)
            shown, unsure = (slices_with(label, one).tolist() for one in (values, left_open))
            tags[case.id] = from_mask(shown, unsure, not not_looked_for(dataset, case.id, values))
        reporter.progress("reading masks", done, len(dataset.cases))
    unknown = [count for own in tags.values() if (count := own.count(None))]
    if unknown:
        reporter.warning(
            f"{sum(unknown)} slices of {len(unknown)} cases are not tagged: their masks do not show the"
            " object, and nobody looked for all of it there.",
            "If it is known whether they show it, say so in a file (--merge FILE).",
        )
    return tags


COMMAND = Command("tag slices by masks, or join files of tags", _add_arguments, _run)
