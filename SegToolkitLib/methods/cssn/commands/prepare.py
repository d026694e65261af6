"""``segtoolkit prepare cssn``: the authors' folders as a data set, and cases at a network's size."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.sharding import add_shard

MOST_TOLD = 20


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--raw", type=Path, metavar="FOLDER", help="train_images, train_mask, trainu_images, as of FLARE"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="data set to make from --raw")
    parser.add_argument(
        "--labels",
        default="flare22",
        metavar="SET",
        help="flare22, flare21, or a JSON file with the value of each name (default: flare22)",
    )
    parser.add_argument(
        "--dataset", metavar="DESCRIPTION", help="bring the cases of this data set to a network's size"
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its volumes, if not described")
    parser.add_argument("--preset", metavar="NAME", help="settings of the training that is to follow")
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON or YAML file with other settings")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    parser.add_argument("--coarse", type=Path, metavar="FOLDER", help="coarse model of that training")
    parser.add_argument("--selection", type=Path, metavar="TABLE", help="unlabelled images of that training")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where prepared volumes are kept")
    parser.add_argument("--device", default="auto", help="of the coarse model (default: auto)")
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
        if options.dataset is None and not options.preset:
            return done
        options.dataset = options.dataset or str(options.out)
    return done | _fill(options, reporter)


def _describe(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.flare import LABEL_SETS, describe_flare, read_flare
    from SegToolkitLib.validation import read_json

    labels = LABEL_SETS.get(options.labels) or read_json(Path(options.labels))
    found = read_flare(options.raw, lambda done, total: reporter.progress("looking", done, total))
    dataset = describe_flare(options.raw, found, options.out, labels, options.out.resolve().name)
    _tell(found.left_out, reporter)
    reporter.info(
        f"{options.out} describes {len(found.labelled)} labelled and {len(found.unlabelled)} unlabelled"
        " cases."
    )
    return {"dataset": str(dataset.folder), "cases": len(dataset.cases), "left_out": found.left_out}


def _fill(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.case_reader import check_cache
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cssn.cases import organs_of, roles_of
    from SegToolkitLib.methods.cssn.coarse import Coarse
    from SegToolkitLib.methods.cssn.reading import Reader, cache_folder
    from SegToolkitLib.methods.cssn.reliability import read_selection
    from SegToolkitLib.methods.cssn.settings import CssnSettings
    from SegToolkitLib.methods.cssn.training import METHOD
    from SegToolkitLib.settings import load
    from SegToolkitLib.training.command import preset_of

    known = {name: preset.settings for name, preset in METHOD.presets.items()}
    base = preset_of(known, options.preset or "published")
    assert isinstance(base, CssnSettings)
    settings = load(CssnSettings, base, options.config, options.set)
    dataset = Dataset.open(options.dataset, options.data)
    settings = settings.for_modality(dataset.description.modality)
    organs = organs_of(dataset)
    selected = read_selection(options.selection) if options.selection else None
    roles = roles_of(dataset, settings.data, settings.seed, selected)
    coarse = None
    if options.coarse and settings.stage == "fine":
        coarse = Coarse.load(options.coarse, organs, settings.inference)
    cache = options.cache or cache_folder()
    check_cache(cache)
    reader = Reader(dataset, settings, organs, coarse, cache, choose_device(options.device), reporter)
    reader.read(options.shard.of((*roles.labelled, *roles.held_out)), True, "labelled cases")
    if settings.cross.enabled:
        reader.read(options.shard.of(roles.unlabelled), False, "unlabelled cases")
    ready = sum(not key.startswith("label of ") for key in reader.checksums)
    reader.check_some(ready)
    reporter.info(f"{ready} cases are prepared; {len(reader.failures)} could not be read.")
    return {"prepared": ready, "failures": reader.failures, "cache": str(cache)}


def _tell(left_out: dict[str, str], reporter: Reporter) -> None:
    for id, why in list(left_out.items())[:MOST_TOLD]:
        reporter.warning(f"Case {id} is left out: {why}.")
    if len(left_out) > MOST_TOLD:
        reporter.warning(f"{len(left_out) - MOST_TOLD} more cases are left out; the report lists all.")


COMMAND = Command("describe a data set, and bring its cases to a network's size", _add_arguments, _run)
