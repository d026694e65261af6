"""``segtoolkit evaluate cssn``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegToolkitLib.cli.options import add_device, ask_in_terminal, count
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.automatic.tested import OpenedModel
    from SegToolkitLib.dataset.batch import Failures
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.evaluation.score_files import Pair
    from SegToolkitLib.evaluation.scoring import Protocol


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--protocol",
        choices=["flare22", "flare21", "generic"],
        default="generic",
        help="generic: every structure in whole volumes; the others: the challenges' rules"
        " (default: generic)",
    )
    parser.add_argument(
        "--tolerance",
        action="append",
        default=[],
        metavar="[NAME=]MM",
        help="of the NSD, for all structures or one (generic; default: 2)",
    )
    parser.add_argument(
        "--merge", action="append", default=[], metavar="A=B", help="label A counts as B, as 13=2 for flare21"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write the tables")
    parser.add_argument("--workers", type=count, default=1, help="processes that score (default: 1)")
    files = parser.add_argument_group("label maps that are there")
    files.add_argument("--reference", type=Path, metavar="FOLDER", help="true label maps, named as the cases")
    files.add_argument(
        "--results",
        action="append",
        default=[],
        metavar="[FOLD=]FOLDER",
        help="label maps to score, named as the references; repeated for several folds",
    )
    files.add_argument("--count-missing", action="store_true", help="a missing result counts as an empty one")
    models = parser.add_argument_group("models, applied to cases that they have not seen")
    models.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[FOLD=]MODEL",
        help="model (by default of the fold that its training left out); repeated for several folds",
    )
    models.add_argument("--dataset", metavar="DESCRIPTION", help="data set; also names the labels of files")
    models.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its volumes, if elsewhere")
    models.add_argument(
        "--cases", default="held-out", help="held-out, test, or ids such as 12,17 (default: held-out)"
    )
    models.add_argument("--mode", choices=["full", "quick"], default="full")
    models.add_argument("--small", action="store_true", help="take less memory, and more time")
    models.add_argument(
        "--efficiency",
        action="store_true",
        help="one process a case, with time, GPU memory, load and main memory measured as in FLARE22",
    )
    models.add_argument("--accept-licence", action="store_true", help="accept the models' licences")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.batch import raise_failures
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.dataset.nnunet import IGNORE
    from SegToolkitLib.evaluation.score_files import score_files, write_scores
    from SegToolkitLib.training.run_folder import provenance

    if bool(options.model) == bool(options.results) or bool(options.results) != bool(options.reference):
        raise SegToolkitError(
            "nothing-to-evaluate",
            "There must be label maps to score or models to apply.",
            "Give --reference with --results, or --model with --dataset.",
        )
    dataset = Dataset.open(options.dataset, options.data) if options.dataset else None
    if options.model and dataset is None:
        raise SegToolkitError("no-dataset", "A model needs cases to be tested on.", "Give --dataset.")
    costs: dict[str, dict[str, float]] = {}
    failures: Failures = {}
    about: dict[str, Any] = {}
    labels: Mapping[str, int] = dataset.description.labels if dataset else {}
    if dataset and options.model:
        models = _models(options)
        about["models"] = [model.card.name for model in models]
        labels = labels or {label.name: label.value for label in models[0].card.labels}
        protocol = _protocol(options, labels)
        pairs = _predicted(dataset, models, options, costs, failures, reporter)
    else:
        pairs = _given(options, reporter)
        if not labels and options.protocol == "generic":
            labels = _values_of(pairs)
        protocol = _protocol(options, labels)
    if dataset and not dataset.description.spacing_known:
        protocol = replace(protocol, spacing_known=False)
    rows, unscored = score_files(pairs, protocol, reporter, options.workers)
    failures |= unscored
    count = len({pair.case for pair in pairs} | set(failures))
    if not rows:
        raise_failures(failures, count, "evaluated")
    if protocol.ignored is not None:
        about["ignored_label"] = protocol.ignored
        reporter.info(f"Voxels of label {protocol.ignored} ('{IGNORE}') of the references are left out.")
    about = {"dataset": dataset.description.name if dataset else "", **about, "made_with": provenance()}
    folds = {pair.case: pair.fold for pair in pairs if pair.fold is not None}
    fold_of = folds if len(folds) == len(pairs) else None
    results = write_scores(options.out, rows, protocol, fold_of, costs, about, reporter)
    raise_failures(failures, count, "evaluated")
    return {
        "folder": str(options.out),
        "dice_percent": results["dice_percent"],
        "nsd_percent": results["nsd_percent"],
    }


def _protocol(options: Namespace, labels: Mapping[str, int]) -> Protocol:
    """The rules that the options mean; what the data set ignores is left out under all of them, unless
    --merge makes something of it."""
    from SegToolkitLib.evaluation.protocol_options import protocol_of
    from SegToolkitLib.evaluation.scoring import ignored_value

    protocol = protocol_of(options.protocol, labels, options.tolerance, options.merge)
    _refuse_other_labels(protocol, labels)
    ignored = ignored_value(labels)
    return replace(protocol, ignored=None if ignored in protocol.merged else ignored)


def _given(options: Namespace, reporter: Reporter) -> list[Pair]:
    """Pairs of files, the folds one after the other."""
    from SegToolkitLib.evaluation.score_files import label_files, paired

    references = label_files(options.reference)
    folders = _numbered(options.results, "results")
    if options.count_missing and len(folders) > 1:
        raise SegToolkitError(
            "several-folds",
            "Of several folds it is open to which one a missing result belongs.",
            "Leave out --count-missing, or score each fold by itself.",
        )
    pairs: list[Pair] = []
    for fold, folder in folders:
        missing = options.count_missing and len(folders) == 1
        found = label_files(Path(folder))
        # Of several folds each has results of some references only.
        wanted = references if len(folders) == 1 else {id: references[id] for id in found if id in references}
        pairs += paired(wanted or references, found, reporter, fold, missing)
    _refuse_doubled([pair.case for pair in pairs])
    left = sorted(set(references) - {pair.case for pair in pairs})
    if left and len(folders) > 1:
        reporter.warning(f"{len(left)} cases have a result in no fold: {', '.join(left[:5])}.")
    return pairs


def _models(options: Namespace) -> list[OpenedModel]:
    from SegToolkitLib.automatic.tested import opened_model

    models = []
    for fold, name in _numbered(options.model, "models"):
        model = opened_model(name, "cssn", options.accept_licence, ask_in_terminal())
        models.append(model if fold is None else replace(model, fold=fold))
    return models


def _predicted(
    dataset: Dataset,
    models: list[OpenedModel],
    options: Namespace,
    costs: dict[str, dict[str, float]],
    failures: Failures,
    reporter: Reporter,
) -> list[Pair]:
    """Pairs of labels and fresh results; ``costs`` and ``failures`` are filled."""
    from SegToolkitLib.automatic.tested import How, cases_to_test, check_labels, segment_cases
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cssn import automatic
    from SegToolkitLib.methods.cssn.evaluate import held_out

    chosen = [
        (model, cases_to_test(dataset, model, options.cases, held_out, reporter=reporter)) for model in models
    ]
    for model in models:
        check_labels(dataset, model.card)
    _refuse_doubled([case.id for _, cases in chosen for case in cases])
    how = How(
        choose_device(options.device), options.precision, options.mode, options.small, options.efficiency
    )
    pairs: list[Pair] = []
    for model, cases in chosen:
        made, spent, failed = segment_cases(
            automatic, model, cases, options.out / "predictions", how, reporter
        )
        pairs += made
        costs |= spent
        failures |= failed
    return pairs


def _numbered(given: list[str], what: str) -> list[tuple[int | None, str]]:
    """ "0=folder" as (0, "folder"); a bare one has no fold."""
    found: list[tuple[int | None, str]] = []
    for text in given:
        number, equals, name = text.partition("=")
        found.append((int(number), name) if equals and number.isdecimal() else (None, text))
    folds = [fold for fold, _ in found]
    if len(found) > 1 and what == "results" and (None in folds or len(set(folds)) < len(folds)):
        raise SegToolkitError(
            "bad-folds", f"Several {what} need a fold each.", f"Write --{what} 0=FOLDER --{what} 1=FOLDER ..."
        )
    return found


def _refuse_other_labels(protocol: Protocol, labels: Mapping[str, int]) -> None:
    """A left kidney must not be scored as the spleen because both are number 3."""
    from SegToolkitLib.anatomy import structure_of

    theirs = {organ.value: organ.name for organ in protocol.organs}
    for name, value in labels.items():
        wanted = theirs.get(protocol.merged.get(value, value), "")
        known, own = structure_of(wanted), structure_of(name)
        # "kidney" of FLARE21 is either side.
        if known and own and (own[0] != known[0] or known[1] not in ("", own[1])):
            raise SegToolkitError(
                "other-labels",
                f"Label {value} is the {name}; under {protocol.name} it is the {wanted}.",
                "Take --protocol generic, or say with --merge A=B which of the protocol's labels yours are.",
            )


def _refuse_doubled(cases: list[str]) -> None:
    doubled = next((case for case in cases if cases.count(case) > 1), None)
    if doubled is not None:
        raise SegToolkitError(
            "same-case", f"Case {doubled} would be scored twice.", "Give each case to one fold alone."
        )


def _values_of(pairs: list[Pair]) -> Mapping[str, int]:
    """Names for the values in the references, where no data set names them."""
    import numpy as np

    from SegToolkitLib.volume import read_volume

    values: set[int] = set()
    for pair in pairs:
        values |= {int(one) for one in np.unique(read_volume(pair.reference, label=True).voxels)}
    return {f"label {value}": value for value in sorted(values) if value > 0}


COMMAND = Command("score segmentations by the FLARE rules or for any anatomy", _add_arguments, _run)
