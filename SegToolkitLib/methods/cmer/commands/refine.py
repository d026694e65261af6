"""``segtoolkit refine cmer``: maps that were written before as masks; and ``--refine`` of other commands."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.commands.maps import (
    FORMATS,
    KINDS,
    add_cases,
    chosen_ids,
    images_of,
    map_file,
    named_file,
    patient_name,
    threshold,
)
from SegToolkitLib.methods.cmer.commands.refinement import add_settings, settings_of, tags_by_case
from SegToolkitLib.methods.cmer.plan import DEFAULT_THRESHOLD, FUSED
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.volume import Volume


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--maps", type=Path, required=True, metavar="FOLDER", help="that 'segtoolkit maps cmer' has written"
    )
    parser.add_argument(
        "-i",
        "--image",
        action="append",
        default=[],
        type=named_file,
        metavar="MODALITY=FILE",
        help="registered volumes of one patient, in which edges are looked for",
    )
    parser.add_argument(
        "--name",
        default="case",
        type=patient_name,
        help="of that patient, in the maps' files (default: case)",
    )
    add_cases(parser)
    parser.add_argument(
        "--cases", default="all", help="of the data set: all, or ids such as 12,17 (default: all)"
    )
    parser.add_argument("--kind", choices=KINDS, default="cam", help="of map (default: cam)")
    parser.add_argument(
        "--threshold", type=threshold, help="of all maps (default: the model's, beside the maps)"
    )
    parser.add_argument(
        "--tags", type=Path, metavar="FILE", help="slices that do not show the object stay empty (CSV)"
    )
    add_settings(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument(
        "--format", choices=FORMATS, default=".nii.gz", help="of the files (default: .nii.gz)"
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cmer.refine import refine
    from SegToolkitLib.volume import read_volume, write_volume

    if bool(options.image) == (options.dataset is not None):
        raise SegToolkitError(
            "no-image",
            "Neither images nor a data set is given, or both.",
            "Give --image for each modality, or --dataset.",
        )
    settings = settings_of(options)
    done: dict[str, dict[str, object]] = {}
    for id, images, tags in _patients(options):
        files = _maps_of(options, id, images)
        maps = {name: read_volume(file) for name, file in files.items()}
        found = refine(
            images,
            maps,
            settings,
            _thresholds(options, id, maps, reporter),
            tags=tags,
            progress=lambda step, total: reporter.progress("refining", step, total),
        )
        path = options.out / f"{id}_refined{options.format}"
        write_volume(found.mask, path)
        before, after = int(found.before.sum()), int(found.after.sum())
        reporter.info(f"{id}: {before} voxels above the threshold, {after} in the mask")
        for note in found.notes:
            reporter.warning(f"{id}: {note}")
        done[id] = {"file": str(path), "before": before, "after": after}
    reporter.info(f"The masks lie in {options.out}")
    return {"folder": str(options.out), "masks": done}


def _thresholds(
    options: Namespace, id: str, maps: Mapping[str, Volume], reporter: Reporter
) -> float | dict[str, float] | None:
    """Where the maps are cut: as said, else where the model would."""
    from SegToolkitLib.methods.cmer.map_folder import THRESHOLDS_FILE, kept_thresholds

    if options.threshold is not None:
        return float(options.threshold)
    kept = kept_thresholds(options.maps, id, options.kind)
    if kept is None:
        reporter.warning(
            f"{id}: {options.maps} has no {THRESHOLDS_FILE} that names the model's thresholds, so maps are"
            f" cut at {DEFAULT_THRESHOLD}.",
            "Make the maps anew, or give --threshold.",
        )
        return None
    return {name: value for name, value in kept.items() if name in {*maps, FUSED}}


def _patients(options: Namespace) -> Iterator[tuple[str, dict[str, Volume], list[bool | None] | None]]:
    from SegToolkitLib.dataset.channels import on_one_grid, read_channels
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.volume import read_volume

    if options.image:
        read = {name: read_volume(path) for name, path in images_of(options.image).items()}
        images = on_one_grid(read, "this patient", resample=options.resample)
        yield options.name, images, tags_by_case(options.tags, {options.name: images}).get(options.name)
        return
    dataset = Dataset.open(options.dataset, options.data)
    for id in chosen_ids(dataset, options.cases):
        images, _ = read_channels(dataset.case(id), resample=options.resample)
        yield id, images, tags_by_case(options.tags, {id: images}, dataset).get(id)


def _maps_of(options: Namespace, id: str, images: Mapping[str, Volume]) -> dict[str, Path]:
    """The files of the maps of a patient, by the images' names; of a second stage, of its one map."""
    found: dict[str, Path] = {}
    for name in (*images, FUSED):
        files = [map_file(options.maps, id, name, options.kind, ending) for ending in FORMATS]
        there = [file for file in files if file.is_file()]
        if there:
            found[name] = there[0]
    if not found:
        expected = map_file(options.maps, id, next(iter(images)), options.kind, FORMATS[0])
        raise SegToolkitError(
            "no-map",
            f"{options.maps} holds no map of {id}; {expected.name}, for instance, is not there.",
            "Make the maps first (segtoolkit maps cmer), and name --kind and --name as there.",
        )
    return found


COMMAND = Command("turn maps into masks: consensus, edges, components", _add_arguments, _run)
