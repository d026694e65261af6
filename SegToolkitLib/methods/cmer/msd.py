"""Tasks of the Medical Segmentation Decathlon as data sets: their images hold all modalities in one 4-D file.

    <task>/dataset.json                     "modality", "labels", "training"
    <task>/imagesTr/<case>.nii.gz           4-D, a frame for each modality
    <task>/labelsTr/<case>.nii.gz

Each frame becomes a file of its own, on the grid that the 4-D file has. Imports no torch.
Source: Antonelli et al., Nature Communications 2022, and the tasks' own dataset.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import SimpleITK as sitk

from SegToolkitLib.dataset.dataset import Progress
from SegToolkitLib.dataset.description import FILE_NAME, DatasetDescription
from SegToolkitLib.dataset.in_place import header_of
from SegToolkitLib.dataset.new_cases import NewCase, Structure, case_id
from SegToolkitLib.dataset.nnunet import IMAGES, LABELS, TEST_IMAGES, is_nnunet
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.channel_names import chosen
from SegToolkitLib.validation import read_json
from SegToolkitLib.volume import Volume
from SegToolkitLib.volume.headers import check_file
from SegToolkitLib.volume.loading import check_readable, explained, quiet

ENDINGS = (".nii.gz", ".nii")
MOST_TOLD = 10
HOW = 'A task has {"modality": {"0": "T2", "1": "ADC"}, "labels": {"0": "background", "1": "PZ"}}.'


@dataclass(frozen=True)
class Task:
    """What a task's folder holds.

    Attributes:
        name, licence, citation: as its dataset.json says; None where it does not.
        modalities: name of each frame, in their order.
        labels: name -> value.
        cases: image (4-D) and label by id.
        without_masks: how many images are set aside for testing (imagesTs), whose masks are not public.
    """

    name: str | None
    licence: str | None
    citation: str | None
    modalities: tuple[str, ...]
    labels: Mapping[str, int]
    cases: Mapping[str, tuple[Path, Path]]
    without_masks: int


def read_task(folder: Path) -> Task:
    """Read a task's dataset.json and look for its files.

    Raises:
        SegToolkitError: "no-task"; "bad-task": its dataset.json is none of the Decathlon; "one-modality";
            "label-gap"; "missing-files": all of them are named, up to ten; "no-cases"; "frames": a file has
            not one frame for each modality; "same-name".
    """
    if not (folder / FILE_NAME).is_file():
        raise SegToolkitError(
            "no-task",
            f"{folder} is no task of the Decathlon: it has no {FILE_NAME}.",
            "Give the folder that holds dataset.json, imagesTr and labelsTr, such as Task05_Prostate.",
        )
    values = read_json(folder / FILE_NAME)
    if is_nnunet(values):
        raise SegToolkitError(
            "bad-task",
            f"{folder} is a data set in nnU-Net's layout already.",
            "Train on it as it is (--dataset).",
        )
    modalities, labels = _modalities(values, folder), _labels(values, folder)
    cases = _cases(values, folder)
    for image, _ in cases.values():
        header = header_of(image)
        # A file that cannot be read at all is told of by who reads it.
        if header is not None and header.size[3:] != (len(modalities),):
            frames = "is one volume" if len(header.size) < 4 else f"has {header.size[3]} frames"
            raise SegToolkitError(
                "frames",
                f"{image} {frames}, but the task has the modalities {', '.join(modalities)}.",
                "Each image of a task is one file that holds a frame for each modality.",
            )
    licence, citation = values.get("licence", values.get("license")), values.get("reference")
    return Task(
        str(values["name"]) if values.get("name") else None,
        str(licence) if licence else None,
        str(citation) if citation else None,
        modalities,
        labels,
        cases,
        len(_files(folder / TEST_IMAGES)),
    )


def import_task(
    folder: Path,
    out: Path,
    modalities: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda _text: None,
) -> list[str]:
    """Write a data set with a file for each modality; voxels, grids and values of labels stay as they are.

    Args:
        folder: of the task.
        out: folder of the data set.
        modalities: names of those to take, in the order wanted; None takes all.
        progress: called with (done, total) after each case.
        tell: hears of what is left out.

    Returns:
        The ids of the cases.

    Raises:
        SegToolkitError: as :func:`read_task`; "no-channel", "dataset-exists", and what reading and writing
            raise. Then nothing is left in ``out``.
    """
    task = read_task(folder)
    names = chosen(modalities, task.modalities, str(folder))
    if task.without_masks:
        tell(f"{task.without_masks} images in {TEST_IMAGES}, which have no masks, are left out.")
    description = DatasetDescription.parse(
        {
            "name": task.name or out.resolve().name,
            "modality": "CT" if {one.upper() for one in names} == {"CT"} else "MR",
            "labels": dict(task.labels),
            "image_pattern": "{id}_{channel}.nii.gz",
            "channels": {one: one for one in names},
            "licence": {"name": task.licence} if task.licence else None,
            "citation": task.citation,
        },
        f"{FILE_NAME} of {folder}",
    )
    structures = {value: Structure(name=name) for name, value in task.labels.items() if value != 0}
    files, places = _Files(), {name: task.modalities.index(name) for name in names}
    cases = [
        NewCase(id, image, label, structures, channels=Frames(files, image, places))
        for id, (image, label) in task.cases.items()
    ]
    return add_cases(out, description, cases, mode="create", progress=progress)


class _Files:
    """Keeps the 4-D image that was read last: its frames are asked for one after the other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._image: sitk.Image | None = None

    def frame(self, path: Path, number: int) -> Volume:
        """A frame of a file, on the file's grid."""
        if self._path != path or self._image is None:
            self._image = None  # two at a time may not fit
            self._path, self._image = path, _read(path)
        size = self._image.GetSize()
        try:
            one = sitk.Extract(
                self._image,
                [*size[:3], 0],
                [0, 0, 0, number],
                sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX,
            )
        except RuntimeError as error:
            raise explained(path, error) from error
        return Volume.from_sitk(one, f"{path}, frame {number}")


