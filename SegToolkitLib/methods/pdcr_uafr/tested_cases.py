"""What a model is tested on: which cases, and what their labels are to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from SegToolkitLib.automatic.tested import OpenedModel, trained_cases
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.labelled import roles_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.settings import DataSettings
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.validation import validated


def held_out(dataset: Dataset, model: OpenedModel) -> Sequence[str]:
    """Ids of the cases that a model's training held out; of a data set that it never saw, all with a label.

    Raises:
        SegToolkitError: "no-fold": it trained on all, or does not say; or what the folds raise.
    """
    card = model.card
    if not trained_cases(dataset, card):
        return [case.id for case in dataset.cases if case.label is not None]
    settings = data_settings(card)
    held = roles_of(dataset, settings, card.training.seed or 0).held_out if settings is not None else ()
    if not held:
        raise SegToolkitError(
            "no-fold",
            f"{card.name} has held no case of {dataset.description.name} out.",
            "Give --cases test, or ids of cases.",
        )
    return held


def data_settings(card: ModelCard) -> DataSettings | None:
    """Which cases a model was trained on, and how labels became classes; None for an imported one."""
    data = card.training.settings.get("data")
    return validated(DataSettings, data, f"The card of {card.name}") if isinstance(data, Mapping) else None


def classes_for(dataset: Dataset, card: ModelCard) -> dict[int, int]:
    """Label value of a data set -> class of a model, by the names of the structures.

    Of a single structure in both, the names need not agree: "lesion" is "skin lesion".

    Raises:
        SegToolkitError: "labels-differ": the data set has no label of the name of a class.
    """
    settings = data_settings(card)
    if settings is not None and settings.classes is not None and trained_cases(dataset, card):
        return dict(settings.classes)
    known = {name: value for name, value in dataset.description.labels.items() if value}
    if len(known) == len(card.labels) == 1:
        return dict.fromkeys(known.values(), 1)
    by_name = {name.casefold(): value for name, value in known.items()}
    found: dict[int, int] = {}
    for number, label in enumerate(card.labels, start=1):
        # Labels that share a class share its name ("left lung + right lung").
        for name in label.name.split(" + "):
            if name.casefold() not in by_name:
                raise SegToolkitError(
                    "labels-differ",
                    f"{card.name} finds {name}, and {dataset.description.name} has no label of that name:"
                    f" {', '.join(known)}.",
                    "Test the model on a data set with its structures, or rename that data set's labels.",
                )
            found[by_name[name.casefold()]] = number
    return found
