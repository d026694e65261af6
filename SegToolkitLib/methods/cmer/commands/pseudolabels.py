"""``segtoolkit export-pseudolabels cmer``: maps as a data set for a supervised training."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import add_device, add_model, ask_in_terminal
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.commands.maps import add_cases, chosen_ids, threshold
from SegToolkitLib.methods.cmer.commands.refinement import add_refine, settings_of
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    add_cases(parser)
    parser.add_argument(
        "--cases",
        default="all",
        help="all, or the ids of those whose maps a person has accepted, such as 12,17 (default: all)",
    )
    parser.add_argument(
        "--tags", type=Path, metavar="FILE", help="slices that do not show the object get no label (CSV)"
    )
    parser.add_argument("--map", default="fused", metavar="NAME", help="a modality, or fused (default)")
    parser.add_argument("--low", type=threshold, default=0.3, help="at and below: background (default: 0.3)")
    parser.add_argument("--high", type=threshold, default=0.6, help="above: the object (default: 0.6)")
    parser.add_argument(
        "--between",
        choices=["ignore", "background"],
        default="ignore",
        help="what lies between: nnU-Net's label 'ignore' (our other methods take it for background), or"
        " background (default: ignore)",
    )
    add_refine(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="data set to make")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.automatic.tested import opened_model
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cmer.cases import given_tags
    from SegToolkitLib.methods.cmer.pseudolabels import Cut, export
    from SegToolkitLib.methods.cmer.segment import load

    if options.dataset is None:
        raise SegToolkitError("no-dataset", "No data set is given.", "Give --dataset.")
    if options.low > options.high:
        raise SegToolkitError(
            "bad-choice", f"--low {options.low:g} is above --high {options.high:g}.", "Exchange them."
        )
    dataset = Dataset.open(options.dataset, options.data)
    model = opened_model(options.model, "cmer", options.accept_licence, ask_in_terminal())
    mapper = load(model.folder, model.card, choose_device(options.device), options.precision)
    known = {name.casefold(): name for name in mapper.plan.map_names}
    name = known.get(options.map.casefold())
    if name is None:
        raise SegToolkitError(
            "no-map",
            f"{model.card.name} makes no map {options.map!r}.",
            f"It makes {', '.join(known.values())}.",
        )
    tags = given_tags(dataset, mapper.plan.modalities[0], options.tags)
    voxels = export(
        mapper,
        dataset,
        [dataset.case(id) for id in chosen_ids(dataset, options.cases)],
        tags,
        Cut(name, options.low, options.high, options.between),
        model.card.labels[0].name if model.card.labels else "object",
        options.out,
        reporter,
        resample=options.resample,
        refining=settings_of(options) if options.refine else None,
    )
    empty = [id for id, count in voxels.items() if not count]
    if empty:
        reporter.warning(
            f"Nothing is labelled in {len(empty)} cases: {', '.join(empty[:10])}.", "Look at them."
        )
    reporter.info(f"{options.out} has labels of {len(voxels)} cases. A person should look at them first.")
    return {"folder": str(options.out), "voxels": voxels}


COMMAND = Command("write maps as labels for a supervised training", _add_arguments, _run)
