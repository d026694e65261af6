"""The raw layout of nnU-Net v2, read as a description: dataset.json, imagesTr, labelsTr, imagesTs.

What nnU-Net has no word for (patients, colours, terminology, images without a label) stands under our own key
"segtoolkit", which nnU-Net passes over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.errors import SegToolkitError

IMAGES, LABELS, TEST_IMAGES, UNLABELLED = "imagesTr", "labelsTr", "imagesTs", "imagesUn"
OWN_KEY = "segtoolkit"
# nnU-Net's mark for voxels that nobody labelled: no structure, and always the highest value.
IGNORE = "ignore"
# Fields of a description that stand under our own key by their own name.
OWN_FIELDS = (
    "modality",
    "pictures",
    "patients",
    "structures",
    "not_annotated",
    "spacing",
    "spacing_known",
    "test_groups",
    "foreground_threshold",
    "licence",
)

HOW_CASES = 'Each case needs {"images": [file of each channel], "label": file}.'
HOW_LABELS = 'They give each name a whole number: {"background": 0, "liver": 1}.'

# Image of each channel, and label, of each case, by id; no label where a case is kept without one on purpose.
Listing = dict[str, tuple[tuple[Path, ...], Path | None]]


def is_nnunet(values: Mapping[str, Any]) -> bool:
    """Tell whether a dataset.json is nnU-Net v2's: it names channels and a file ending."""
    return "channel_names" in values and "file_ending" in values


def from_nnunet(values: Mapping[str, Any], name: str, channel: int = 0) -> DatasetDescription:
    """Translate nnU-Net v2's dataset.json.

    Args:
        values: the content of dataset.json.
        name: what to call the data set if the file does not say.
        channel: which channel methods take that look at one image, by number.

    Raises:
        SegToolkitError: "channel": one that does not exist; "channel-names"; "region-labels": labels made of
            regions (lists of values), which have no single value per voxel; "label-values": no whole numbers;
            "listing": the list of cases is none.

    Source: documentation/dataset_format.md of nnU-Net v2.
    """
    channels = _channel_names(values["channel_names"], name)
    if str(channel) not in channels:
        raise SegToolkitError(
            "channel", f"{name} has no channel {channel}.", f"It has {', '.join(channels) or 'none'}."
        )
    labels = values.get("labels", {"background": 0})
    if not isinstance(labels, Mapping):
        raise SegToolkitError("label-values", f"'labels' of {name} are {labels!r}.", HOW_LABELS)
    regions = [label for label, value in labels.items() if isinstance(value, list)]
    if regions:
        raise SegToolkitError(
            "region-labels",
            f"{name} describes labels as regions of several values: {', '.join(regions)}.",
            "Give each structure one value in 'labels'.",
        )
    listed = values.get("dataset", {})
    if not isinstance(listed, Mapping) or not all(isinstance(one, Mapping) for one in listed.values()):
        raise SegToolkitError(
            "listing", f"The list of cases ('dataset') in dataset.json of {name} is wrong.", HOW_CASES
        )
    ending = str(values["file_ending"])
    licence = values.get("licence", values.get("license"))
    own = values.get(OWN_KEY)
    own = {field: own[field] for field in OWN_FIELDS if field in own} if isinstance(own, Mapping) else {}
    return DatasetDescription.parse(
        {
            "name": str(values.get("name", name)),
            # nnU-Net itself goes by this name: only "CT" gets the CT normalisation.
            "modality": "CT" if channels[str(channel)].upper() == "CT" else "MR",
            # "ignore" is nnU-Net's mark for voxels that nobody labelled, not a structure; its value
            # still has to be known, because it occurs in the files.
            "labels": {label: _value(value, label, name) for label, value in labels.items()},
            "image_pattern": f"{IMAGES}/{{id}}_{{channel}}{ending}",
            "label_pattern": f"{LABELS}/{{id}}{ending}",
            "test_image_pattern": f"{TEST_IMAGES}/{{id}}_{{channel}}{ending}",
            "unlabelled_image_pattern": f"{UNLABELLED}/{{id}}_{{channel}}{ending}",
            "channel": f"{channel:04d}",
            "channels": _channels(channels),
            "licence": {"name": str(licence), "permissive": False} if licence else None,
            "citation": str(values["reference"]) if values.get("reference") else None,
            **own,
        },
        f"dataset.json of {name}",
    )


