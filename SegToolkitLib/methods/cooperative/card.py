"""The card of a freshly trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.cooperative.scans import classes_of
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.typicality import Typicality
from SegToolkitLib.models.card import Label, ModelCard, Preprocessing, Training
from SegToolkitLib.models.trained import described_labels, licence_of, model_name, trained_on
from SegToolkitLib.training.figures import kept_validation
from SegToolkitLib.training.method import Context
from SegToolkitLib.training.run_folder import provenance

LIMITS = (
    "For research only; a person checks every result. Slices are segmented one by one, and only what lies"
    " within the crop around their centre is found. Shapes are corrected towards those of the training"
    " labels, which may hide unusual anatomy."
)


def make_card(
    context: Context, dataset: Dataset, names: Mapping[int, str], typicality: Typicality
) -> ModelCard:
    """Describe the model of a finished run; the weights are added when it is saved.

    Args:
        context: of the run.
        dataset: it was trained on.
        names: class -> name.
        typicality: of the weights that are kept.
    """
    description = dataset.description
    settings: CooperativeSettings = context.settings
    data = context.run.settings().get("data") or {}
    begun = Begun.of_run(data)
    train, held_out = data.get("train", []), data.get("held_out", [])
    spacing = settings.input.spacing_mm
    kind = "Cooperative training" if settings.step.mode == "cooperative" else "Standard training"
    return ModelCard(
        name=model_name(context.name, "cooperative"),
        title=f"{description.name}: {len(names)} structures in slices of {description.modality}",
        description=f"{kind} on {len(train)} labelled volumes.",
        method="cooperative",
        settings=settings.plan.model_copy(update={"typicality": typicality}).model_dump(mode="json"),
        labels=labels_of(dataset, settings, names),
        preprocessing=Preprocessing(
            modality=description.modality,
            clip_top=settings.input.percentiles[1],
            spacing=(spacing, spacing, None),
        ),
        trained_on=begun.all_seen(trained_on(description, train)),
        licence=begun.joined(licence_of(description)),
        training=Training(
            command=context.command,
            seed=settings.seed,
            steps=settings.total_steps,
            provenance={**provenance(), "data_sha256": data.get("sha256", {})},
            settings=settings.model_dump(mode="json"),
        ),
        metrics=_metrics(context, settings, len(train), len(held_out)),
        limits=f"{LIMITS} {typicality.text()}",
    )


def labels_of(dataset: Dataset, settings: CooperativeSettings, names: Mapping[int, str]) -> list[Label]:
    """The structures in the order of the classes; of several labels in a class, the least value is kept."""
    values: dict[int, int] = {}
    for value, number in sorted(classes_of(dataset, settings.data).items()):
        values.setdefault(number, value)
    return described_labels(dataset.description, {values[number]: name for number, name in names.items()})


def _metrics(context: Context, settings: CooperativeSettings, train: int, held_out: int) -> dict[str, Any]:
    metrics: dict[str, Any] = {"cases": {"train": train, "held_out": held_out}}
    if validation := kept_validation(context.run, settings.use_best):
        metrics["validation"] = validation
    return metrics
