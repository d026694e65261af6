"""Folders of PNG slices of several modalities, as WSS-CMER is published with, made into volumes.

    <root>/train|val|test/MR_<modality>/<patient>_<slice>.png     (or <modality> without MR_)
    <root>/train|val|test/GT/<patient>_<slice>.png

Slices belong together by their names (the released code pairs them by their places in sorted lists), and
stand in the order of their numbers. Parts "val" and "test", and masks, may be missing.
Source: documentation and released code of WSS-CMER.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.dataset import Dataset, Progress
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.dataset.new_cases import NewCase, Structure, case_id
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.splits import Split, write_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Volume, read_volume

PARTS = ("train", "val", "test")
PREFIX, MASKS = "MR_", "GT"
# The patient is all up to the last underscore.
NAME = re.compile(r"(?P<patient>.+)_(?P<slice>\d+)\.png", re.IGNORECASE)
MOST_TOLD = 10

Key = tuple[str, int]


@dataclass
class Part:
    """One of train, val and test.

    Attributes:
        modalities: name -> file of each (patient, slice).
        masks: file of each (patient, slice); empty without a folder GT.
    """

    modalities: dict[str, dict[Key, Path]]
    masks: dict[Key, Path] = field(default_factory=dict)

    @property
    def patients(self) -> dict[str, list[int]]:
        """Numbers of the slices of each patient, in order."""
        found: dict[str, list[int]] = {}
        for patient, number in sorted(next(iter(self.modalities.values()))):
            found.setdefault(patient, []).append(number)
        return found


def read_slices(root: Path, modalities: Sequence[str] | None = None) -> dict[str, Part]:
    """Find the slices of all parts that are there.

    Args:
        root: folder of the parts.
        modalities: names without the prefix; None takes all, in the order of their names.

    Raises:
        SegToolkitError: "no-cases"; "no-channel": a modality has no folder; "missing-slices": a slice is not
            there in every modality, or has no mask where others have: all of them are named, up to ten.
    """
    parts: dict[str, Part] = {}
    missing: list[str] = []
    for name in PARTS:
        folder = root / name
        if folder.is_dir():
            parts[name] = _read_part(folder, modalities, missing)
    if not parts or not parts.get("train", next(iter(parts.values()))).patients:
        raise SegToolkitError(
            "no-cases",
            f"{root} has no folder train, val or test with PNG slices.",
            "Its layout should be train/MR_T1/<patient>_<slice>.png, train/GT/<patient>_<slice>.png.",
        )
    if missing:
        more = f" and {len(missing) - MOST_TOLD} more" if len(missing) > MOST_TOLD else ""
        raise SegToolkitError(
            "missing-slices",
            f"{len(missing)} files are missing: {', '.join(missing[:MOST_TOLD])}{more}.",
            "Every slice must be there in every modality and, where there are masks, with one. Add them, or"
            " take the others of the slice away.",
        )
    return parts


def import_slices(
    root: Path,
    out: Path,
    modalities: Sequence[str] | None = None,
    *,
    structure: str = "lesion",
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    name: str | None = None,
    progress: Progress | None = None,
    tell: Callable[[str, str], None] = lambda _text, _hint: None,
) -> dict[Path, list[str]]:
    """Write a volume for each patient and modality; train and val become a data set with that fold.

    Args:
        root: see :func:`read_slices`.
        out: folder of the data set; "test" becomes one of its own in ``<out>-test``.
        modalities: names, the first of which other methods take.
        structure: what the masks show; every value but 0.
        spacing: mm along x, y, z, which PNG files do not tell.
        name: of the data set; None takes the folder's.
        progress: called with (done, total) after each patient of a data set.
        tell: hears of patients whose slices have gaps.

    Returns:
        Folder of each data set -> its cases.

    Raises:
        SegToolkitError: as :func:`read_slices`; "patient-split": a patient is in two parts; "slice-sizes";
            "dataset-exists".
    """
    parts = read_slices(root, modalities)
    _check_patients(parts)
    names = tuple(next(iter(parts.values())).modalities)
    description = DatasetDescription(
        name=name or out.resolve().name,
        modality="MR",
        labels={"background": 0, structure: 1},
        image_pattern="image_{id}_{channel}.nii.gz",
        channels={one: one for one in names},
    )
    own = {key: part for key, part in parts.items() if key != "test"}
    sets = {out: own} if own else {}
    if "test" in parts:
        sets[out.with_name(f"{out.name}-test") if own else out] = {"test": parts["test"]}
    made: dict[Path, list[str]] = {}
    for folder, members in sets.items():
        cases = {
            key: [
                _case(part, patient, numbers, structure, spacing, tell)
                for patient, numbers in part.patients.items()
            ]
            for key, part in members.items()
        }
        every = [case for group in cases.values() for case in group]
        made[folder] = add_cases(folder, description, every, mode="create", progress=progress)
        if {"train", "val"} <= set(cases):
            dataset = Dataset.open(folder)
            ids = {key: tuple(dataset.case(case.id).id for case in group) for key, group in cases.items()}
            write_splits(dataset, [Split(ids["train"], ids["val"])])
    return made


def _read_part(folder: Path, modalities: Sequence[str] | None, missing: list[str]) -> Part:
    there = {
        one.name[len(PREFIX) :] if one.name.upper().startswith(PREFIX) else one.name: one
        for one in sorted(folder.iterdir())
        if one.is_dir() and one.name != MASKS and not one.name.startswith(".")
    }
    wanted = list(modalities) if modalities is not None else list(there)
    lacking = [name for name in wanted if name not in there]
    if lacking or not wanted:
        raise SegToolkitError(
            "no-channel",
            f"{folder} has no folder {PREFIX}{lacking[0] if lacking else '<modality>'}.",
            f"It has {', '.join(one.name for one in there.values()) or 'none'}.",
        )
    part = Part({name: _files(there[name]) for name in wanted}, _files(folder / MASKS))
    every = sorted({key for files in part.modalities.values() for key in files} | set(part.masks))
    places: dict[str, tuple[Path, Mapping[Key, Path]]] = {
        name: (there[name], files) for name, files in part.modalities.items()
    }
    if part.masks:
        places[MASKS] = (folder / MASKS, part.masks)
    missing += [
        f"{folder.name}/{place.name}/{patient}_{number}.png"
        for patient, number in every
        for place, files in places.values()
        if (patient, number) not in files
    ]
    return part


def _files(folder: Path) -> dict[Key, Path]:
    found: dict[Key, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = NAME.fullmatch(path.name)
        if match is None or path.name.startswith("."):
            continue
        key = (match["patient"], int(match["slice"]))
        if key in found:
            raise SegToolkitError(
                "duplicate-id", f"{found[key].name} and {path.name} in {folder} are one slice.", "Rename one."
            )
        found[key] = path
    return found


def _check_patients(parts: Mapping[str, Part]) -> None:
    seen: dict[str, str] = {}
    for name, part in parts.items():
        for patient in part.patients:
            other = seen.setdefault(case_id(patient), name)
            if other != name:
                raise SegToolkitError(
                    "patient-split",
                    f"Slices of patient {patient} are in {other} and in {name}.",
                    "A patient must not teach and test: move all slices of it to one side.",
                )


def _case(
    part: Part,
    patient: str,
    numbers: Sequence[int],
    structure: str,
    spacing: tuple[float, float, float],
    tell: Callable[[str, str], None],
) -> NewCase:
    if any(after - before > 1 for before, after in pairwise(numbers)):
        tell(
            f"Slices of patient {patient} have gaps between their numbers; they are put one after the other.",
            "Distances between slices mean nothing for this patient.",
        )
    images = {
        name: Volume(_stack(files, patient, numbers), spacing, (0.0, 0.0, 0.0), np.eye(3), patient)
        for name, files in part.modalities.items()
    }
    first = next(iter(images.values()))
    mask = None
    if part.masks:
        mask = first.with_voxels((_stack(part.masks, patient, numbers) > 0).astype(np.uint8))
    named = {1: Structure(name=structure)} if mask is not None else {}
    return NewCase(case_id(patient), first, mask, named, channels=images)


def _stack(files: Mapping[Key, Path], patient: str, numbers: Sequence[int]) -> NDArray[np.uint8]:
    """Grey slices [Z, Y, X]."""
    planes = [_plane(files[patient, number]) for number in numbers]
    sizes = {plane.shape for plane in planes}
    if len(sizes) > 1:
        raise SegToolkitError(
            "slice-sizes", f"Slices of patient {patient} have different sizes: {sizes}.", "Bring them to one."
        )
    return np.stack(planes)


def _plane(path: Path) -> NDArray[np.uint8]:
    voxels = read_volume(path).voxels[0]
    # A grey picture that was saved in colour.
    grey: NDArray[np.uint8] = voxels if voxels.ndim == 2 else voxels[..., 0]
    return grey
