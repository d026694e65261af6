"""The volumes of a run: read once, kept in a cache on disk and mapped into memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.cache import Arrays, Cache
from SegToolkitLib.dataset.dataset import Case, Dataset, read_case
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.home import home_folder
from SegToolkitLib.methods.cooperative.data_settings import DataSettings
from SegToolkitLib.methods.cooperative.plan import InputPlan
from SegToolkitLib.methods.cooperative.prepare import stacked
from SegToolkitLib.methods.cooperative.slices import with_structures

# Of what this module makes; another number makes it anew.
VERSION = 1
MOST_CLASSES = 255


def cache_folder() -> Path:
    """Where prepared slices are kept for all runs."""
    return home_folder() / "cache" / "cooperative"


@dataclass(frozen=True)
class Scan:
    """One case of a run.

    Attributes:
        case: its files.
        plan: grid and intensities.
        classes: label value -> class.
        cache: keeps what is made.
    """

    case: Case
    plan: InputPlan
    classes: Mapping[int, int]
    cache: Cache

    @property
    def id(self) -> str:
        """Of the case."""
        return self.case.id

    @cached_property
    def arrays(self) -> Arrays:
        """ "image", float32 in the volume's own range of 0 to 1, and "label", uint8 classes; not cropped,
        [slices, rows, columns] each. "filled": numbers of the slices that show a structure."""
        return self.cache.get(self._key(), self._read)

    def __getstate__(self) -> dict[str, Any]:
        # Other processes map the arrays themselves.
        return {one.name: self.__dict__[one.name] for one in fields(self)}

    def _read(self) -> dict[str, NDArray[Any]]:
        image, label = read_case(self.case)
        stack = stacked(image, self.plan, crop=False)
        if label is None:
            raise SegToolkitError("no-label", f"Case {self.id} has no label.", "Label it, or leave it out.")
        classes = np.zeros(stack.pixels.shape, np.uint8)
        drawn = stack.label(label)
        for value, number in self.classes.items():
            classes[drawn == value] = number
        return {"image": stack.pixels, "label": classes, "filled": with_structures(classes)}

    def _key(self) -> dict[str, Any]:
        return {
            "what": "cooperative slices",
            "version": VERSION,
            "image": self.case.image,
            "label": self.case.label,
            "classes": sorted(self.classes.items()),
            "plan": self.plan.model_dump(mode="json", include={"spacing_mm", "percentiles", "n4"}),
        }


def classes_of(dataset: Dataset, settings: DataSettings) -> dict[int, int]:
    """Label value -> class: as the settings say, else the data set's labels in the order of their values.

    Raises:
        SegToolkitError: "no-labels", "unknown-label", "too-many-labels".
    """
    labels = dataset.description.labels
    known = sorted(value for name, value in labels.items() if value != 0 and name.casefold() != IGNORE)
    if not known:
        raise SegToolkitError(
            "no-labels",
            f"{dataset.description.name} describes no structures.",
            "Name their values under 'labels' in its dataset.json.",
        )
    if settings.classes is None:
        classes = {value: number for number, value in enumerate(known, start=1)}
    else:
        strange = sorted(set(settings.classes) - set(known))
        if strange:
            raise SegToolkitError(
                "unknown-label",
                f"{dataset.description.name} has no label {strange[0]} that could be a class.",
                f"Its labels are {labels}; mend data.classes.",
            )
        classes = dict(settings.classes)
    if len(set(classes.values())) > MOST_CLASSES:
        raise SegToolkitError(
            "too-many-labels",
            f"{dataset.description.name} has {len(classes)} structures; {MOST_CLASSES} are the most.",
            "Leave out some of them.",
        )
    return classes


def class_names(dataset: Dataset, settings: DataSettings) -> dict[int, str]:
    """Class -> name; labels that share a class share its name ("left lung + right lung").

    Raises:
        SegToolkitError: as :func:`classes_of`.
    """
    by_value = {value: name for name, value in dataset.description.labels.items()}
    names: dict[int, list[str]] = {}
    for value, number in sorted(classes_of(dataset, settings).items()):
        names.setdefault(number, []).append(by_value[value])
    return {number: " + ".join(joined) for number, joined in sorted(names.items())}


class Reader:
    """Reads the cases of a run, one by one; what cannot be used is told and left out.

    Args:
        dataset: of the run.
        settings: of its data.
        plan: grid and intensities.
        cache: folder of what was prepared before.
        reporter: hears of progress and of cases that are left out.

    Attributes:
        checksums: of the files that were read.
        failures: why a case was left out, by id.
    """

    def __init__(
        self, dataset: Dataset, settings: DataSettings, plan: InputPlan, cache: Path, reporter: Reporter
    ) -> None:
        self._dataset, self._plan, self._reporter = dataset, plan, reporter
        self._classes = classes_of(dataset, settings)
        self._cache = Cache(cache, settings.cache_gb)
        self.checksums: dict[str, str] = {}
        self.failures: dict[str, str] = {}

    def read(self, ids: Iterable[str], what: str) -> list[Scan]:
        """The scans of these cases; ``what`` they are, for the progress."""
        ids, scans = list(ids), []
        for done, id in enumerate(ids, start=1):
            try:
                scans.append(self._scan(id))
            except SegToolkitError as error:
                self.failures[id] = error.message
                self._reporter.warning(f"Case {id} is left out: {error.message}", error.hint)
            self._reporter.progress(f"reading {what}", done, len(ids))
        return scans

    def _scan(self, id: str) -> Scan:
        scan = Scan(self._dataset.case(id), self._plan, self._classes, self._cache)
        if not len(scan.arrays["filled"]):
            raise SegToolkitError(
                "empty-label", "None of its slices shows a structure.", "Label it, or leave it out."
            )
        self.checksums[id] = self._cache.content_hash(scan.case.image)
        if scan.case.label is not None:
            self.checksums[f"label of {id}"] = self._cache.content_hash(scan.case.label)
        return scan
