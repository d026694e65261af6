"""The card of a freshly trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.cssn.coarse import Coarse, model_plan
from SegToolkitLib.methods.cssn.prepare import CANONICAL
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.models.card import ModelCard, Preprocessing, TrainedOn
from SegToolkitLib.models.trained import described_labels, licence_of, model_name, trained_on, training_of
from SegToolkitLib.training.figures import metrics_of
from SegToolkitLib.training.method import Context

if TYPE_CHECKING:
    from SegToolkitLib.methods.cssn.train import CssnTask

LIMITS = (
    "For research only; a person checks every result. Whole volumes are brought to a fixed grid, so"
    " structures of a few of its voxels (adrenal glands, thin vessels) are often missed."
)


def make_card(context: Context, task: CssnTask, dataset: Dataset) -> ModelCard:
    """Describe the model of a finished run; the weights are added when it is saved.

    Args:
        context: of the run.
        task: with the weights that are kept, and the model whose coarse stage is part of it.
        dataset: it was trained on.
    """
    description = dataset.description
    settings: CssnSettings = context.settings.for_modality(description.modality)
    plan = model_plan(settings, task.coarse)
    stages = [name for name in ("coarse", "fine") if getattr(plan, name) is not None]
    data = context.run.settings().get("data") or {}
    labelled, unlabelled = data.get("labelled", []), data.get("unlabelled", [])
    kinds = "Cross-supervised" if settings.cross.enabled else "Supervised"
    return ModelCard(
        name=model_name(context.name, "cssn"),
        title=f"{description.name}: {len(task.organs)} structures in {description.modality}"
        f" ({' and '.join(stages)} stage{'s' * (len(stages) > 1)})",
        description=f"{kinds} on {len(labelled)} labelled and {len(unlabelled)} unlabelled volumes.",
        method="cssn",
        settings=plan.model_dump(mode="json"),
        labels=described_labels(description, task.organs),
        preprocessing=Preprocessing(
            modality=description.modality,
            orientation=CANONICAL,
            window=settings.intensity.window if settings.intensity.mode == "window" else None,
        ),
        trained_on=_trained_on(trained_on(description, [*labelled, *unlabelled]), task.coarse),
        licence=licence_of(description),
        training=training_of(context.command, settings, data.get("sha256", {})),
        metrics=metrics_of(context.run, settings.use_best, labelled=labelled, unlabelled=unlabelled),
        limits=LIMITS,
    )


def _trained_on(own: TrainedOn, coarse: Coarse | None) -> list[TrainedOn]:
    """What both stages saw; said once where that is the same."""
    return [own, *(one for one in (coarse.card.trained_on if coarse else []) if one != own)]
