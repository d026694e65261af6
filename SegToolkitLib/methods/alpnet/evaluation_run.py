"""Evaluate the models of one or more folds and write the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from SegToolkitLib.automatic.tested import trained_cases
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlay import overlay_picture
from SegToolkitLib.evaluation.tables import write_csv, write_results
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.checkpoints import network_from_model
from SegToolkitLib.methods.alpnet.data import Normalisation
from SegToolkitLib.methods.alpnet.evaluate import ProtocolSettings, ScanResult, evaluate_fold, summary
from SegToolkitLib.methods.alpnet.loss import Pooling
from SegToolkitLib.methods.alpnet.network import ALPNet, build_network
from SegToolkitLib.methods.alpnet.predictor import Predictor
from SegToolkitLib.methods.alpnet.settings import NetworkSettings
from SegToolkitLib.models.licence import ensure_accepted
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.training.run_folder import provenance
from SegToolkitLib.volume import Volume, read_volume, write_volume


@dataclass(frozen=True)
class EvaluationOptions:
    """What to test and how; see ``segtoolkit evaluate alpnet --help``."""

    models: tuple[str, ...]
    device: torch.device
    untrained: bool = False
    folds: tuple[int, ...] = ()
    organs: str | None = None
    protocol: ProtocolSettings = field(default_factory=ProtocolSettings)
    window: int | None = None
    precision: str = "auto"
    batch: int = 8
    pictures: int = 1
    predictions: bool = False
    accept_licence: bool = False


def evaluate_folds(
    dataset: Dataset, options: EvaluationOptions, out: Path, reporter: Reporter
) -> dict[str, object]:
    """Evaluate, write ``scans.csv``, ``results.json`` and pictures, and say the table.

    A model that was trained on a scan it is tested on is refused.

    Raises:
        SegToolkitError: no model, a fold that does not exist, or a model that has seen a test scan.
    """
    if options.protocol.margin < 0 or (options.window is not None and options.window < 1):
        raise SegToolkitError(
            "bad-protocol",
            "The margin cannot be negative and the window not below 1.",
            "Leave them to the defaults.",
        )
    organs = choose_organs(dataset, options.organs)
    rows: list[ScanResult] = []
    for fold, name in _plan(dataset, options):
        split = dataset.split(fold)
        network, settings, normalisation = _load(dataset, name, split.validation, split.train, options)
        window = options.window or settings.test_window
        predictor = Predictor(
            network,
            Pooling((window, window), settings.threshold),
            options.device,
            options.precision,
            options.batch,
        )
        keeper = _Keeper(out, fold, dataset, options)
        rows += evaluate_fold(
            dataset,
            split,
            fold,
            predictor,
            normalisation,
            organs,
            options.protocol,
            progress=lambda done, total, fold=fold: reporter.progress(f"fold {fold}", done, total),  # type: ignore[misc]
            keep=keeper,
        )
    if not rows:
        raise SegToolkitError(
            "no-result", "No query scan holds a tested organ.", "Choose other folds or organs."
        )
    table = summary(rows)
    write_csv(out / "scans.csv", rows)
    results: dict[str, Any] = {
        "dataset": dataset.description.name,
        "models": list(options.models) or ["untrained"],
        "folds": sorted({row.fold for row in rows}),
        "organs": organs,
        "protocol": asdict(options.protocol),
        "dice_percent": table,
        "scans": [asdict(row) for row in rows],
        "made_with": provenance(),
    }
    write_results(out / "results.json", results)
    for measure, values in table.items():
        reporter.info(f"{measure:20} " + "  ".join(f"{k} {v:.2f}" for k, v in values.items()))
    return {"folder": str(out), "dice_percent": table}


def choose_organs(dataset: Dataset, text: str | None) -> list[str]:
    """Structures named by a list, by a test group of the data set, or all of them."""
    labels = dataset.description.labels
    if text is None:
        return [name for name, value in labels.items() if value != 0]
    if text in dataset.description.test_groups:
        wanted = dataset.description.test_groups[text]
        return [name for name, value in labels.items() if value in wanted]
    names = [part.strip() for part in text.split(",")]
    unknown = [name for name in names if name not in labels]
    if unknown:
        raise SegToolkitError(
            "unknown-structure",
            f"{dataset.description.name} has no structure {unknown[0]!r}.",
            f"It has {', '.join(labels)} and the test groups {list(dataset.description.test_groups)}.",
        )
    return names


def _plan(dataset: Dataset, options: EvaluationOptions) -> list[tuple[int, str | None]]:
    """(fold, model) pairs to evaluate."""
    if options.untrained:
        every = range(dataset.fold_count)
        return [(fold, None) for fold in options.folds or every]
    if not options.models:
        raise SegToolkitError(
            "no-model", "No model is given.", "Give --model FOLDER, 0=FOLDER for each fold, or --untrained."
        )
    plan: list[tuple[int, str | None]] = []
    for text in options.models:
        number, equals, name = text.partition("=")
        if equals and number.isdecimal():
            plan.append((int(number), name))
        else:
            plan += [(fold, text) for fold in options.folds or (0,)]
    chosen = [(fold, name) for fold, name in plan if not options.folds or fold in options.folds]
    folds = [fold for fold, _ in chosen]
    missing = sorted(set(options.folds) - set(folds))
    doubled = next((fold for fold in folds if folds.count(fold) > 1), None)
    if missing or doubled is not None:
        which = (
            f"No model is given for fold {missing[0]}." if missing else f"Fold {doubled} has several models."
        )
        raise SegToolkitError("bad-folds", which, "Give one model for each fold (--model FOLD=MODEL).")
    return chosen


def _load(
    dataset: Dataset,
    name: str | None,
    validation: Sequence[str],
    train: Sequence[str],
    options: EvaluationOptions,
) -> tuple[ALPNet, NetworkSettings, Normalisation]:
    """The network, its settings and the normalisation of the fold."""
    modality = dataset.description.modality
    if modality == "MR":
        normalisation = Normalisation("MR")
    else:
        normalisation = Normalisation.fit(
            modality, [read_volume(dataset.case(id).image).voxels for id in train]
        )
    if name is None:
        fresh = NetworkSettings(encoder="compact")
        network = build_network("compact", compact_widths=fresh.compact_widths, generator_seed=1234)
        return network, fresh, normalisation
    network, card = network_from_model(ModelStore().find(name).folder)
    ensure_accepted(card, accept=options.accept_licence)
    seen = trained_cases(dataset, card)
    patients = {dataset.patients.get(id, id) for id in seen}
    known = [id for id in validation if id in seen or dataset.patients[id] in patients]
    if known:
        same = sorted(set(known) & seen)
        what = f"case {same[0]}" if same else f"another scan of the patient of case {min(known)}"
        raise SegToolkitError(
            "trained-on-test",
            f"The model {card.name} was trained on {what}, which is tested here.",
            "Evaluate each model on the fold that it left out (FOLD=MODEL).",
        )
    return network, NetworkSettings.model_validate(card.settings), normalisation


@dataclass
class _Keeper:
    """Writes pictures of the first scans of a fold, and the predictions where they are asked for."""

    out: Path
    fold: int
    dataset: Dataset
    options: EvaluationOptions
    count: int = 0

    def __call__(self, id: str, image: Volume, predicted: Volume, truth: Volume) -> None:
        if self.options.predictions:
            write_volume(predicted, self.out / "predictions" / f"fold{self.fold}_scan_{id}.nii.gz")
        if self.count < self.options.pictures:
            names = {value: name for name, value in self.dataset.description.labels.items() if value}
            overlay_picture(
                image,
                predicted,
                self.out / f"fold{self.fold}_scan_{id}.png",
                truth=truth,
                names=names,
                title=f"{self.dataset.description.name}, scan {id}, fold {self.fold}",
                caption="Slices outside the organ's true range are not scored by the authors' protocol.",
            )
        self.count += 1
