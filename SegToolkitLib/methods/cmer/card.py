"""The card of a freshly trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from SegToolkitLib.anatomy import labels_of
from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.cmer.cases import object_name
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.methods.cmer.train import Kept
from SegToolkitLib.methods.cmer.validation import Figures, thresholds_of
from SegToolkitLib.models.card import ModelCard, Preprocessing
from SegToolkitLib.models.trained import licence_of, model_name, trained_on, training_of
from SegToolkitLib.training.method import Context

LIMITS = (
    "For research only; a person checks every result. The modalities must be registered. Maps come from tags"
    " of slices: they find the part that tells, not the extent, and their borders are soft."
)
BY_SLICE = " In each slice that is taken to show the object the map reaches 1, however weak the evidence."
OF_MASKS = (
    "For research only; a person checks every result. The modalities must be registered. Where the masks that"
    " it learnt from were made of slice tags, it has learnt their mistakes."
)


def make_card(
    context: Context, dataset: Dataset, figures: Figures | None, kept: Mapping[str, Kept], seeds: int = 1
) -> ModelCard:
    """Describe the model of a finished run; the weights are added when it is saved.

    Args:
        context: of the run.
        dataset: it was trained on.
        figures: of the weights that are kept; None where nothing was held out.
        kept: where they come from, by modality.
        seeds: whose networks are kept besides.
    """
    description = dataset.description
    settings: CmerSettings = context.settings
    data = context.run.settings().get("data") or {}
    train, held_out = data.get("train", []), data.get("held_out", [])
    name = object_name(dataset, settings.data)
    modalities = settings.data.modalities
    begun = Begun.of_run(data)
    thresholds, fused = thresholds_of(figures.sweeps if figures is not None else {})
    plan = settings.plan.model_copy(update={"thresholds": thresholds, "seeds": seeds})
    if fused is not None:
        plan = plan.model_copy(update={"fused_threshold": fused})
    cases = "training cases" if settings.selection.cases == "training" else "held-out cases"
    chosen = (
        f"Thresholds were chosen by the DSC of {cases}."
        if fused is not None
        else f"None of the {cases} has a mask, so thresholds are 0.5; look at the maps to choose others."
    )
    return ModelCard(
        name=model_name(context.name, "cmer"),
        title=f"{description.name}: maps of {name} in {', '.join(modalities)}",
        description=f"WSS-CMER on tags of the slices of {len(train)} cases."
        if settings.supervision == "tags"
        else f"Second stage of WSS-CMER, on masks of {len(train)} cases.",
        method="cmer",
        settings=plan.model_dump(mode="json"),
        labels=labels_of({name: 1}),
        preprocessing=Preprocessing(modality="CT" if description.modality == "CT" else "MR"),
        trained_on=begun.all_seen(trained_on(description, train)),
        licence=begun.joined(licence_of(description)),
        training=training_of(context.command, settings, data.get("sha256", {})),
        metrics=_metrics(figures, kept if settings.use_best else {}, len(train), len(held_out)),
        limits=f"{_limits(settings)} {chosen}",
    )


def _limits(settings: CmerSettings) -> str:
    if settings.supervision == "masks":
        return OF_MASKS
    return LIMITS + (BY_SLICE if settings.maps.scale == "slice" else "")


def _metrics(figures: Figures | None, kept: Mapping[str, Kept], train: int, held_out: int) -> dict[str, Any]:
    metrics: dict[str, Any] = {"cases": {"train": train, "held_out": held_out}}
    if figures is not None:
        metrics["validation"] = figures.named()
    if kept:
        metrics["kept"] = {name: {"step": one.step, "seed": one.seed} for name, one in kept.items()}
    return metrics
