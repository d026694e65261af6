"""``segtoolkit maps cmer``: maps and masks of a patient, or of the cases of a data set, as volumes."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.cli.options import add_device, add_model, ask_in_terminal
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.commands.refinement import add_refine, settings_of, tags_by_case
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.sharding import add_shard

if TYPE_CHECKING:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cmer.plan import ModelPlan
    from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
    from SegToolkitLib.methods.cmer.segment import MapResult
    from SegToolkitLib.methods.cmer.tags import Tag
    from SegToolkitLib.volume import Volume

KINDS = ("cam", "gradcam", "gradcam++")
FORMATS = (".nii.gz", ".nii", ".nrrd", ".mha")


def named_file(text: str) -> tuple[str, Path]:
    """ "flair=anna-flair.nii.gz"."""
    name, equals, path = text.partition("=")
    if not equals or not name.strip() or not path:
        raise ArgumentTypeError(f"{text!r} is not of the form MODALITY=FILE, such as T2=anna-t2.nii.gz")
    return name.strip(), Path(path)


def patient_name(text: str) -> str:
    """A name that files can begin with: "anna", "Jörg 2"."""
    name = text.strip()
    if not name or name.startswith(".") or set(name) & set('/\\:*?"<>|') or not name.isprintable():
        raise ArgumentTypeError(f"{text!r} cannot be the beginning of a file's name")
    return name


def images_of(given: list[tuple[str, Path]]) -> dict[str, Path]:
    """The files of --image by their names.

    Raises:
        SegToolkitError: "bad-choice": two have one name.
    """
    named = dict(given)
    if len({name.casefold() for name in named}) < len(given):
        twice = [name for name, _ in given]
        raise SegToolkitError(
            "bad-choice",
            f"Two images have one name: --image was given for {', '.join(twice)}.",
            "Give each image the name of its own modality.",
        )
    return named


def threshold(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no number") from error
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is not from 0 to 1")
    return value


def add_cases(parser: ArgumentParser) -> None:
    """--dataset, --data, --cases and --resample."""
    parser.add_argument("--dataset", metavar="DESCRIPTION", help="data set whose cases are taken")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its volumes, if not described")
    parser.add_argument(
        "--resample", action="store_true", help="bring modalities onto the voxels of the model's first one"
    )


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "-i",
        "--image",
        action="append",
        default=[],
        type=named_file,
        metavar="MODALITY=FILE",
        help="registered volumes of one patient, one for each modality of the model",
    )
    add_cases(parser)
    parser.add_argument(
        "--cases", default="all", help="of the data set: all, or ids such as 12,17 (default: all)"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument(
        "--name",
        default="case",
        type=patient_name,
        help="of the patient, for the files' names (default: case)",
    )
    parser.add_argument(
        "--kind", action="append", default=[], choices=KINDS, help="of map; repeatable (default: the model's)"
    )
    parser.add_argument("--no-gate", action="store_true", help="also where a network sees no object")
    parser.add_argument(
        "--threshold", type=threshold, help="of all masks, 0 to 1 (default: the model's own of each map)"
    )
    parser.add_argument("--no-masks", action="store_true", help="write maps alone")
    parser.add_argument(
        "--format", choices=FORMATS, default=".nii.gz", help="of the files (default: .nii.gz)"
    )
    parser.add_argument("--small", action="store_true", help="one slice at a time, for little memory")
    parser.add_argument(
        "--tags", type=Path, metavar="FILE", help="for --refine: slices without the object stay empty (CSV)"
    )
    add_refine(parser)
    add_shard(parser, "cases of the data set")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.automatic.tested import opened_model
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cmer.map_folder import keep_agreement, keep_thresholds
    from SegToolkitLib.methods.cmer.segment import load

    if bool(options.image) == (options.dataset is not None):
        raise SegToolkitError(
            "no-image",
            "Neither images nor a data set is given, or both.",
            "Give --image for each modality, or --dataset.",
        )
    if options.image and not options.shard.is_whole:
        raise SegToolkitError(
            "bad-choice",
            "--shard divides the cases of a data set, and one patient is given.",
            "Leave --shard out, or give --dataset.",
        )
    if options.tags is not None and not options.refine:
        reporter.warning("--tags changes nothing in maps.", "Add --refine, which turns them into masks.")
    model = opened_model(options.model, "cmer", options.accept_licence, ask_in_terminal())
    mapper = load(model.folder, model.card, choose_device(options.device), options.precision)
    refining = settings_of(options) if options.refine else None
    done: dict[str, object] = {}
    for name, images, tags in _patients(options, mapper.plan, reporter):
        files: list[str] = []
        for number, kind in enumerate(options.kind or [mapper.plan.maps.kind]):
            plan = mapper.plan.maps.model_copy(
                update={"kind": kind, "gate": mapper.plan.maps.gate and not options.no_gate}
            )
            result = mapper.maps(
                images,
                plan,
                resample=options.resample,
                small=options.small,
                progress=lambda step, total: reporter.progress("maps", step, total),
            )
            files += _write(options, name, kind, result)
            cuts = result.thresholds
            if options.threshold is not None:
                cuts = dict.fromkeys(cuts, options.threshold)
            keep_thresholds(options.out, name, kind, cuts)
            if number == 0:
                _tell(reporter, name, result)
                keep_agreement(options.out, name, result.modality_agreement, result.seed_agreement)
                if refining is not None:
                    files.append(_refined(options, name, images, result, refining, tags, reporter))
        done[name] = files
    reporter.info(f"The maps lie in {options.out}")
    return {"folder": str(options.out), "files": done}


def _patients(
    options: Namespace, plan: ModelPlan, reporter: Reporter
) -> Iterator[tuple[str, dict[str, Volume], list[Tag] | None]]:
    """Name, images and, where they are refined and there are some, tags."""
    from SegToolkitLib.dataset.channels import read_channels
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.volume import read_volume

    if options.image:
        images = {name: read_volume(path) for name, path in images_of(options.image).items()}
        tags = tags_by_case(options.tags, {options.name: images}) if options.refine else {}
        yield options.name, images, tags.get(options.name)
        return
    dataset = Dataset.open(options.dataset, options.data)
    ids = options.shard.of(chosen_ids(dataset, options.cases))
    if not ids:
        reporter.info(f"There are no cases for part {options.shard}.")
    for id in ids:
        case = dataset.case(id)
        images, _ = read_channels(case, plan.modalities, resample=options.resample)
        tags = tags_by_case(options.tags, {case.id: images}, dataset) if options.refine else {}
        yield case.id, images, tags.get(case.id)


def chosen_ids(dataset: Dataset, text: str) -> list[str]:
    """Of "all" or "12,17", each once; that all are there is known before the first of them is worked on.

    Raises:
        SegToolkitError: "no-cases", "no-case".
    """
    if text == "all":
        return dataset.ids
    given = [dataset.case(one.strip()).id for one in text.split(",") if one.strip()]
    if not given:
        raise SegToolkitError("no-cases", f"--cases {text!r} names no case.", 'Name some, or take "all".')
    return list(dict.fromkeys(given))


def _write(options: Namespace, name: str, kind: str, result: MapResult) -> list[str]:
    from SegToolkitLib.volume import write_volume

    files = []
    for map_name, volume in result.maps.items():
        path = map_file(options.out, name, map_name, kind, options.format)
        write_volume(volume, path)
        files.append(str(path))
        if not options.no_masks:
            path = options.out / f"{name}_{_plain(map_name)}_{_plain(kind)}_mask{options.format}"
            write_volume(result.mask(map_name, options.threshold), path)
            files.append(str(path))
    return files


def map_file(folder: Path, name: str, map_name: str, kind: str, ending: str) -> Path:
    """Where a map of a patient is written."""
    return folder / f"{name}_{_plain(map_name)}_{_plain(kind)}{ending}"


def _refined(
    options: Namespace,
    name: str,
    images: dict[str, Volume],
    result: MapResult,
    settings: RefineSettings,
    tags: list[Tag] | None,
    reporter: Reporter,
) -> str:
    from SegToolkitLib.methods.cmer.refine import refine
    from SegToolkitLib.volume import write_volume

    thresholds = result.thresholds if options.threshold is None else options.threshold
    found = refine(
        result.shown_images(images, options.resample),
        result.maps,
        settings,
        thresholds,
        tags=tags,
        progress=lambda step, total: reporter.progress("refining", step, total),
    )
    for note in found.notes:
        reporter.warning(f"{name}: {note}")
    path = options.out / f"{name}_refined{options.format}"
    write_volume(found.mask, path)
    return str(path)


def _plain(text: str) -> str:
    from SegToolkitLib.dataset.new_cases import case_id

    return case_id(text.replace("++", "pp"))


def _tell(reporter: Reporter, name: str, result: MapResult) -> None:
    for modality, present in result.present.items():
        seen = [str(k) for k, one in enumerate(present) if one]
        span = f"{seen[0]} to {seen[-1]}" if seen else "none"
        reporter.info(
            f"{name}, {modality}: the object is seen in {len(seen)} of {len(present)} slices ({span})"
        )
    for note in result.notes:
        reporter.warning(f"{name}: {note}")


COMMAND = Command("make maps and masks of registered volumes", _add_arguments, _run)
