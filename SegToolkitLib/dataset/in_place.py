"""Data sets that are described where their files lie; nothing is copied."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import FILE_NAME
from SegToolkitLib.dataset.nnunet import OWN_KEY
from SegToolkitLib.errors import SegToolkitError


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        labelled: image and mask by id.
        unlabelled: image by id.
        left_out: why a case is not among them, by id.
        patients: of each case, by id, where a patient has several.
    """

    labelled: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    unlabelled: dict[str, Path] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Header:
    """Voxels along the axes and their distances in mm, as the file says."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]


def header_of(path: Path) -> Header | None:
    """The header of a volume file; None where it cannot be read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return Header(reader.GetSize(), reader.GetSpacing())


def problem_of(image: Path, mask: Path | None) -> str | None:
    """What is wrong with a case, judged by its headers; None where nothing is."""
    sizes = []
    for path in (image, mask):
        if path is None:
            continue
        if not path.is_file():
            return f"{path.parent.name}/{path.name} is missing"
        header = header_of(path)
        if header is None:
            return f"{path.parent.name}/{path.name} cannot be read"
        sizes.append(header.size)
    if len(sizes) == 2 and sizes[0] != sizes[1]:
        return f"its image has {_told(sizes[0])} voxels, its mask {_told(sizes[1])}"
    return None


def describe_in_place(
    folder: Path,
    found: Found,
    out: Path,
    labels: Mapping[str, int],
    *,
    name: str,
    modality: str,
    ending: str,
    licence: Mapping[str, Any] | None = None,
    citation: str = "",
    pictures: bool = False,
) -> Dataset:
    """Write ``<out>/dataset.json`` (nnU-Net's form), which lists the files where they lie.

    Args:
        folder: that was searched.
        found: in it.
        out: folder of the data set; made if missing.
        labels: value by name, without the background.
        name: of the data set.
        modality: "CT" or "MR".
        ending: of the files.
        licence: of the data, as a description has it.
        citation: what to cite.
        pictures: the images are 2-D pictures.

    Raises:
        SegToolkitError: "dataset-exists", "write-failed".
    """
    path = out / FILE_NAME
    if path.exists():
        raise SegToolkitError(
            "dataset-exists", f"{out} holds a data set already.", "Choose another folder, or remove it."
        )
    base = out.resolve()

    def listed(file: Path) -> str:
        file = file.resolve()
        # Within one tree the data set can be moved with its images.
        inside = file.is_relative_to(base) or base.is_relative_to(folder.resolve())
        return Path(os.path.relpath(file, base)).as_posix() if inside else file.as_posix()

    values: dict[str, Any] = {
        "name": name,
        "channel_names": {"0": modality},
        "labels": {"background": 0, **labels},
        "numTraining": len(found.labelled),
        "file_ending": ending,
        **({"reference": citation} if citation else {}),
        "dataset": {
            id: {"images": [listed(image)], "label": listed(mask)}
            for id, (image, mask) in found.labelled.items()
        },
        OWN_KEY: {
            "modality": modality,
            **({"pictures": True} if pictures else {}),
            **({"licence": licence} if licence else {}),
            **({"patients": found.patients} if found.patients else {}),
            "unlabelled": {id: listed(image) for id, image in found.unlabelled.items()},
        },
    }
    write_json(path, values)
    return Dataset.open(out)


def _told(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
