"""``segtoolkit evaluate cmer``: a model's maps against masks, at all thresholds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.cli.options import add_device, add_model, ask_in_terminal
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.commands.maps import KINDS, add_cases, threshold
from SegToolkitLib.methods.cmer.commands.refinement import add_refine, settings_of
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.automatic.tested import OpenedModel
    from SegToolkitLib.dataset.dataset import Dataset


def add_scoring(parser: ArgumentParser) -> None:
    """How maps are scored."""
    parser.add_argument(
        "--kind", action="append", default=[], choices=KINDS, help="of map; repeatable (default: the model's)"
    )
    parser.add_argument(
        "--unit-spacing", action="store_true", help="distances in voxels, as released (default: mm)"
    )
    parser.add_argument(
        "--thresholds",
        nargs="+",
        type=threshold,
        metavar="T",
        help="to try (default: 0.2 0.3 0.4 0.5 0.6 0.7 0.8, as released)",
    )


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    add_cases(parser)
    parser.add_argument(
        "--cases",
        default="held-out",
        help="held-out (by the model's training), all, test, or ids such as 12,17 (default: held-out)",
    )
    add_scoring(parser)
    add_refine(parser)
    parser.add_argument("--no-gate", action="store_true", help="also where a network sees no object")
    parser.add_argument(
        "--choose",
        action="store_true",
        help="write the best thresholds of these cases into the model's card: take validation cases, and test"
        " on others",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write the tables")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.automatic.tested import cases_to_test, opened_model
    from SegToolkitLib.dataset.batch import raise_failures
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cmer.cases import ignore_value
    from SegToolkitLib.methods.cmer.evaluate import How, evaluate, told, write
    from SegToolkitLib.methods.cmer.scoring import THRESHOLDS
    from SegToolkitLib.methods.cmer.segment import load
    from SegToolkitLib.training.run_folder import provenance

    if options.dataset is None:
        raise SegToolkitError("no-dataset", "No data set is given.", "Give --dataset.")
    dataset = Dataset.open(options.dataset, options.data)
    model = opened_model(options.model, "cmer", options.accept_licence, ask_in_terminal())
    which = ",".join(dataset.ids) if options.cases == "all" else options.cases
    cases = cases_to_test(dataset, model, which, held_out, reporter=reporter)
    mapper = load(model.folder, model.card, choose_device(options.device), options.precision)
    unit = options.unit_spacing or not dataset.description.spacing_known
    if unit and not options.unit_spacing:
        reporter.warning("Nobody knows the spacing of this data set: distances are in voxels, not mm.")
    how = How(
        tuple(dict.fromkeys(options.kind)),
        False if options.no_gate else None,
        unit,
        options.resample,
        tuple(options.thresholds or THRESHOLDS),
        settings_of(options) if options.refine else None,
        ignore_value(dataset),
    )
    scores = evaluate(mapper, cases, values_of(dataset, model), how, reporter)
    if not scores.cases:
        raise_failures(scores.failures, len(cases), "evaluated")
    about = {
        "model": model.card.name,
        "dataset": dataset.description.name,
        "cases": [case.id for case in cases if case.id not in scores.failures],
        "unit_spacing": unit,
        "gate": mapper.plan.maps.gate and not options.no_gate,
        "made_with": provenance(),
    }
    write(options.out, scores, how, about)
    for line in told(scores, how.thresholds):
        reporter.info(line)
    if options.choose:
        from SegToolkitLib.methods.cmer.evaluate import chosen_thresholds
        from SegToolkitLib.models.card import write_card

        kind = mapper.plan.maps.kind
        own, fused = chosen_thresholds(
            scores, kind if kind in scores.cases else next(iter(scores.cases)), how.thresholds
        )
        plan = mapper.plan.model_copy(update={"thresholds": own, "fused_threshold": fused})
        write_card(model.folder, model.card.model_copy(update={"settings": plan.model_dump(mode="json")}))
        reporter.info(f"The model's thresholds are now {own | {'fused': fused}}.")
    raise_failures(scores.failures, len(cases), "evaluated")
    return {"folder": str(options.out)}


def held_out(dataset: Dataset, model: OpenedModel) -> list[str]:
    """What the model's training left out; of a data set that it never saw, all cases."""
    from SegToolkitLib.automatic.tested import trained_cases
    from SegToolkitLib.methods.cmer.cases import roles_of
    from SegToolkitLib.methods.cmer.settings import DataSettings

    if not trained_cases(dataset, model.card):
        return dataset.ids
    if model.fold is None:
        raise SegToolkitError(
            "no-cases", f"{model.card.name} left no fold of this data set out.", "Choose other --cases."
        )
    data = model.card.training.settings.get("data", {})
    settings = DataSettings(fold=model.fold, folds=data.get("folds"), cases=data.get("cases"))
    return list(roles_of(dataset, settings).held_out)


def values_of(dataset: Dataset, model: OpenedModel) -> tuple[int, ...]:
    """Labels of a data set that are the model's object: those of its training's settings, else all."""
    from SegToolkitLib.methods.cmer.cases import object_values

    structures = model.card.training.settings.get("data", {}).get("structures")
    return object_values(dataset, structures)


COMMAND = Command("score a model's maps against masks, at all thresholds", _add_arguments, _run)
