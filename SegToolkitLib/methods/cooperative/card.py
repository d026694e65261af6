"""The card of a freshly trained model."""

from __future__ import annotations

from collections.abc import Mapping

from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.dataset.classes import class_values
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.typicality import Typicality
from SegToolkitLib.models.card import Label, ModelCard, Preprocessing
from SegToolkitLib.models.trained import described_labels, licence_of, model_name, trained_on, training_of
from SegToolkitLib.training.figures import metrics_of
from SegToolkitLib.training.method import Context

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
        training=training_of(context.command, settings, data.get("sha256", {})),
        metrics=metrics_of(context.run, settings.use_best, train=train, held_out=held_out),
        limits=f"{LIMITS} {typicality.text()}",
    )


def labels_of(dataset: Dataset, settings: CooperativeSettings, names: Mapping[int, str]) -> list[Label]:
    """The structures in the order of the classes; of several labels in a class, the least value is kept."""
    values = class_values(dataset, settings.data)
    return described_labels(dataset.description, {values[number]: name for number, name in names.items()})
