"""Class maps: which slices of which scan hold which structure.

Format: ``{class name: {scan id: [slice indices, ascending]}}``, the background included
(as the authors' loaders read it). The authors' MR notebook tests the sum of all label values on a slice;
here the voxels of the class itself are counted, which is the same for a minimum of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json

ClassMap = dict[str, dict[str, list[int]]]


def slices_of_classes(
    label: NDArray[Any], names: Mapping[str, int], minimum: int = 1
) -> dict[str, list[int]]:
    """Return, for each class name, the slices of ``label`` [z, row, column] with ``minimum`` voxels of it."""
    return {
        name: np.flatnonzero(np.count_nonzero(label == value, axis=(1, 2)) >= minimum).tolist()
        for name, value in names.items()
    }


def class_map(labels: Mapping[str, NDArray[Any]], names: Mapping[str, int], minimum: int = 1) -> ClassMap:
    """Build the class map of several scans.

    Args:
        labels: label volume [z, row, column] by scan id.
        names: label value by class name, the background included.
        minimum: least number of voxels that make a slice count.

    Raises:
        SegToolkitError: a minimum below one (every slice would hold every class).
    """
    _check_minimum(minimum)
    per_scan = {id: slices_of_classes(label, names, minimum) for id, label in labels.items()}
    return {name: {str(id): slices[name] for id, slices in per_scan.items()} for name in names}


def write_class_map(dataset: Dataset, minimum: int = 1, folder: Path | None = None) -> Path:
    """Write ``classmap_<minimum>.json`` of the labelled cases and return its path.

    Args:
        dataset: cases without a label are left out.
        minimum: least number of voxels that make a slice count.
        folder: where to write; by default the data set's folder.

    Raises:
        SegToolkitError: no case has a label, a label cannot be read, or the file cannot be written.
    """
    _check_minimum(minimum)
    names = dataset.description.labels
    result: ClassMap = {name: {} for name in names}
    labelled = [case for case in dataset.cases if case.label is not None]
    if not labelled:
        raise SegToolkitError(
            "no-label",
            f"No case of {dataset.description.name} has a label, so there are no classes to map.",
            "Class maps are needed for setting 2 and for evaluation only.",
        )
    for case in labelled:  # one at a time: all the labels at once may not fit into memory
        _, label = dataset.read(case)  # checks that the label lies on its image's grid
        assert label is not None
        slices = slices_of_classes(label.voxels, names, minimum)
        for name in names:
            result[name][case.id] = slices[name]
    target = (folder or dataset.folder) / f"classmap_{minimum}.json"
    write_json(target, result)
    return target


def read_class_map(path: Path) -> ClassMap:
    """Read a class map, ours or the authors'.

    Raises:
        SegToolkitError: the file cannot be read or does not have the form of a class map.
    """
    values = read_json(path)
    try:
        return {
            name: {id: sorted(int(one) for one in slices) for id, slices in scans.items()}
            for name, scans in values.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise SegToolkitError(
            "class-map",
            f"{path} is no class map: {error}.",
            'It should hold {"class name": {"scan id": [slice, ...]}}; make it anew from the labels.',
        ) from error


def _check_minimum(minimum: int) -> None:
    if minimum < 1:
        raise SegToolkitError("minimum", f"A minimum of {minimum} voxels was asked for.", "One is the least.")
