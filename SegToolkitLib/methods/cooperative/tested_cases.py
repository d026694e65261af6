"""What a model is tested on: which cases, and what their labels are to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from SegToolkitLib.anatomy import structure_of
from SegToolkitLib.automatic.tested import OpenedModel, trained_cases
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.data_settings import DataSettings
from SegToolkitLib.methods.cooperative.splits import TEST, cases_of, roles_of
from SegToolkitLib.methods.cooperative.typicality import Typicality
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.validation import validated


def held_out(dataset: Dataset, model: OpenedModel) -> Sequence[str]:
    """Ids of the cases that a model's training held out; of a data set that it never saw, all with a label.

    Raises:
        SegToolkitError: "no-fold": it trained on all, or does not say; or what the splits raise.
    """
    if not trained_cases(dataset, model.card):
        return [case.id for case in dataset.cases if case.label is not None]
    settings = data_settings(model.card)
    held = roles_of(dataset, settings).held_out if settings is not None else ()
    if not held:
        raise SegToolkitError(
            "no-fold",
            f"{model.card.name} has held no case of {dataset.description.name} out.",
            "Give --cases test, or ids of cases.",
        )
    return held


def test_cases(dataset: Dataset, model: OpenedModel) -> Sequence[Case]:
    """What is set aside for tests: the published patients for a model of the published lists, else the data
    set's own."""
    settings = data_settings(model.card)
    if settings is not None and settings.split == "acdc":
        return [dataset.case(id) for id in cases_of(dataset, TEST)]
    return dataset.test_cases


def data_settings(card: ModelCard) -> DataSettings | None:
    """Which cases a model was trained on, and how labels became classes; None for an imported one."""
    data = card.training.settings.get("data")
    return validated(DataSettings, data, f"The card of {card.name}") if isinstance(data, Mapping) else None


def classes_for(dataset: Dataset, card: ModelCard) -> dict[int, int]:
    """Label value of a data set -> class of a model, by the names of the structures.

    Raises:
        SegToolkitError: "labels-differ": the data set has no label of the name of a class.
    """
    settings = data_settings(card)
    if settings is not None and settings.classes is not None and trained_cases(dataset, card):
        return dict(settings.classes)
    found: dict[int, int] = {}
    for number, label in enumerate(card.labels, start=1):
        # Labels that share a class share its name ("left lung + right lung").
        for name in label.name.split(" + "):
            value = _value_of(name, dataset.description.labels)
            if value is None:
                raise SegToolkitError(
                    "labels-differ",
                    f"{card.name} finds {name}, and {dataset.description.name} has no label of that name:"
                    f" {', '.join(one for one, value in dataset.description.labels.items() if value)}.",
                    "Test the model on a data set with its structures, or rename that data set's labels.",
                )
            found[value] = number
    return found


def calibration_note(
    dataset: Dataset,
    model: OpenedModel,
    typicality: Typicality | None,
    run: str,
    cases: Collection[str],
) -> str:
    """A sentence where slices are judged by a threshold that was taken from themselves; "" where not.

    Args:
        dataset: of the cases.
        model: that is tested.
        typicality: of its plan.
        run: what tables call it.
        cases: ids that it is tested on.
    """
    if typicality is None or typicality.source != "held-out" or not trained_cases(dataset, model.card):
        return ""
    settings = data_settings(model.card)
    if settings is None or not set(roles_of(dataset, settings).held_out) & set(cases):
        return ""
    return (
        f"{run}: its threshold is the {typicality.percentile:g}th percentile of slices of these very cases,"
        f" which its training held out, so about {100 - typicality.percentile:g} % of the clean ones are told"
        " so by construction. Cases of other data sets show how it does on slices that it does not know."
    )


def _value_of(name: str, labels: Mapping[str, int]) -> int | None:
    same = {one: value for one, value in labels.items() if value and one.casefold() == name.casefold()}
    if not same and structure_of(name) is not None:
        same = {
            one: value for one, value in labels.items() if value and structure_of(one) == structure_of(name)
        }
    return next(iter(same.values()), None)