def _channel_names(names: Any, dataset: str) -> dict[str, str]:
    """Name by number, both as text."""
    if not isinstance(names, Mapping) or not all(str(key).isdecimal() for key in names):
        raise SegToolkitError(
            "channel-names",
            f"'channel_names' of {dataset} are {names!r}.",
            'They give each number from 0 a name: {"0": "T2", "1": "ADC"}.',
        )
    return {str(key): str(value) for key, value in names.items()}


def _value(value: Any, label: str, dataset: str) -> int:
    """The value of a label; a fraction is no label of anything, and must not become another one's."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            whole = int(value)
            if whole == float(value):
                return whole
    hint = HOW_LABELS
    if str(label).isdecimal() and isinstance(value, str):
        hint = f"{hint} Numbers and names seem to have changed places, as nnU-Net's first version had them."
    raise SegToolkitError(
        "label-values", f"The value of {label!r} in 'labels' of {dataset} is {value!r}.", hint
    )


def _channels(numbered: Mapping[str, str]) -> dict[str, str]:
    """Name -> text in the files' names; nothing where there is one channel."""
    if len(numbered) < 2:
        return {}
    names = [numbered[number] for number in sorted(numbered, key=int)]
    # nnU-Net lets channels share a name, which only decides their normalisation.
    unique = [name if names.count(name) == 1 else f"{name}_{n}" for n, name in enumerate(names)]
    return {name: f"{n:04d}" for n, name in enumerate(unique)}


def listing_of(values: Mapping[str, Any], folder: Path) -> Listing | None:
    """Images and label of each case that dataset.json lists one by one, or None where it lists none.

    nnU-Net takes the listed files and no others; a file of ours is listed as soon as its case is whole.

    Raises:
        SegToolkitError: "listing": an entry without images or label.

    Source: ``get_filenames_of_train_images_and_targets`` of nnU-Net v2.
    """
    if "dataset" not in values:
        return None
    found: Listing = {}
    try:
        for id, files in dict(values["dataset"]).items():
            images = tuple(folder / os.path.expandvars(one) for one in files["images"])
            if not images:
                raise LookupError("images")
            found[str(id)] = (images, folder / os.path.expandvars(files["label"]))
        for id, names in unlabelled_of(values, folder).items():
            found[id] = (tuple(folder / name for name in names), None)
    except (TypeError, ValueError, LookupError) as error:
        raise SegToolkitError(
            "listing",
            f"The list of cases ('dataset') in dataset.json of {folder} is wrong ({error!r}).",
            HOW_CASES,
        ) from error
    return found


def unlabelled_of(values: Mapping[str, Any], folder: Path) -> dict[str, list[str]]:
    """Images of each channel of cases that are kept without a label, by id: those listed under our key, else
    all of imagesUn."""
    own = values.get(OWN_KEY)
    if isinstance(own, Mapping) and isinstance(own.get("unlabelled"), Mapping):
        return {
            str(id): [str(name)] if isinstance(name, str) else [str(one) for one in name]
            for id, name in own["unlabelled"].items()
        }
    channels, ending = len(values["channel_names"]), str(values["file_ending"])
    first = f"_0000{ending}"
    names = sorted(path.name for path in (folder / UNLABELLED).glob(f"*{first}"))
    ids = [name[: -len(first)] for name in names if not name.startswith(".")]
    return {id: [f"{UNLABELLED}/{id}_{n:04d}{ending}" for n in range(channels)] for id in ids}
