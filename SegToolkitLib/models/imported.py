"""What the cards of models that were made from the authors' checkpoints say alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from SegToolkitLib.anatomy import labels_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import Licence, ModelCard, parse
from SegToolkitLib.validation import read_json

HIGHEST_VALUE = 255


def stated_licence(name: str | None, otherwise: Licence) -> Licence:
    """The terms of imported weights: those that a person names, else what is known of the authors' own."""
    if not name:
        return otherwise
    return Licence(name=name, permissive=False, summary=f"The weights are under {name}.")


def imported_card(
    method: str,
    settings: BaseModel,
    *,
    name: str,
    title: str,
    labels: Mapping[str, int],
    preprocessing: Mapping[str, Any],
    licence: Licence,
    provenance: Mapping[str, Any],
    limits: str,
    description: str = "Imported from checkpoints of the authors' code.",
    source: str = "The card of the imported model",
) -> ModelCard:
    """The card of a model made from the authors' checkpoints; the weights are added when it is saved.

    Args:
        method: its package.
        settings: the method's plan of the model.
        name: of the model, as a folder may be called.
        title, description: for people.
        labels: name -> value of the structures, empty where the model is told them; channels are in the
            order of the values.
        preprocessing: fields of ``Preprocessing``.
        licence: of the weights.
        provenance: which files the weights come from.
        limits: of the model's use.
        source: what to call the card in a complaint.

    Raises:
        SegToolkitError: "bad-model-card"; "bad-labels": a structure has no name.
    """
    if not all(label.strip() for label in labels):
        raise SegToolkitError(
            "bad-labels", f"{source} has a structure without a name.", "Name what the model finds."
        )
    values = {
        "name": name,
        "title": title,
        "description": description,
        "method": method,
        "settings": settings.model_dump(mode="json"),
        "labels": [label.model_dump() for label in labels_of(labels)],
        "preprocessing": preprocessing,
        "licence": licence.model_dump(),
        "training": {"provenance": provenance},
        "limits": limits,
    }
    return parse(ModelCard, values, source)


def labels_of_file(labels: str, sets: str, example: str) -> dict[str, int]:
    """Name -> value, from a JSON file with an object of them.

    Args:
        labels: path of the file, as a person gave it.
        sets: what could be given in its place, for the complaint ("flare22, flare21").
        example: of such an object, for the complaint.

    Raises:
        SegToolkitError: "unknown-labels": no JSON file; "bad-labels"; or the file cannot be read.
    """
    path = Path(labels)
    if path.suffix.lower() != ".json":
        raise SegToolkitError(
            "unknown-labels",
            f"There is no set of labels {labels!r}.",
            f"Give {sets}, or a JSON file such as {example}.",
        )
    found = read_json(path)
    named = {
        name: value for name, value in found.items() if type(value) is int and 1 <= value <= HIGHEST_VALUE
    }
    if not named or len(named) < len(found) or len(set(named.values())) < len(named):
        raise SegToolkitError(
            "bad-labels",
            f"{path} must give each structure a whole number of its own from 1 to {HIGHEST_VALUE}.",
            f"Write an object such as {example}; the background has no entry.",
        )
    return named
