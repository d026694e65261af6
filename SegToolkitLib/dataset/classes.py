"""What the labels of a data set are to a network: structures, and the classes that it tells apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.new_cases import label_key
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.errors import SegToolkitError

# Class maps are uint8, and 0 is the background.
MOST_CLASSES = 255


class Grouping(Protocol):
    """Settings that may say which labels are which classes."""

    @property
    def classes(self) -> Mapping[int, int] | None:
        """Label value -> class, from 1 on; None gives each label a class of its own."""


def structures_of(dataset: Dataset) -> dict[int, str]:
    """Value -> name of the labels that are structures, in the order of their values.

    Neither the background nor nnU-Net's "ignore" is one.

    Raises:
        SegToolkitError: "no-labels".
    """
    labels = dataset.description.labels
    found = {value: name for name, value in labels.items() if value != 0 and name.casefold() != IGNORE}
    if not found:
        raise SegToolkitError(
            "no-labels",
            f"{dataset.description.name} describes no structures.",
            "Name their values under 'labels' in its dataset.json.",
        )
    return dict(sorted(found.items()))


def not_looked_for(dataset: Dataset, id: str, values: Collection[int] | None = None) -> list[str]:
    """Names of the structures that nobody looked for in a case: there, background means nothing for them.

    Args:
        dataset: of the case.
        id: of the case.
        values: of the labels that matter; None takes all.
    """
    skipped = {label_key(name) for name in dataset.not_annotated.get(id, ())}
    return [
        name
        for name, value in dataset.description.labels.items()
        if label_key(name) in skipped and (values is None or value in values)
    ]


def classes_of(dataset: Dataset, settings: Grouping) -> dict[int, int]:
    """Label value -> class: as the settings say, else the data set's labels in the order of their values.

    Raises:
        SegToolkitError: "no-labels", "unknown-label", "too-many-labels".
    """
    known = structures_of(dataset)
    if settings.classes is None:
        classes = {value: number for number, value in enumerate(known, start=1)}
    else:
        strange = sorted(set(settings.classes) - set(known))
        if strange:
            raise SegToolkitError(
                "unknown-label",
                f"{dataset.description.name} has no label {strange[0]} that could be a class.",
                f"Its labels are {dataset.description.labels}; mend data.classes.",
            )
        classes = dict(settings.classes)
    if len(set(classes.values())) > MOST_CLASSES:
        raise SegToolkitError(
            "too-many-labels",
            f"{dataset.description.name} has {len(classes)} structures; {MOST_CLASSES} are the most.",
            "Leave out some of them.",
        )
    return classes


def class_names(dataset: Dataset, settings: Grouping) -> dict[int, str]:
    """Class -> name; labels that share a class share its name ("left lung + right lung").

    Raises:
        SegToolkitError: as :func:`classes_of`.
    """
    by_value = {value: name for name, value in dataset.description.labels.items()}
    names: dict[int, list[str]] = {}
    for value, number in sorted(classes_of(dataset, settings).items()):
        names.setdefault(number, []).append(by_value[value])
    return {number: " + ".join(joined) for number, joined in sorted(names.items())}


def class_values(dataset: Dataset, settings: Grouping) -> dict[int, int]:
    """Class -> the label value that results hold; of several labels in a class, the least.

    Raises:
        SegToolkitError: as :func:`classes_of`.
    """
    values: dict[int, int] = {}
    for value, number in sorted(classes_of(dataset, settings).items()):
        values.setdefault(number, value)
    return dict(sorted(values.items()))


def as_classes(label: NDArray[np.generic], classes: Mapping[int, int]) -> NDArray[np.uint8]:
    """A label map of any shape with classes in place of its values; values without a class become 0.

    Args:
        label: values.
        classes: label value -> class, 0 to 255.
    """
    found = np.zeros(label.shape, np.uint8)
    for value, number in classes.items():
        found[label == value] = number
    return found
