"""What nnU-Net v2 demands of a raw data set's files, checked without nnU-Net and without reading a voxel.

Source: documentation/dataset_format.md and ``verify_dataset_integrity`` of nnU-Net v2. Its demands on voxels
(one grid for image and label, no unknown values, no NaN) are those of ``checks``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from SegToolkitLib.dataset.nnunet import IGNORE, IMAGES, LABELS, UNLABELLED, unlabelled_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json

REQUIRED = ("channel_names", "labels", "numTraining", "file_ending")


def broken_rules(folder: Path) -> Iterator[tuple[str, str, str]]:
    """List what nnU-Net would refuse: the case ("" for the whole data set), a code, a sentence.

    Args:
        folder: of dataset.json, imagesTr and labelsTr.
    """
    try:
        values = read_json(folder / "dataset.json")
    except SegToolkitError as error:
        yield "", error.code, str(error)
        return
    missing = [key for key in REQUIRED if key not in values]
    if missing:
        yield "", "missing-key", f"dataset.json lacks {', '.join(missing)}, which nnU-Net needs."
        return
    yield from _labels(values["labels"])
    channels, ending = len(values["channel_names"]), str(values["file_ending"])
    if "dataset" in values:
        cases = {
            str(id): ([folder / one for one in files["images"]], folder / files["label"])
            for id, files in values["dataset"].items()
        }
        kept = [folder / name for names in unlabelled_of(values, folder).values() for name in names]
        yield from _unlisted(folder, ending, [*_all(cases), *kept])
    else:
        for name in (IMAGES, LABELS):
            if not (folder / name).is_dir():
                yield "", "missing-folder", f"{folder} has no folder {name}, which nnU-Net needs."
        cases = _by_name(folder, ending)
    if len(cases) != values["numTraining"]:
        yield (
            "",
            "case-count",
            f"dataset.json says that there are {values['numTraining']} training cases ('numTraining'), but"
            f" there are {len(cases)}.",
        )
    for id, (images, label) in cases.items():
        if len(images) != channels:
            yield (
                id,
                "channels",
                f"Case {id} has {len(images)} images, one for each of {channels} channels is needed.",
            )
        for file in images:
            if not file.is_file():
                yield id, "missing-file", f"{file} is not there."
        if not label.is_file():
            yield id, "no-label", f"Case {id} has no label: {label} is not there."


def _labels(labels: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if labels.get("background") != 0:
        yield "", "no-background", "dataset.json has no label 'background' with the value 0."
    if any(isinstance(value, list) for value in labels.values()):
        return  # regions: nnU-Net's own affair
    values = sorted(int(value) for value in labels.values())
    if values != list(range(len(values))):
        yield "", "labels-not-consecutive", f"The label values {values} are not 0, 1, 2, ... without a gap."
    if IGNORE in labels and int(labels[IGNORE]) != max(values):
        yield "", "ignore-not-last", "The label 'ignore' must have the highest value of all."


def _by_name(folder: Path, ending: str) -> dict[str, tuple[list[Path], Path]]:
    pattern = re.compile(r"(.+)_\d{4}" + re.escape(ending))
    found: dict[str, list[Path]] = {}
    for path in sorted((folder / IMAGES).glob(f"*{ending}")):
        match = pattern.fullmatch(path.name)
        found.setdefault(match[1] if match else path.name[: -len(ending) - 5], []).append(path)
    return {id: (images, folder / LABELS / f"{id}{ending}") for id, images in found.items()}


def _all(cases: Mapping[str, tuple[list[Path], Path]]) -> list[Path]:
    return [file for images, label in cases.values() for file in (*images, label)]


def _unlisted(folder: Path, ending: str, files: Iterable[Path]) -> Iterator[tuple[str, str, str]]:
    listed = {file.resolve() for file in files}
    for name in (IMAGES, LABELS, UNLABELLED):
        for path in sorted((folder / name).glob(f"*{ending}")):
            if path.resolve() not in listed:
                yield (
                    "",
                    "not-listed",
                    f"{path} is of no case: dataset.json lists all cases ('dataset'), but not this file.",
                )
