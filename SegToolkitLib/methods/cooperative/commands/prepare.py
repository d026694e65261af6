"""``segtoolkit prepare cooperative``: folders of frames as a data set, and cases as the networks see them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.sharding import add_shard

if TYPE_CHECKING:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cooperative.settings import CooperativeSettings

MOST_TOLD = 20


def _values(text: str) -> dict[int, int]:
    """ "1=3,3=1"."""
    try:
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        found = {int(value): int(into) for value, _, into in pairs}
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not of the form 1=3,3=1") from error
    if any(not 0 <= value <= 255 for pair in found.items() for value in pair):
        raise ArgumentTypeError(f"{text!r}: labels are 0 to 255")
    return found


def _add_arguments(parser: ArgumentParser) -> None:
    raw = parser.add_argument_group("describe folders of patients as a data set, where they lie")
    raw.add_argument("--raw", type=Path, metavar="FOLDER", help="folder of the patients")
    raw.add_argument("--out", type=Path, metavar="FOLDER", help="data set to make from --raw")
    raw.add_argument(
        "--layout",
        choices=["released", "acdc"],
        default="released",
        help="released: 007/ED_img.nii.gz and ED_seg.nii.gz (also M&Ms so arranged); acdc: the challenge's"
        " patient007/patient007_frame01.nii.gz and _gt (default: released)",
    )
    raw.add_argument("--image-pattern", metavar="PATH", help="another layout: {patient}/{frame}_img.nrrd")
    raw.add_argument("--label-pattern", metavar="PATH", help="of the labels: {patient}/{frame}_seg.nrrd")
    raw.add_argument("--frames", nargs="+", metavar="FRAME", help="only these, such as ED ES")
    raw.add_argument(
        "--labels",
        metavar="SET",
        help="native (ACDC: 1 right ventricle, 2 myocardium, 3 left ventricle), released (1 left, 3 right;"
        " M&Ms too), or a JSON file with the value of each name (default: as the layout)",
    )
    cases = parser.add_argument_group("prepare the cases of a data set")
    cases.add_argument("--dataset", metavar="DESCRIPTION", help="data set; without --write, fills the cache")
    cases.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its volumes, if not described")
    cases.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="write normalised, resampled volumes for the authors' code, in folders of patients",
    )
    cases.add_argument(
        "--relabel",
        type=_values,
        default={},
        metavar="A=B,...",
        help="label values to change in --write: 1=3,3=1 turns ACDC's own into the released ones",
    )
    cases.add_argument("--preset", metavar="NAME", help="settings of the training that is to follow")
    cases.add_argument("--config", type=Path, metavar="FILE", help="JSON or YAML file with other settings")
    cases.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one of them: input.n4=true"
    )
    cases.add_argument("--cache", type=Path, metavar="FOLDER", help="where prepared slices are kept")
    add_shard(parser, "cases")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    if (options.raw is None) != (options.out is None) or (options.raw is None and options.dataset is None):
        raise SegToolkitError(
            "nothing-to-prepare",
            "Neither --raw with --out nor --dataset is given.",
            "Name the raw folder and the data set to make, or a data set to prepare for a training.",
        )
    done: dict[str, object] = {}
    if options.raw is not None:
        done = _describe(options, reporter)
        if options.dataset is None and options.write is None and not options.preset:
            return done
        options.dataset = options.dataset or str(options.out)
    from SegToolkitLib.dataset.dataset import Dataset

    dataset, settings = Dataset.open(options.dataset, options.data), _settings(options)
    if options.write is not None:
        return done | _write(dataset, settings, options, reporter)
    return done | _fill(dataset, settings, options, reporter)


def _describe(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.frames import (
        LABEL_SETS,
        LAYOUTS,
        Layout,
        describe_frames,
        read_frames,
        spacings,
    )
    from SegToolkitLib.methods.cooperative.released import EXAMPLE
    from SegToolkitLib.models.imported import labels_of_file

    known = LAYOUTS[options.layout]
    if (options.image_pattern is None) != (options.label_pattern is None):
        raise SegToolkitError(
            "bad-pattern",
            "A layout of your own needs two patterns.",
            "Give --image-pattern and --label-pattern.",
        )
    layout = Layout(options.image_pattern or known.image, options.label_pattern or known.label)
    wanted = options.labels or ("native" if options.layout == "acdc" else "released")
    labels = LABEL_SETS.get(wanted) or labels_of_file(wanted, ", ".join(LABEL_SETS), EXAMPLE)
    found = read_frames(
        options.raw, layout, options.frames, lambda done, total: reporter.progress("looking", done, total)
    )
    dataset = describe_frames(options.raw, found, options.out, labels, options.out.resolve().name)
    for id, why in list(found.left_out.items())[:MOST_TOLD]:
        reporter.warning(f"Case {id} is left out: {why}.")
    if len(found.left_out) > MOST_TOLD:
        reporter.warning(f"{len(found.left_out) - MOST_TOLD} more cases are left out.")
    reporter.info(
        f"{options.out} describes {len(found.labelled)} labelled and {len(found.unlabelled)} unlabelled"
        f" frames of {len(set(found.patients.values()))} patients, of {spacings(found)} mm."
    )
    reporter.info(f"Labels: {', '.join(f'{value} {name}' for name, value in labels.items())}.")
    return {"dataset": str(dataset.folder), "cases": len(dataset.cases), "left_out": found.left_out}


def _settings(options: Namespace) -> CooperativeSettings:
    from SegToolkitLib.methods.cooperative.presets import PRESETS
    from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
    from SegToolkitLib.settings import load
    from SegToolkitLib.training.command import preset_of

    base = preset_of({name: one.settings for name, one in PRESETS.items()}, options.preset or "published")
    assert isinstance(base, CooperativeSettings)
    return load(CooperativeSettings, base, options.config, options.set)


def _write(
    dataset: Dataset, settings: CooperativeSettings, options: Namespace, reporter: Reporter
) -> dict[str, object]:
    from SegToolkitLib.dataset.batch import raise_failures
    from SegToolkitLib.methods.cooperative.layout import write_prepared

    cases = options.shard.of(dataset.cases)
    written, failures = write_prepared(
        dataset, options.write, settings.input, options.relabel, reporter, cases
    )
    reporter.info(f"{options.write} has {len(written)} prepared volumes.")
    raise_failures(failures, len(cases), "prepared")
    return {"written": [str(path) for path in written]}


def _fill(
    dataset: Dataset, settings: CooperativeSettings, options: Namespace, reporter: Reporter
) -> dict[str, object]:
    from SegToolkitLib.dataset.case_reader import check_cache
    from SegToolkitLib.methods.cooperative.scans import Reader, cache_folder
    from SegToolkitLib.methods.cooperative.splits import roles_of

    roles = roles_of(dataset, settings.data)
    cache = options.cache or cache_folder()
    check_cache(cache)
    reader = Reader(dataset, settings.data, settings.input, cache, reporter)
    scans = reader.read(options.shard.of((*roles.train, *roles.held_out)), "cases")
    reader.check_some(len(scans))
    reporter.info(f"{len(scans)} cases are prepared; {len(reader.failures)} could not be read.")
    return {"prepared": len(scans), "failures": reader.failures, "cache": str(cache)}


COMMAND = Command("describe folders of frames, and bring cases to the networks' pixels", _add_arguments, _run)
