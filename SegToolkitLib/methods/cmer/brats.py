"""Folders of BraTS patients (2018 to 2021) as a data set that lists their files where they lie.

    <root>/<patient>/<patient>_t1.nii.gz, _t1ce, _t2, _flair, _seg      (or <root>/HGG/<patient>/...)

Nothing is copied or changed. Imports no torch.
Source: file names and labels of the Brain Tumor Segmentation challenges.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.dataset import Dataset, Progress
from SegToolkitLib.dataset.description import FILE_NAME
from SegToolkitLib.dataset.in_place import header_of
from SegToolkitLib.dataset.new_cases import case_id
from SegToolkitLib.dataset.nnunet import OWN_KEY
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.channel_names import chosen
from SegToolkitLib.volume import read_volume

# Names as in the authors' configurations -> the ends of the files' names.
MODALITIES: Mapping[str, str] = {"T1": "t1", "T1c": "t1ce", "T2": "t2", "Flair": "flair"}
MASK = "seg"
ENDINGS = (".nii.gz", ".nii")
# The challenge's own values. 3 was given up in 2017; nnU-Net takes no labels with a gap.
VALUES: Mapping[str, int] = {
    "background": 0,
    "necrotic core": 1,
    "oedema": 2,
    "non-enhancing core": 3,
    "enhancing tumour": 4,
}
CITATION = "Menze et al., IEEE Trans. Med. Imaging 34(10) (2015) 1993-2024"


@dataclass
class Patients:
    """What a folder holds.

    Attributes:
        images: file of each modality, by patient.
        masks: file of the mask of the patients that have one.
        left_out: why a patient is not among them, by patient.
    """

    images: dict[str, dict[str, Path]] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def read_patients(
    root: Path, modalities: Sequence[str] | None = None, progress: Progress | None = None
) -> Patients:
    """Find the patients and look into their files.

    Args:
        root: folder of the patients, or of folders of patients (HGG, LGG).
        modalities: to take, in the order wanted; None takes all four.
        progress: called with (done, total) after each patient.

    Returns:
        A patient that lacks a modality, or whose files do not fit together, is among those left out; one
        without a mask is not.

    Raises:
        SegToolkitError: "no-folder", "no-cases"; "no-channel", "one-modality", "same-name".
    """
    if not root.is_dir():
        raise SegToolkitError("no-folder", f"There is no folder {root}.", "Check the path.")
    names = chosen(modalities, tuple(MODALITIES), "BraTS")
    folders = [one for one in (*_folders(root), *_folders(*_folders(root))) if _any_file(one)]
    found = Patients()
    for done, folder in enumerate(folders, start=1):
        id = case_id(folder.name)
        if id in found.images or id in found.left_out:
            raise SegToolkitError("same-name", f"Two folders are of patient {id}.", "Rename one of them.")
        _take(folder, id, names, found)
        if progress is not None:
            progress(done, len(folders))
    if not found.images:
        first = next((f" ({id}: {why})" for id, why in found.left_out.items()), "")
        raise SegToolkitError(
            "no-cases",
            f"{root} holds no patient of BraTS with {', '.join(names)}{first}.",
            "Its layout should be BraTS19_X/BraTS19_X_t1.nii.gz, _t1ce, _t2, _flair and _seg.",
        )
    return found


def describe_patients(root: Path, found: Patients, out: Path) -> Dataset:
    """Write ``<out>/dataset.json`` (nnU-Net's form), which lists the files where they lie.

    Labels keep BraTS's values.

    Args:
        root: that was read.
        found: in it.
        out: folder of the data set; made if missing, and may be ``root``.

    Raises:
        SegToolkitError: "dataset-exists", "write-failed".
    """
    path = out / FILE_NAME
    if path.exists():
        raise dataset_exists(out)
    base = out.resolve()

    def listed(file: Path) -> str:
        file = file.resolve()
        # Within one tree the data set can be moved with its images.
        inside = file.is_relative_to(base) or base.is_relative_to(root.resolve())
        return Path(os.path.relpath(file, base)).as_posix() if inside else file.as_posix()

    files = {id: [listed(file) for file in images.values()] for id, images in found.images.items()}
    names = next(iter(found.images.values()))
    first = next(iter(names.values())).name
    values: dict[str, Any] = {
        "name": root.resolve().name,
        "channel_names": {str(number): name for number, name in enumerate(names)},
        "labels": dict(VALUES),
        "numTraining": len(found.masks),
        "file_ending": next(one for one in ENDINGS if first.endswith(one)),
        "reference": CITATION,
        "dataset": {
            id: {"images": own, "label": listed(found.masks[id])}
            for id, own in files.items()
            if id in found.masks
        },
        OWN_KEY: {
            "modality": "MR",
            "unlabelled": {id: own for id, own in files.items() if id not in found.masks},
        },
    }
    write_json(path, values)
    return Dataset.open(out)


def dataset_exists(out: Path) -> SegToolkitError:
    """What to say where ``out`` is no place for a new data set."""
    return SegToolkitError(
        "dataset-exists", f"{out} holds a data set already.", "Choose another folder, or remove it."
    )


def _take(folder: Path, id: str, names: Sequence[str], found: Patients) -> None:
    images = {name: _file(folder, MODALITIES[name]) for name in names}
    mask = _file(folder, MASK)
    missing = [name for name, file in images.items() if file is None]
    if missing:
        found.left_out[id] = f"it has no image {folder.name}_{MODALITIES[missing[0]]}.nii.gz"
        return
    there = {name: file for name, file in images.items() if file is not None}
    problem = _problem([*there.values(), *([mask] if mask else [])], mask)
    if problem is not None:
        found.left_out[id] = problem
        return
    found.images[id] = there
    if mask is not None:
        found.masks[id] = mask


def _problem(files: Sequence[Path], mask: Path | None) -> str | None:
    """What is wrong with a patient; None where nothing is."""
    sizes: dict[tuple[int, ...], Path] = {}
    for file in files:
        header = header_of(file)
        if header is None:
            return f"{file.name} cannot be read"
        sizes.setdefault(header.size, file)
    if len(sizes) > 1:
        return "its files differ in size: " + " and ".join(
            f"{file.name} has {' x '.join(map(str, size))} voxels" for size, file in sizes.items()
        )
    if mask is None:
        return None
    try:
        values = np.unique(read_volume(mask, label=True).voxels).tolist()
    except SegToolkitError as error:
        return error.message
    strange = sorted(set(values) - set(VALUES.values()))
    # Left undescribed, such voxels would silently count as background.
    return f"{mask.name} holds the value {strange[0]}, which BraTS does not have" if strange else None


def _folders(*parents: Path) -> list[Path]:
    return sorted(
        one
        for parent in parents
        for one in (parent.iterdir() if parent.is_dir() else ())
        if one.is_dir() and not one.name.startswith(".")
    )


def _any_file(folder: Path) -> bool:
    return any(_file(folder, end) is not None for end in (*MODALITIES.values(), MASK))


def _file(folder: Path, end: str) -> Path | None:
    files = (folder / f"{folder.name}_{end}{ending}" for ending in ENDINGS)
    return next((one for one in files if one.is_file()), None)
