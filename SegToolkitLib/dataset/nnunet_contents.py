"""What a dataset.json of nnU-Net v2 says, and what it will say once further cases are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SegToolkitLib.dataset.description import FILE_NAME, DatasetDescription, StructureFacts
from SegToolkitLib.dataset.new_cases import MOST_LABELS, NewCase, label_key
from SegToolkitLib.dataset.nnunet import (
    IGNORE,
    IMAGES,
    LABELS,
    OWN_KEY,
    UNLABELLED,
    from_nnunet,
    is_nnunet,
    listing_of,
    unlabelled_of,
)
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json

DEFAULT_ENDING = ".nii.gz"
ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
FORMAT = 1


@dataclass
class Contents:
    """A data set on its way from one state of its dataset.json to the next.

    Attributes:
        folder: of the data set.
        kept: fields of dataset.json that stay as they are.
        ending: of image and label files.
        labels: value of each structure by name, background included.
        channels: names of the images of each case.
        listing: the entry of each labelled case under "dataset".
        unlabelled: file of each channel of each case that is kept without a label.
        structures: colour and terminology by name of the structure.
        patients: patient by case id.
        not_annotated: case id -> structures nobody looked for.
        own: further fields under our own key.
    """

    folder: Path
    kept: dict[str, Any]
    ending: str
    labels: dict[str, int]
    channels: tuple[str, ...] = ("",)
    listing: dict[str, dict[str, Any]] = field(default_factory=dict)
    unlabelled: dict[str, list[str]] = field(default_factory=dict)
    structures: dict[str, StructureFacts] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    not_annotated: dict[str, list[str]] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, description: DatasetDescription | None) -> Contents:
        """Read the folder's dataset.json, or begin one from a description.

        Raises:
            SegToolkitError: "no-description", "other-layout", "several-channels", "modality-differs",
                and what reading raises.
        """
        if (folder / FILE_NAME).is_file():
            return cls._read(folder, description)
        if description is None:
            raise SegToolkitError(
                "no-description", f"Nothing says what {folder} is to hold.", "Give a name and a modality."
            )
        return cls._begin(folder, description)

    @staticmethod
    def files_of(folder: Path) -> set[Path]:
        """Every file of every case that the folder's dataset.json lists; none if it is not there."""
        if not (folder / FILE_NAME).is_file():
            return set()
        values = read_json(folder / FILE_NAME)
        listed = {folder / name for names in unlabelled_of(values, folder).values() for name in names}
        for images, label in (listing_of(values, folder) or {}).values():
            listed |= set(images) | ({label} if label else set())
        return listed

    def register(self, case: NewCase) -> None:
        """Take a case in: its id, its patient, and what its labels are called.

        Raises:
            SegToolkitError: "case-exists", "several-channels", "ignore-label", "too-many-labels".
        """
        self._check_new(case.id)
        self._check_channels(case)
        if case.patient:
            self.patients[case.id] = case.patient
        if case.mask is None:
            self.unlabelled[case.id] = self.image_files(case.id, labelled=False)
            return
        for structure in case.structures.values():
            name = self._name_of(structure.name) or self._new_label(structure.name)
            if name not in self.structures:
                facts = StructureFacts(colour=structure.colour, terminology=structure.terminology)
                if facts != StructureFacts():
                    self.structures[name] = facts
        looked_for = {label_key(one.name) for one in case.structures.values()} | {"background", IGNORE}
        missing = [name for name in self.labels if label_key(name) not in looked_for]
        if missing:
            self.not_annotated[case.id] = missing
        self.listing[case.id] = {
            "images": self.image_files(case.id, labelled=True),
            "label": self.label_file(case.id),
        }

    def numbers(self, case: NewCase) -> dict[int, int]:
        """Value in the case's mask -> label of the data set."""
        return {
            value: self.labels[self._name_of(one.name) or one.name] for value, one in case.structures.items()
        }

    def image_files(self, id: str, labelled: bool) -> list[str]:
        """Where a case's images belong, below the folder, in the order of the channels."""
        folder = IMAGES if labelled else UNLABELLED
        return [f"{folder}/{id}_{number:04d}{self.ending}" for number in range(len(self.channels))]

    def label_file(self, id: str) -> str:
        """Where a case's label belongs, below the folder."""
        return f"{LABELS}/{id}{self.ending}"

    def values(self) -> dict[str, Any]:
        """The whole dataset.json."""
        return {
            **self.kept,
            "labels": self.labels,
            "numTraining": len(self.listing),
            "file_ending": self.ending,
            "dataset": self.listing,
            OWN_KEY: {
                **self.own,
                "format": FORMAT,
                "structures": {
                    name: one.model_dump(mode="json", exclude_none=True)
                    for name, one in self.structures.items()
                },
                "patients": self.patients,
                "not_annotated": self.not_annotated,
                "unlabelled": {
                    id: files[0] if len(files) == 1 else files for id, files in self.unlabelled.items()
                },
            },
        }

    @classmethod
    def _begin(cls, folder: Path, description: DatasetDescription) -> Contents:
        ordered = sorted(description.labels, key=lambda name: description.labels[name])
        # nnU-Net wants 0, 1, 2, ... without a gap, and asks for the background by this name.
        labels = {("background" if n == 0 else name): n for n, name in enumerate(ordered)}
        number = {description.labels[name]: n for n, name in enumerate(ordered)}
        own: dict[str, Any] = {"modality": description.modality}
        if description.test_groups:
            own["test_groups"] = {
                group: [number[value] for value in values]
                for group, values in description.test_groups.items()
            }
        own["foreground_threshold"] = description.foreground_threshold
        if description.spacing:
            own["spacing"] = list(description.spacing)
        if not description.spacing_known:
            own["spacing_known"] = False
        channels = tuple(description.channels) or (description.modality,)
        kept: dict[str, Any] = {
            "name": description.name,
            "channel_names": {str(number): name for number, name in enumerate(channels)},
        }
        if description.licence:
            own["licence"] = description.licence.model_dump(mode="json", exclude_none=True)
            kept["licence"] = description.licence.name
        if description.citation:
            kept["reference"] = description.citation
        return cls(
            folder, kept, DEFAULT_ENDING, labels, channels, structures=dict(description.structures), own=own
        )

    @classmethod
    def _read(cls, folder: Path, description: DatasetDescription | None) -> Contents:
        values = read_json(folder / FILE_NAME)
        if not is_nnunet(values):
            raise SegToolkitError(
                "other-layout",
                f"{folder} is not in nnU-Net's layout, so nothing can be appended to it.",
                "Make a new data set from it (segtoolkit dataset create FOLDER --from ...).",
            )
        ending = str(values["file_ending"])
        if ending not in ENDINGS:
            raise SegToolkitError(
                "file-ending",
                f"{folder} keeps its images as {ending} files.",
                f"Cases can be appended where they are kept as {', '.join(ENDINGS)}.",
            )
        known = from_nnunet(values, folder.name)
        if description is not None and description.modality != known.modality:
            raise SegToolkitError(
                "modality-differs",
                f"{folder} holds {known.modality}, but the new cases are said to be {description.modality}.",
                "Keep modalities in data sets of their own.",
            )
        own = values.get(OWN_KEY)
        return cls(
            folder,
            {name: value for name, value in values.items() if name != OWN_KEY},
            ending,
            dict(known.labels),
            tuple(known.channels) or tuple(str(name) for name in values["channel_names"].values()),
            _listing(values, folder, ending),
            unlabelled_of(values, folder),
            dict(known.structures),
            dict(known.patients),
            {id: list(names) for id, names in known.not_annotated.items()},
            dict(own) if isinstance(own, Mapping) else {},
        )

    def _check_new(self, id: str) -> None:
        # "8" and "08" are one number, and some file systems take "a" and "A" for one name.
        taken = {_folded(one): one for one in (*self.listing, *self.unlabelled)}
        if _folded(id) in taken:
            raise SegToolkitError(
                "case-exists",
                f"{self.folder} has a case {taken[_folded(id)]} already.",
                "Give the new case another name.",
            )

    def _check_channels(self, case: NewCase) -> None:
        known = set(self.channels)
        fits = set(case.channels) == known if case.channels else len(known) == 1
        if not fits:
            given = f"the images {', '.join(case.channels)}" if case.channels else "one image"
            raise SegToolkitError(
                "several-channels",
                f"Case {case.id} has {given}, but {self.folder} has the channels {', '.join(self.channels)}.",
                "Give one image for each channel, by its name (--image NAME=FILE --channel NAME=FILE).",
            )

    def _name_of(self, text: str) -> str | None:
        return next((name for name in self.labels if label_key(name) == label_key(text)), None)

    def _new_label(self, text: str) -> str:
        name = " ".join(text.split())
        number = max(self.labels.values()) + 1
        if IGNORE in self.labels:
            raise SegToolkitError(
                "ignore-label",
                f"{self.folder} has a label 'ignore', which must stay the last: {name!r} cannot be added.",
                "Add the structure before 'ignore' by hand, or make a new data set.",
            )
        if number > MOST_LABELS:
            raise SegToolkitError(
                "too-many-labels", f"A data set has {MOST_LABELS} structures at most.", "Use fewer names."
            )
        self.labels[name] = number
        for id in self.listing:
            self.not_annotated[id] = [*self.not_annotated.get(id, ()), name]
        return name


def _listing(values: Mapping[str, Any], folder: Path, ending: str) -> dict[str, dict[str, Any]]:
    """The cases that a dataset.json lists, or those that lie in its folders."""
    if "dataset" in values:
        return {str(id): dict(files) for id, files in values["dataset"].items()}
    suffix = f"_0000{ending}"
    names = sorted(path.name for path in (folder / IMAGES).glob(f"*{suffix}"))
    return {
        name[: -len(suffix)]: {
            "images": [
                f"{IMAGES}/{name[: -len(suffix)]}_{number:04d}{ending}"
                for number in range(len(values["channel_names"]))
            ],
            "label": f"{LABELS}/{name[: -len(suffix)]}{ending}",
        }
        for name in names
        if not name.startswith(".")
    }


def _folded(id: str) -> str:
    return str(int(id)) if id.isdecimal() else id.casefold()
