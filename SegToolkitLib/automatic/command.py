"""``segtoolkit segment METHOD`` for every method whose models segment by themselves."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from SegToolkitLib.automatic.inputs import (
    FORMATS,
    Item,
    check_overlays,
    chosen,
    find_images,
    listed,
    organs,
    read_ids,
    with_targets,
)
from SegToolkitLib.automatic.run import check_options
from SegToolkitLib.automatic.segmenter import UNCERTAINTY, AutomaticMethod, AutomaticOptions
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.models.licence import ensure_accepted
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.sharding import Shard, add_shard


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments, besides the model and the device."""
    parser.add_argument(
        "-i",
        "--image",
        action="append",
        required=True,
        type=Path,
        metavar="PATH",
        help="volume file, DICOM folder, or folder of volume files without its label maps; repeatable",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="PATH", help="folder, or the file for one image"
    )
    parser.add_argument(
        "--format",
        default=".seg.nrrd",
        choices=FORMATS,
        metavar="SUFFIX",
        help=f"of the files in the folder: {', '.join(FORMATS)} (default: .seg.nrrd, which keeps the names)",
    )
    parser.add_argument("--ids", type=Path, metavar="FILE", help="only these cases: names, one a line")
    parser.add_argument("--organs", metavar="NAMES", help='only these, such as "liver,right kidney" or 1,2')
    parser.add_argument(
        "--mode", default="full", choices=["full", "quick"], help="quick: coarser and sooner (default: full)"
    )
    parser.add_argument("--small", action="store_true", help="take less memory, and more time")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        dest="maps",
        metavar="NAME",
        help="also write this map (0 to 1) beside the result, CASE_NAME.nii.gz; a name that the model does"
        " not have is answered with those it has; repeatable",
    )
    parser.add_argument(
        f"--{UNCERTAINTY}",
        action="append_const",
        const=UNCERTAINTY,
        dest="maps",
        help=f"short for --map {UNCERTAINTY}",
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="CSV",
        help="also write volumes and mean intensities; each --shard has its own: NAME-0-of-4.csv",
    )
    parser.add_argument(
        "--overlay", type=Path, metavar="PATH", help="also draw each result over its image: PNG or folder"
    )
    parser.add_argument(
        "--series",
        action="append",
        default=[],
        metavar="UID",
        help="series to take from a DICOM folder that has several (see: segtoolkit series); repeatable",
    )
    parser.add_argument("--overwrite", action="store_true", help="segment anew what has a result already")
    add_shard(parser, "images")


