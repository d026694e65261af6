"""A folder of cases, each an image with or without a label, found by the patterns of its description."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from SegToolkitLib.dataset.description import FILE_NAME, DatasetDescription
from SegToolkitLib.dataset.nnunet import from_nnunet, is_nnunet
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json
from SegToolkitLib.volume import Volume, check_label, read_volume


@dataclass(frozen=True)
class Case:
    """One image of a data set.

    Attributes:
        id: what stands for ``{id}`` in the file name; "8" for ``image_08`` where all ids are integers.
        image: path of the image.
        label: path of its label, or None.
    """

    id: str
    image: Path
    label: Path | None = None


def read_case(case: Case) -> tuple[Volume, Volume | None]:
    """Read a case's image and, where there is one, its label.

    Raises:
        SegToolkitError: a file cannot be read, or the label lies on another grid than the image.
    """
    image = read_volume(case.image)
    if case.label is None:
        return image, None
    label = read_volume(case.label, label=True)
    check_label(label, image)
    return image, label


@dataclass(frozen=True)
class Problem:
    """Something in a data set that a person should look at: the case, a code for programs, a sentence."""

    case: str
    code: str
    message: str


def trailing_number(text: str) -> int | None:
    """Return the last run of digits in ``text`` as a number: 8 for "image_08", None without digits."""
    runs = re.findall(r"\d+", text)
    return int(runs[-1]) if runs else None


@dataclass(frozen=True)
class Dataset:
    """A description and the folder it describes.

    Attributes:
        description: labels, modality, patterns, folds and so on.
        folder: where the files are.
    """

    description: DatasetDescription
    folder: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None) -> Dataset:
        """Open a description file, a folder with dataset.json, or a folder in nnU-Net v2's raw layout.

        Args:
            path: the description file or the folder.
            folder: where the files are; None takes the folder that the description names.

        Raises:
            SegToolkitError: nothing is there, or the description is wrong.
        """
        given = Path(path)
        file = given / FILE_NAME if given.is_dir() else given
        if not file.is_file():
            raise SegToolkitError(
                "no-dataset",
                f"{given} is no data set: "
                + (f"it has no {FILE_NAME}." if given.is_dir() else "no such file."),
                "Give a folder with a dataset.json, or a description file whose 'folder' leads to the files.",
            )
        values = read_json(file)
        if is_nnunet(values):
            description = from_nnunet(values, file.parent.name)
        else:
            description = DatasetDescription.parse(values, str(file))
        place = Path(folder) if folder is not None else file.parent / (description.folder or ".")
        if not place.is_dir():
            raise SegToolkitError(
                "no-dataset",
                f"The volumes of {description.name} are said to be in {place}, which is no folder.",
                "Name the folder that holds them.",
            )
        return cls(description, place.resolve())

    @cached_property
    def cases(self) -> list[Case]:
        """The cases, sorted by number where all ids are integers, else by name with numbers in order.

        Raises:
            SegToolkitError: no image fits the pattern, or two have the same id.
        """
        cases = self._find(self.description.image_pattern)
        if not cases:
            raise SegToolkitError(
                "no-cases",
                f"No file in {self.folder} fits the image pattern '{self.description.image_pattern}'.",
                "Mend 'image_pattern' (and 'channel') in the description.",
            )
        return cases

    @cached_property
    def test_cases(self) -> list[Case]:
        """The images set aside for testing (nnU-Net's imagesTs); empty if there are none."""
        pattern = self.description.test_image_pattern
        return self._find(pattern) if pattern else []

    @property
    def ids(self) -> list[str]:
        """The ids of ``cases``, in their order."""
        return [case.id for case in self.cases]

    def case(self, id: str | int) -> Case:
        """Return one case, of ``cases`` or ``test_cases``; 8, "8" and "08" mean the same integer id.

        Raises:
            SegToolkitError: there is no such case.
        """
        wanted = _integer_or_text(str(id))
        for case in [*self.cases, *self.test_cases]:
            if case.id == wanted:
                return case
        raise SegToolkitError(
            "no-case", f"{self.description.name} has no case {id}.", f"It has {', '.join(self.ids)}."
        )

    def read(self, case: Case) -> tuple[Volume, Volume | None]:
        """Read a case's image and, where there is one, its label: ``read_case``."""
        return read_case(case)

    def check(self) -> list[Problem]:
        """Read every case and list what is wrong.

        That is: files that cannot be read, a label on another grid than its image, missing, empty or
        unknown labels, a spacing that differs from the others' (or from the described one).
        """
        problems: list[Problem] = []
        spacings: dict[str, tuple[float, ...]] = {}
        labelled = any(case.label for case in self.cases)
        for case in self.cases:
            if case.label is None and labelled:
                problems.append(
                    Problem(case.id, "no-label", f"{case.image.name} has no label, other cases have.")
                )
            try:
                image, label = self.read(case)
            except SegToolkitError as error:
                problems.append(Problem(case.id, error.code, str(error)))
                continue
            spacings[case.id] = tuple(round(float(one), 3) for one in image.spacing)
            if label is not None and case.label is not None:
                problems.extend(self._label_problems(case, case.label, label))
        return problems + self._spacing_problems(spacings)

    def _label_problems(self, case: Case, path: Path, label: Volume) -> Iterator[Problem]:
        values = np.unique(label.voxels).astype(int)
        unknown = self.description.unknown_labels(values.tolist())
        if unknown:
            yield Problem(case.id, "unknown-label", f"{path.name}: {unknown}.")
        if not values.any():
            yield Problem(case.id, "empty-label", f"{path.name} holds background only.")

    def _spacing_problems(self, spacings: dict[str, tuple[float, ...]]) -> list[Problem]:
        expected = self.description.spacing
        common = max(list(spacings.values()), key=list(spacings.values()).count, default=None)
        wanted = tuple(round(one, 3) for one in expected) if expected else common
        return [
            Problem(id, "spacing", f"Case {id} has a spacing of {found} mm, {wanted} was expected.")
            for id, found in spacings.items()
            if wanted is not None and not np.allclose(found, wanted, rtol=1e-3)
        ]

    def _find(self, pattern: str) -> list[Case]:
        channel = self.description.channel or ""
        text = re.escape(pattern.replace("{channel}", channel)).replace(re.escape("{id}"), "(?P<id>[^/]+)")
        found: dict[str, Path] = {}
        for path in sorted(
            self.folder.glob(glob.escape(pattern.replace("{channel}", channel)).replace("{id}", "*"))
        ):
            match = re.fullmatch(text, path.relative_to(self.folder).as_posix())
            if match:
                found[match["id"]] = path
        if all(id.isdecimal() for id in found):
            self._check_distinct(found)
        cases = [Case(_integer_or_text(id), path, self._label_of(id)) for id, path in found.items()]
        return sorted(cases, key=lambda case: _natural(case.id))

    def _label_of(self, id: str) -> Path | None:
        pattern = self.description.label_pattern.replace("{channel}", self.description.channel or "")
        path = self.folder / pattern.replace("{id}", id)
        return path if path.is_file() else None

    def _check_distinct(self, found: dict[str, Path]) -> None:
        first: dict[int, Path] = {}
        for id, path in found.items():
            other = first.setdefault(int(id), path)
            if other != path:
                raise SegToolkitError(
                    "duplicate-id",
                    f"{other.name} and {path.name} in {path.parent} are both case {int(id)}.",
                    "Rename one of them.",
                )


def _integer_or_text(id: str) -> str:
    return str(int(id)) if id.isdecimal() else id


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key in which "case_9" comes before "case_10"."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
