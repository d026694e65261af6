"""A window's requests about data sets: check one, make one from the scene or add to it; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from SegToolkitLib.dataset.checks import check
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.dataset.new_cases import NewCase, Structure, case_id
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated


class _Request(Settings):
    id: str | int | None = None
    do: str | None = None


class _Check(_Request):
    path: str = Field(min_length=1)


class _Item(Settings):
    image: str = Field(min_length=1)
    mask: str | None = None
    structures: dict[Annotated[int, Field(ge=1)], Structure] = Field(default_factory=dict)
    case: str = Field(min_length=1)
    patient: str | None = None


class _Add(_Request):
    folder: str = Field(min_length=1)
    name: str | None = None
    modality: Literal["MR", "CT"] | None = None
    items: list[_Item] = Field(min_length=1)
    append: bool = False


def dataset_check(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``dataset_check``: what a data set holds and what is wrong with it.

    ``folds`` is their number, 0 where there are too few cases (or splits.json is wrong, which is a problem).
    """
    dataset = Dataset.open(validated(_Check, values, "The request").path)
    description, cases = dataset.description, dataset.cases
    problems = check(dataset, lambda done, total: reporter.progress("checking", done, total))
    labelled = sum(case.label is not None for case in cases)
    return {
        "name": description.name,
        "modality": "picture" if description.pictures else description.modality,
        "images": len(cases),
        "labelled": labelled,
        "unlabelled": len(cases) - labelled,
        "labels": dict(description.labels),
        "folds": _folds(dataset),
        "problems": [
            {"case": one.case, "code": one.code, "text": one.message, "severity": one.severity}
            for one in problems
        ],
    }


def dataset_add(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``dataset_add``: write volumes and label maps into a data set, all of them or none.

    ``cases`` are the names the cases got: letters that a file's name cannot have are replaced.
    """
    request = validated(_Add, values, "The request")
    folder = Path(request.folder)
    description = None
    if not request.append:
        if request.modality is None:
            raise SegToolkitError(
                "no-modality", "A new data set needs a modality.", "Say whether the images are CT or MR."
            )
        description = DatasetDescription(
            name=request.name or folder.name, modality=request.modality, labels={"background": 0}
        )
    elif request.modality is not None:
        # Of this description nothing but the modality is looked at: it must be the data set's.
        description = DatasetDescription(
            name=folder.name or "data", modality=request.modality, labels={"background": 0}
        )
    cases = [
        NewCase(
            case_id(item.case),
            Path(item.image),
            Path(item.mask) if item.mask else None,
            item.structures if item.mask else {},
            item.patient or None,
        )
        for item in request.items
    ]
    written = add_cases(
        folder,
        description,
        cases,
        mode="append" if request.append else "create",
        progress=lambda done, total: reporter.progress("writing", done, total),
    )
    return {"folder": str(folder), "cases": written}


def _folds(dataset: Dataset) -> int:
    try:
        return dataset.fold_count
    except SegToolkitError:
        return 0


VERBS: dict[str, Callable[[Mapping[str, Any], Reporter], dict[str, object]]] = {
    "dataset_check": dataset_check,
    "dataset_add": dataset_add,
}