def run(
    name: str,
    method: AutomaticMethod,
    options: Namespace,
    reporter: Reporter,
    ask: Callable[[str], bool] | None = None,
    others: Collection[str] | None = None,
) -> dict[str, object]:
    """Segment as the options say.

    Args:
        name: of the method.
        method: its module ``automatic``.
        options: of :func:`add_arguments`, with ``model``, ``accept_licence``, ``device`` and ``precision``.
        reporter: hears of progress.
        ask: shows the terms of a model and returns whether the person accepts them.
        others: methods that have this verb, too, for the hint; None takes all to have it.

    Raises:
        SegToolkitError: "other-method", what is wrong with the model or the inputs, or what images failed.
    """
    entry = ModelStore().find(options.model)
    card = entry.card
    assert card is not None  # find returns usable models only
    if card.method != name:
        raise SegToolkitError(
            "other-method",
            f"{card.name} is a model of the method {card.method!r}, not of {name!r}.",
            f"Run: segtoolkit segment {card.method} --model {card.name} ..."
            if others is None or card.method in others
            else f"Choose another model; {card.method} has commands of its own (segtoolkit --help).",
        )
    described = method.describe(card)
    chosen_options = check_options(
        AutomaticOptions(
            labels=organs(options.organs, card),
            mode=options.mode,
            maps=options.maps,
            small=options.small,
        ),
        card,
        described,
    )
    found, left_out = find_images(options.image, pictures=card.preprocessing.modality == "picture")
    if left_out:
        reporter.warning(
            f"Left out, being label maps by their names: {listed([one.name for one in left_out])}.",
            "To segment such a file all the same, name it: -i FILE.",
        )
    images = chosen(found, read_ids(options.ids) if options.ids else None)
    # A label map beside the images may be a person's work: it is not made anew as a result of ours.
    kept = left_out if options.overwrite else ()
    items = with_targets(images, options.out, options.format, kept, chosen_options.maps)
    _check_overlay(options, items, left_out)
    _check_places(options, [item.target for item in items])
    ensure_accepted(card, accept=options.accept_licence, ask=ask)
    items = options.shard.of(items)
    _check_series(options, images)
    if not items:
        reporter.warning("No image falls to this part.", "There are fewer images than parts (--shard).")
        return {"results": [], "skipped": [], "table": None}
    if not options.overwrite and all(item.target.exists() for item in items):
        reporter.warning("All results are there already.", "--overwrite makes them anew.")
        return {"results": [], "skipped": [str(item.target) for item in items], "table": None}

    from SegToolkitLib.automatic.batch import Job, segment_files
    from SegToolkitLib.device import choose_device

    segmenter = method.load(entry.folder, card, choose_device(options.device), options.precision)
    table = table_of(options.table, options.shard)
    job = Job(segmenter, card, described, chosen_options, options.overlay, table, tuple(options.series))
    return segment_files(job, items, reporter, options.overwrite)


def table_of(table: Path | None, shard: Shard) -> Path | None:
    """The table of a part of the images: parts must not write into one file, each with its own rows alone."""
    if table is None or shard.is_whole:
        return table
    return table.with_name(f"{table.stem}-{shard.number}-of-{shard.count}{table.suffix}")


def _check_overlay(options: Namespace, items: Sequence[Item], kept: Collection[Path]) -> None:
    """A name that says "one picture" cannot take many, and none may replace an image."""
    path = options.overlay
    if path is None:
        return
    is_file = path.suffix and not path.is_dir()
    if is_file and len(items) > 1:
        raise SegToolkitError(
            "several-images",
            f"--overlay {path} is one file, but there are {len(items)} images.",
            "Give the name of a folder.",
        )
    if is_file and path.suffix.lower() != ".png":
        raise SegToolkitError(
            "unknown-suffix",
            f"{path} does not say in which format to write.",
            "End the name in .png, or give a folder.",
        )
    check_overlays(path, items, kept)


def _check_places(options: Namespace, targets: list[Path]) -> None:
    """Where nothing can be written is found out before the work."""
    if options.table is not None and options.table.is_dir():
        raise SegToolkitError(
            "bad-place", f"{options.table} is a folder; the table is one file.", "Give its name: volumes.csv."
        )
    given = (options.table, options.overlay)
    for path in dict.fromkeys([target.parent for target in targets] + [one.parent for one in given if one]):
        there = next(one for one in (path, *path.absolute().parents) if one.exists())
        if not there.is_dir():
            raise SegToolkitError(
                "bad-place", f"{there} is a file, so it cannot take results.", "Give the name of a folder."
            )
        if not os.access(there, os.W_OK):
            raise SegToolkitError(
                "bad-place", f"You may not write in {there}.", "Choose another folder for the results."
            )


def _check_series(options: Namespace, images: list[Path]) -> None:
    """A mistyped UID must not lead to another series."""
    if not options.series:
        return
    from SegToolkitLib.volume import list_dicom_series

    there = {one.uid for path in images if path.is_dir() for one in list_dicom_series(path)}
    strange = [uid for uid in options.series if uid not in there]
    if strange:
        raise SegToolkitError(
            "no-series",
            f"No folder has the DICOM series {strange[0]}.",
            "List what there is: segtoolkit series FOLDER.",
        )
