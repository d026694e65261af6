"""``segtoolkit tags cmer``: tags of slices from masks, or of several files joined."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


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
    import numpy as np

    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cmer.cases import object_values, slice_count
    from SegToolkitLib.methods.cmer.tags import Tags, counted, from_csv, to_csv
    from SegToolkitLib.volume import read_volume
    from SegToolkitLib.volume.slicewise import SlicesLast

    if not options.from_masks and not options.merge:
        raise SegToolkitError(
            "no-tags", "There is nothing to take tags from.", "Give --from-masks or --merge."
        )
    dataset = Dataset.open(options.dataset, options.data)
    sizes = {case.id: slice_count(case, options.modality) for case in dataset.cases}
    tags: Tags = {id: [None] * count for id, count in sizes.items()}
    if options.from_masks:
        values = object_values(dataset, options.structure)
        for done, case in enumerate(dataset.cases, start=1):
            if case.label is not None:
                upright, _ = SlicesLast().apply(read_volume(case.label, label=True), label=True)
                shown = np.asarray(np.isin(upright.voxels, values).any(axis=(1, 2)))
                tags[case.id] = [bool(one) for one in shown]
            reporter.progress("reading masks", done, len(dataset.cases))
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


COMMAND = Command("tag slices by masks, or join files of tags", _add_arguments, _run)
