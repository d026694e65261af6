"""``segtoolkit crossval cmer``: a training for each fold, and all cases scored by what left them out."""

from __future__ import annotations

import copy
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.cli.options import count
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.commands import train
from SegToolkitLib.methods.cmer.commands.evaluate import add_scoring
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training import command

if TYPE_CHECKING:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cmer.evaluate import How, Scores


def _add_arguments(parser: ArgumentParser) -> None:
    train.add_arguments(parser)
    parser.add_argument(
        "--folds", type=count, default=3, help="number of folds, where no splits.json is there (default: 3)"
    )
    add_scoring(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.dataset.splits import read_splits
    from SegToolkitLib.methods.cmer.evaluate import How, Scores, by_fold, told, write
    from SegToolkitLib.methods.cmer.scoring import THRESHOLDS
    from SegToolkitLib.methods.cmer.training import METHOD

    if options.dataset is None:
        raise SegToolkitError("no-dataset", "No data set is given.", "Give --dataset.")
    train.take_over(options, reporter)
    dataset = Dataset.open(options.dataset, options.data)
    splits = read_splits(dataset)
    count_ = options.folds if splits is None else len(splits)
    thresholds = tuple(options.thresholds or THRESHOLDS)
    how = How(tuple(dict.fromkeys(options.kind)), unit=options.unit_spacing, thresholds=thresholds)
    scores = Scores()
    folds: dict[str, int] = {}
    for fold in range(count_):
        own = copy.copy(options)
        own.run = options.run / f"fold{fold}"
        model = own.run / "result" / "model"
        if not (model / "model.json").is_file():
            own.resume, own.start_or_resume = False, True
            changes = [*train.shorthands(options, str(fold)), f"data.folds={count_}"]
            done = command.run(METHOD, own, reporter, changes, train.places_of(options))
            if not done["finished"]:
                return {"run": str(options.run), "finished": False}
        reporter.info(f"Fold {fold} of {count_} is trained.")
        folds |= dict.fromkeys(_score(dataset, model, how, scores, options, reporter), fold)
    if not scores.cases:
        raise SegToolkitError(
            "no-cases",
            "No held-out case has a mask, so nothing can be scored; the models are trained.",
            "Look at their maps (segtoolkit maps cmer).",
        )
    out, table = options.run / "scores", by_fold(scores, folds, thresholds)
    about = {"dataset": dataset.description.name, "fold_of_case": folds, "at_own_threshold": table}
    write(out, scores, how, about)
    for line in told(scores, thresholds):
        reporter.info(line)
    for name, entry in table.items():
        each = ", ".join(f"{mean:.4f}" for mean, _ in entry["folds"].values())
        mean, deviation = entry["cases"]
        reporter.info(f"{name}: DSC {mean:.4f} ± {deviation:.4f} over all cases; by fold {each}")
    return {"run": str(options.run), "scores": str(out), "finished": True}


def _score(
    dataset: Dataset, folder: Path, how: How, scores: Scores, options: Namespace, reporter: Reporter
) -> list[str]:
    """Score the cases that a model left out; returns those that could be."""
    from SegToolkitLib.dataset.classes import not_looked_for
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cmer.cases import ignore_value, object_values, roles_of
    from SegToolkitLib.methods.cmer.evaluate import evaluate
    from SegToolkitLib.methods.cmer.segment import load
    from SegToolkitLib.methods.cmer.settings import CmerSettings
    from SegToolkitLib.models.card import parse, read_card

    card = read_card(folder)
    data = parse(CmerSettings, card.training.settings, f"'training' of {card.name}").data
    cases = [dataset.case(id) for id in roles_of(dataset, data).held_out]
    values = object_values(dataset, data.structures)
    masked = [case for case in cases if case.label is not None]
    cases = [case for case in masked if not not_looked_for(dataset, case.id, values)]
    if len(cases) < len(masked):
        reporter.warning(
            f"{len(masked) - len(cases)} held-out case(s) are not scored, because nobody looked for all of"
            " the object in them."
        )
    mapper = load(folder, card, choose_device(options.device))
    own = replace(how, resample=data.resample, ignore=ignore_value(dataset))
    evaluate(mapper, cases, values, own, reporter, scores)
    return [case.id for case in cases if case.id not in scores.failures]


COMMAND = Command("train and score one model a fold", _add_arguments, _run)
