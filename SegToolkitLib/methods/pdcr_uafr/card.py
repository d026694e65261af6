"""The card of a freshly trained model."""

from __future__ import annotations

from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.dataset.classes import class_names, class_values
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.models.card import Label, Modality, ModelCard, Preprocessing
from SegToolkitLib.models.trained import described_labels, licence_of, model_name, trained_on, training_of
from SegToolkitLib.training.figures import metrics_of
from SegToolkitLib.training.method import Context

LIMITS = (
    "For research only; a person checks every result. Images are segmented one by one, at the size of the"
    " network's input. Feature confidence says where the network's features are clear; it is neither"
    " calibrated nor tied to the error."
)


def make_card(context: Context, dataset: Dataset) -> ModelCard:
    """Describe the model of a finished run; the weights are added when it is saved.

    Args:
        context: of the run.
        dataset: it was trained on.
    """
    description = dataset.description
    settings: PdcrUafrSettings = context.settings
    data = context.run.settings().get("data") or {}
    begun = Begun.of_run(data)
    train, held_out = data.get("train", []), data.get("held_out", [])
    labels = labels_of(dataset, settings)
    modality: Modality = "picture" if description.pictures else description.modality
    what = "pictures" if modality == "picture" else f"slices of {modality}"
    return ModelCard(
        name=model_name(context.name, "pdcr-uafr"),
        title=f"{description.name}: {', '.join(label.name for label in labels)} in {what}",
        description=f"DeepLabV3+ with {told_parts(settings)}, trained on {len(train)} labelled cases.",
        method="pdcr_uafr",
        settings=settings.plan.model_dump(mode="json"),
        labels=labels,
        preprocessing=Preprocessing(modality=modality),
        trained_on=begun.all_seen(trained_on(description, train)),
        licence=begun.joined(licence_of(description)),
        training=training_of(context.command, settings, data.get("sha256", {})),
        metrics=metrics_of(context.run, settings.use_best, train=train, held_out=held_out),
        limits=LIMITS,
    )


def told_parts(settings: PdcrUafrSettings) -> str:
    """What of the method a training uses, for people."""
    parts = ["UAFR"] if settings.network.uafr.positions else []
    if settings.pdcr.enabled:
        parts.append("PDCR" if settings.pdcr.labels == "hierarchical" else "PDCR by receptive fields")
    return " and ".join(parts) or "cross-entropy alone"


def labels_of(dataset: Dataset, settings: PdcrUafrSettings) -> list[Label]:
    """The structures in the order of the classes."""
    values, names = class_values(dataset, settings.data), class_names(dataset, settings.data)
    return described_labels(dataset.description, {values[number]: name for number, name in names.items()})
