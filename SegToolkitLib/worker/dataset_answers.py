"""A window's requests about data sets: check one, make one from the scene or add to it; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from SegToolkitLib.dataset.checks import Problem, check
from SegToolkitLib.dataset.dataset import Dataset, case_key
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.dataset.new_cases import NewCase, Structure, case_id, without_channel
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.slice_tags import TAGS_FILE, tagged_cases
from SegToolkitLib.dataset.unfinished import unfinished_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated

# How many names of cases a person is shown.
SHOWN = 5
Name = Annotated[str, Field(min_length=1, max_length=64)]
File = Annotated[str, Field(min_length=1)]


class _Request(Settings):
    id: str | int | None = None
    do: str | None = None


class _Check(_Request):
    path: str = Field(min_length=1)


class _Item(Settings):
    """A case: its one image, or its images by the names of their modalities; mask and tags as there are.

    Attributes:
        tags: slice -> whether the object is visible in it.
    """

    image: str | None = Field(default=None, min_length=1)
    images: dict[Name, File] = Field(default_factory=dict, max_length=16)
    mask: str | None = None
    structures: dict[Annotated[int, Field(ge=1)], Structure] = Field(default_factory=dict)
    case: str = Field(min_length=1)
    patient: str | None = None
    tags: dict[Annotated[int, Field(ge=0)], bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_images(self) -> _Item:
        if (self.image is None) == (not self.images):
            raise ValueError(f"the case {self.case!r} needs 'image' or 'images', and not both")
        return self


class _Add(_Request):
    folder: str = Field(min_length=1)
    name: str | None = None
    modality: Literal["MR", "CT"] | None = None
    items: list[_Item] = Field(min_length=1)
    append: bool = False
    resample: bool = False


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
        "channels": list(description.channels),
        "tagged": _tagged(dataset, problems),
        "folds": _folds(dataset),
        "problems": [
            {"case": one.case, "code": one.code, "text": one.message, "severity": one.severity}
            for one in problems
        ],
    }


def dataset_add(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``dataset_add``: write volumes and label maps into a data set, all of them or none.

    ``cases`` are the names the cases got: letters that a file's name cannot have are replaced, and the name
    of a channel at an end is left out where no other case has what is left ("anna_FLAIR" becomes "anna").
    """
    request = validated(_Add, values, "The request")
    folder = Path(request.folder)
    names = _channels(request.items)
    description = None
    if not request.append:
        if request.modality is None:
            raise SegToolkitError(
                "no-modality", "A new data set needs a modality.", "Say whether the images are CT or MR."
            )
        description = DatasetDescription(
            name=request.name or folder.name,
            modality=request.modality,
            labels={"background": 0},
            **({"image_pattern": "image_{id}_{channel}.nii.gz"} if names else {}),
            channels={name: name for name in names},
        )
    elif request.modality is not None:
        # Of this description nothing but the modality is looked at: it must be the data set's.
        description = DatasetDescription(
            name=folder.name or "data", modality=request.modality, labels={"background": 0}
        )
    cases = [
        NewCase(
            id,
            Path(item.image or item.images[names[0]]),
            Path(item.mask) if item.mask else None,
            item.structures if item.mask else {},
            item.patient or None,
            {name: Path(item.images[name]) for name in names},
            item.tags,
        )
        for id, item in zip(_ids(request, names), request.items, strict=True)
    ]
    written = add_cases(
        folder,
        description,
        cases,
        mode="append" if request.append else "create",
        resample=request.resample,
        progress=lambda done, total: reporter.progress("writing", done, total),
    )
    return {"folder": str(folder), "cases": written}


def _ids(request: _Add, channels: Sequence[str]) -> list[str]:
    """Ids of the new cases, in their order."""
    given = [case_id(item.case) for item in request.items]
    taken = set(given)
    if request.append and channels:
        with suppress(SegToolkitError):  # add_cases says what is wrong with the data set
            taken.update(Dataset.open(request.folder).ids)
    ids = []
    for id in given:
        ids.append(without_channel(id, channels, taken))
        taken.add(ids[-1])
    return ids


def _channels(items: Sequence[_Item]) -> list[str]:
    """The names of the images of every case, in the order of the first; none where each has one image.

    Raises:
        SegToolkitError: "several-channels".
    """
    names = list(items[0].images)
    for item in items:
        if set(item.images) != set(names):
            told = [", ".join(one) or "one image" for one in (item.images, names)]
            raise SegToolkitError(
                "several-channels",
                f"Case {item.case} has {told[0]}, and case {items[0].case} has {told[1]}.",
                "Give each case the same images, by the same names.",
            )
    return names


def _tagged(dataset: Dataset, problems: list[Problem]) -> int:
    """Cases that the data set's own tags name; what is wrong with these is a problem."""
    try:
        named = tagged_cases(dataset.folder)
    except SegToolkitError as error:
        problems.append(Problem("", error.code, error.message, "error"))
        return 0
    known = {case.id for case in dataset.cases}
    coming = unfinished_cases(dataset.folder)
    strange = sorted(name for name in named - coming if not {name, case_key(name)} & known)
    if strange:
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        told = (
            f"{TAGS_FILE} has tags of {', '.join(strange[:SHOWN])}{more}, but the data set has no such case."
        )
        problems.append(Problem("", "bad-tags", told, "error"))
    return len(known & (named | {case_key(name) for name in named}))


def _folds(dataset: Dataset) -> int:
    try:
        return dataset.fold_count
    except SegToolkitError:
        return 0


VERBS: dict[str, Callable[[Mapping[str, Any], Reporter], dict[str, object]]] = {
    "dataset_check": dataset_check,
    "dataset_add": dataset_add,
}
