"""What the cards of all methods say alike of a training and its data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from SegToolkitLib.anatomy import label_of
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.models.card import Label, Licence, TrainedOn, Training
from SegToolkitLib.training.run_folder import provenance
from SegToolkitLib.training.settings import TrainingSettings

NOT_STATED = "not stated"
LONGEST_NAME = 64


def model_name(name: str, otherwise: str) -> str:
    """A name that can be a folder's: lower case, and nothing that a file system minds.

    Args:
        name: as a person gave it.
        otherwise: taken where nothing of it is left.
    """
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:LONGEST_NAME].strip("-._") or otherwise


def licence_of(description: DatasetDescription) -> Licence:
    """The terms of a model: those of the data it was trained on."""
    licence = description.licence
    if licence is None:
        return Licence(
            name=NOT_STATED, permissive=False, summary="The terms of the training data are not stated."
        )
    return Licence(
        name=licence.name,
        permissive=licence.permissive,
        summary=licence.text or "",
        url=licence.url or "",
    )


def trained_on(description: DatasetDescription, cases: Sequence[str]) -> TrainedOn:
    """The data set and those of its cases that a run has seen."""
    return TrainedOn(
        dataset=description.name,
        cases=list(cases),
        count=len(cases),
        licence=description.licence.name if description.licence else NOT_STATED,
        citation=description.citation or "",
    )


def training_of(command: str, settings: TrainingSettings, checksums: Mapping[str, str]) -> Training:
    """How a model was made, so that it can be made again.

    Args:
        command: that started the run.
        settings: of the run.
        checksums: SHA-256 of the files that it has read.
    """
    return Training(
        command=command,
        seed=settings.seed,
        steps=settings.total_steps,
        provenance={**provenance(), "data_sha256": checksums},
        settings=settings.model_dump(mode="json"),
    )


def described_labels(description: DatasetDescription, structures: Mapping[int, str]) -> list[Label]:
    """Structures with colours and terminology: the data set's own, else those of the name.

    Args:
        description: of the data set.
        structures: value -> name, in the order that the card keeps.
    """
    labels = []
    for value, name in structures.items():
        label, facts = label_of(value, name), description.structures.get(name)
        if facts is not None:
            colour, terminology = facts.colour or label.colour, facts.terminology or label.terminology
            label = label.model_copy(update={"colour": colour, "terminology": terminology})
        labels.append(label)
    return labels