@dataclass(frozen=True)
class Frames(Mapping[str, Volume]):
    """The frames of a 4-D file by the names of their modalities, read when they are asked for: those of all
    cases do not fit into memory.

    Attributes:
        files: that were read.
        path: of the file.
        places: number of the frame of each modality.
    """

    files: _Files
    path: Path
    places: Mapping[str, int]

    def __getitem__(self, name: str) -> Volume:
        return self.files.frame(self.path, self.places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _read(path: Path) -> sitk.Image:
    check_readable(path)
    check_file(path)
    try:
        with quiet():
            return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise explained(path, error) from error


def _modalities(values: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    given = values.get("modality")
    names = _numbered(given) if isinstance(given, Mapping) else None
    if not names or sorted(names) != list(range(len(names))):
        raise _bad(folder, f"'modality' is {given!r}")
    ordered = tuple(names[number] for number in range(len(names)))
    if len({one.casefold() for one in ordered}) < len(ordered):
        raise _bad(folder, f"two of the modalities {', '.join(ordered)} share a name")
    if len(ordered) < 2:
        raise SegToolkitError(
            "one-modality",
            f"The images of {folder} are of one modality, {ordered[0]}.",
            "This method needs two or more, registered with each other, such as Task05_Prostate has.",
        )
    return ordered


def _labels(values: Mapping[str, Any], folder: Path) -> dict[str, int]:
    given = values.get("labels")
    names = _numbered(given) if isinstance(given, Mapping) else None
    if not names or 0 not in names:
        raise _bad(folder, f"'labels' are {given!r}")
    if len({one.casefold() for one in names.values()}) < len(names):
        raise _bad(folder, f"two of the labels {', '.join(names.values())} share a name")
    if sorted(names) != list(range(len(names))):
        # A data set in nnU-Net's layout numbers its labels without gaps: others would change their values.
        raise SegToolkitError(
            "label-gap",
            f"The labels of {folder} have the values {', '.join(map(str, sorted(names)))}, with gaps.",
            "Give the values between names, too, in 'labels' of its dataset.json.",
        )
    return {name: value for value, name in sorted(names.items())}


def _numbered(given: Mapping[str, Any]) -> dict[int, str] | None:
    """Number -> name; None where one of them is none."""
    if not all(
        str(key).isdecimal() and isinstance(name, str) and name.split() for key, name in given.items()
    ):
        return None
    return {int(key): " ".join(name.split()) for key, name in given.items()}


def _cases(values: Mapping[str, Any], folder: Path) -> dict[str, tuple[Path, Path]]:
    listed = values.get("training")
    if listed:
        try:
            # By their names alone: files of a task lie in these two folders and nowhere else.
            pairs = [
                (folder / IMAGES / _name(one["image"]), folder / LABELS / _name(one["label"]))
                for one in listed
            ]
        except (TypeError, LookupError) as error:
            raise _bad(folder, "'training' does not list an image and a label each") from error
    else:
        pairs = [(image, folder / LABELS / image.name) for image in _files(folder / IMAGES)]
    if not pairs:
        raise SegToolkitError(
            "no-cases", f"{folder / IMAGES} holds no images.", "Unpack the task's archive whole."
        )
    missing = [file for pair in pairs for file in pair if not file.is_file()]
    if missing:
        told = ", ".join(str(one.relative_to(folder)) for one in missing[:MOST_TOLD])
        more = f" and {len(missing) - MOST_TOLD} more" if len(missing) > MOST_TOLD else ""
        raise SegToolkitError(
            "missing-files",
            f"{len(missing)} files of {folder} are missing: {told}{more}.",
            "Unpack the task's archive again, or take what is not there out of 'training' in dataset.json.",
        )
    found: dict[str, tuple[Path, Path]] = {}
    for image, label in pairs:
        ending = next((one for one in ENDINGS if image.name.lower().endswith(one)), "")
        id = case_id(image.name[: len(image.name) - len(ending)])
        if id in found:
            raise SegToolkitError("same-name", f"Two images are of case {id}.", "Rename one of them.")
        found[id] = image, label
    return found


def _files(folder: Path) -> list[Path]:
    # The archives hold "._<name>" beside each file, which macOS has left there.
    every = sorted(folder.iterdir()) if folder.is_dir() else []
    return [one for one in every if one.name.lower().endswith(ENDINGS) and not one.name.startswith(".")]


def _name(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is no path")
    return PurePosixPath(text).name


def _bad(folder: Path, what: str) -> SegToolkitError:
    return SegToolkitError("bad-task", f"In {folder / FILE_NAME}, {what}.", HOW)
