"""The raw layout of nnU-Net v2, read as a description: dataset.json, imagesTr, labelsTr, imagesTs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.errors import SegToolkitError


def is_nnunet(values: Mapping[str, Any]) -> bool:
    """Tell whether a dataset.json is nnU-Net v2's: it names channels and a file ending."""
    return "channel_names" in values and "file_ending" in values


def from_nnunet(values: Mapping[str, Any], name: str, channel: int = 0) -> DatasetDescription:
    """Translate nnU-Net v2's dataset.json.

    Args:
        values: the content of dataset.json.
        name: what to call the data set if the file does not say.
        channel: which channel to use, by number.

    Raises:
        SegToolkitError: a channel that does not exist; labels made of regions (lists of values),
            which have no single value per voxel.

    Source: documentation/dataset_format.md of nnU-Net v2.
    """
    channels = {str(key): str(value) for key, value in dict(values["channel_names"]).items()}
    if str(channel) not in channels:
        raise SegToolkitError(
            "channel", f"{name} has no channel {channel}.", f"It has {', '.join(channels) or 'none'}."
        )
    labels = dict(values.get("labels", {"background": 0}))
    regions = [label for label, value in labels.items() if isinstance(value, list)]
    if regions:
        raise SegToolkitError(
            "region-labels",
            f"{name} describes labels as regions of several values: {', '.join(regions)}.",
            "Give each structure one value in 'labels'.",
        )
    ending = str(values["file_ending"])
    licence = values.get("licence", values.get("license"))
    return DatasetDescription.parse(
        {
            "name": str(values.get("name", name)),
            # nnU-Net itself goes by this name: only "CT" gets the CT normalisation.
            "modality": "CT" if channels[str(channel)].upper() == "CT" else "MR",
            # "ignore" is nnU-Net's mark for voxels that nobody labelled, not a structure; its value
            # still has to be known, because it occurs in the files.
            "labels": {label: int(value) for label, value in labels.items()},
            "image_pattern": f"imagesTr/{{id}}_{{channel}}{ending}",
            "label_pattern": f"labelsTr/{{id}}{ending}",
            "test_image_pattern": f"imagesTs/{{id}}_{{channel}}{ending}",
            "channel": f"{channel:04d}",
            "licence": {"name": str(licence), "permissive": False} if licence else None,
            "citation": str(values["reference"]) if values.get("reference") else None,
        },
        f"dataset.json of {name}",
    )
