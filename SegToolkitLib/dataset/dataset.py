"""A folder of cases, each an image with or without a label, found by the patterns of its description."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from SegToolkitLib.dataset.case import Case as Case
from SegToolkitLib.dataset.case import case_key as case_key
from SegToolkitLib.dataset.case import read_case as read_case
from SegToolkitLib.dataset.checks import Problem, check
from SegToolkitLib.dataset.description import FILE_NAME, DatasetDescription
from SegToolkitLib.dataset.folds import FoldSplit, fold_split
from SegToolkitLib.dataset.nnunet import Listing, from_nnunet, is_nnunet, listing_of
from SegToolkitLib.dataset.splits import read_splits, support_split
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json
from SegToolkitLib.volume import Volume

Progress = Callable[[int, int], None]


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
        listing: image and label of each case by id, where a description lists them one by one.
        assumed: nobody named the folder; it is that of the description file.
    """

    description: DatasetDescription
    folder: Path
    listing: Listing | None = None
    assumed: bool = False

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
                "Name the folder that holds them: --data FOLDER, or 'folder' in the description.",
            )
        place = place.resolve()
        assumed = folder is None and not description.folder
        return cls(description, place, listing_of(values, place) if is_nnunet(values) else None, assumed)

    @cached_property
    def cases(self) -> list[Case]:
        """The cases, sorted by number where all ids are integers, else by name with numbers in order.

        Raises:
            SegToolkitError: no image fits the pattern, or two have the same id.
        """
        pattern = self.description.image_pattern
        cases = self._find(pattern) if self.listing is None else self._listed(self.listing)
        if self.listing is None and self.description.unlabelled_image_pattern:
            cases += self._find(self.description.unlabelled_image_pattern, unlabelled=True)
        if not cases:
            if self.listing is not None:
                raise SegToolkitError(
                    "no-cases", f"{self.folder} has no cases.", "Add some (segtoolkit dataset add)."
                )
            mend = "mend 'image_pattern' (and 'channel') in the description."
            several = pattern.count("{id}") > 1
            like = self._resembling(pattern, self.description.main_channel or "") if several else []
            almost = like[0].relative_to(self.folder).as_posix() if like else ""
            raise SegToolkitError(
                "no-cases",
                f"No file in {self.folder} fits the image pattern '{pattern}'"
                + (f", in which each {{id}} is the same text; '{almost}' has several." if like else "."),
                "Give the folder of the volumes first: --data FOLDER, or 'folder' in the description."
                f" If it is this one, {mend}"
                if self.assumed
                else f"If this is the folder of the volumes, {mend}",
            )
        doubled = [id for id, count in Counter(case.id for case in cases).items() if count > 1]
        if doubled:
            raise SegToolkitError(
                "duplicate-id",
                f"{self.folder} has two images of case {doubled[0]}, one with a label and one without.",
                "Remove or rename one of them.",
            )
        return sorted(cases, key=lambda case: _natural(case.id))

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
        wanted = case_key(str(id))
        for case in [*self.cases, *self.test_cases]:
            if case.id == wanted:
                return case
        raise SegToolkitError(
            "no-case", f"{self.description.name} has no case {id}.", f"It has {', '.join(self.ids)}."
        )

    def read(self, case: Case) -> tuple[Volume, Volume | None]:
        """Read a case's image and, where there is one, its label: ``read_case``."""
        return read_case(case)

    def check(self, progress: Progress | None = None) -> list[Problem]:
        """Read every case and list what is wrong: ``checks.check``."""
        return check(self, progress)

    @cached_property
    def patients(self) -> dict[str, str]:
        """The patient of every case, by case id; a case of which nothing is known is a patient of its own."""
        named = {case_key(id): patient for id, patient in self.description.patients.items()}
        return {case.id: named.get(case.id, case.id) for case in self.cases}

    @cached_property
    def not_annotated(self) -> dict[str, list[str]]:
        """Structures that nobody looked for, by case id: in these cases background means nothing for them."""
        return {case_key(id): list(names) for id, names in self.description.not_annotated.items()}

    @property
    def fold_count(self) -> int:
        """Number of folds: of splits.json where it exists, else as described; 0 if the patients are too few.

        Raises:
            SegToolkitError: splits.json, or the description's borders, do not fit the cases.
        """
        splits = read_splits(self)
        if splits is not None:
            return len(splits)
        facts, patients = self.description, set(self.patients.values())
        if facts.fold_borders is None and facts.folds > len(patients):
            return 0
        return len(self.description.borders(len(self.ids))) - 1

    def split(self, fold: int, n_support: int = 1) -> FoldSplit:
        """The cases of a fold: of splits.json in the data set's folder where it exists, else by borders.

        Args:
            fold: number of the fold, from 0.
            n_support: how many of the fold's validation cases serve as examples. With splits.json they are
                its last; with borders they follow it (``fold_split``). No patient is on both sides.

        Raises:
            SegToolkitError: there is no such fold, it leaves nothing to train on or to segment, or
                splits.json is wrong.
        """
        splits = read_splits(self)
        if splits is not None:
            return support_split(splits, fold, n_support)
        borders = self.description.borders(len(self.ids))
        return fold_split(self.ids, borders, fold, n_support, self.patients)

    def _listed(self, listing: Listing) -> list[Case]:
        cases = [
            Case(
                case_key(id),
                images[0],
                label if label and label.is_file() else None,
                label is None,
                # Fewer images than channels: told of by who reads them all, and by the check.
                dict(zip(self.description.channels, images, strict=False)),
            )
            for id, (images, label) in listing.items()
        ]
        self._check_distinct({id: images[0] for id, (images, _) in listing.items()})
        return cases

    def _find(self, pattern: str, unlabelled: bool = False) -> list[Case]:
        found = self._matching(pattern, self.description.main_channel or "")
        self._check_distinct(found)
        cases = [
            Case(
                case_key(id),
                path,
                None if unlabelled else self._label_of(id),
                unlabelled,
                {
                    name: self.folder / pattern.replace("{channel}", text).replace("{id}", id)
                    for name, text in self.description.channels.items()
                },
            )
            for id, path in found.items()
        ]
        return sorted(cases, key=lambda case: _natural(case.id))

    def _matching(self, pattern: str, channel: str) -> dict[str, Path]:
        """The files of a pattern and channel, by the text that stands for the case."""
        id = re.escape("{id}")
        text = re.escape(pattern.replace("{channel}", channel)).replace(id, "(?P<id>[^/]+)", 1)
        wanted = re.compile(text.replace(id, "(?P=id)"))
        found: dict[str, Path] = {}
        for path in self._resembling(pattern, channel):
            match = wanted.fullmatch(path.relative_to(self.folder).as_posix())
            if match:
                found[match["id"]] = path
        return found

    def _resembling(self, pattern: str, channel: str) -> list[Path]:
        """The files of a pattern and channel, whatever stands for the case in its several places."""
        stars = glob.escape(pattern.replace("{channel}", channel)).replace("{id}", "*")
        found = [(path.relative_to(self.folder).as_posix(), path) for path in self.folder.glob(stars)]
        # Hidden is what a writer that was killed left behind, but for a folder that the pattern names.
        named = "/." in f"/{pattern}"
        return sorted(
            path
            for place, path in found
            if not path.name.startswith(".") and (named or "/." not in f"/{place}")
        )

    def without_image(self) -> dict[str, Path]:
        """Images of other channels whose case lacks the image of the main channel, by the case's id: such a
        case is none of ``cases``."""
        facts, known = self.description, set(self.ids)
        patterns = [] if self.listing is not None else [facts.image_pattern, facts.unlabelled_image_pattern]
        return {
            case_key(id): path
            for pattern in patterns
            if pattern
            for text in facts.channels.values()
            for id, path in self._matching(pattern, text).items()
            if case_key(id) not in known
        }

    def _label_of(self, id: str) -> Path | None:
        pattern = self.description.label_pattern.replace("{channel}", self.description.main_channel or "")
        path = self.folder / pattern.replace("{id}", id)
        return path if path.is_file() else None

    def _check_distinct(self, found: dict[str, Path]) -> None:
        if not all(id.isdecimal() for id in found):
            return
        first: dict[int, Path] = {}
        for id, path in found.items():
            other = first.setdefault(int(id), path)
            if other != path:
                raise SegToolkitError(
                    "duplicate-id",
                    f"{other.name} and {path.name} in {path.parent} are both case {int(id)}.",
                    "Rename one of them.",
                )


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key in which "case_9" comes before "case_10"."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
