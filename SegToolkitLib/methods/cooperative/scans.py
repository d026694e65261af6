"""The volumes of a run: read once, kept in a cache on disk and mapped into memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from SegToolkitLib.dataset.cache import Arrays, Cache
from SegToolkitLib.dataset.case_reader import CachedCase, CaseReader
from SegToolkitLib.dataset.classes import as_classes, classes_of
from SegToolkitLib.dataset.dataset import Case, Dataset, read_case
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.home import home_folder
from SegToolkitLib.methods.cooperative.data_settings import DataSettings
from SegToolkitLib.methods.cooperative.plan import InputPlan
from SegToolkitLib.methods.cooperative.prepare import stacked
from SegToolkitLib.methods.cooperative.slices import with_structures

# Of what this module makes; another number makes it anew.
VERSION = 1


def cache_folder() -> Path:
    """Where prepared slices are kept for all runs."""
    return home_folder() / "cache" / "cooperative"


@dataclass(frozen=True)
class Scan(CachedCase):
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

    @cached_property
    def arrays(self) -> Arrays:
        """ "image", float32 in the volume's own range of 0 to 1, and "label", uint8 classes; not cropped,
        [slices, rows, columns] each. "filled": numbers of the slices that show a structure."""
        return self.cache.get(self._key(), self._read)

    def _read(self) -> dict[str, NDArray[Any]]:
        image, label = read_case(self.case)
        stack = stacked(image, self.plan, crop=False)
        if label is None:
            raise SegToolkitError("no-label", f"Case {self.id} has no label.", "Label it, or leave it out.")
        classes = as_classes(stack.label(label), self.classes)
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


class Reader(CaseReader):
    """Reads the cases of a run, see :class:`CaseReader`.

    Args:
        dataset: of the run.
        settings: of its data.
        plan: grid and intensities.
        cache: folder of what was prepared before.
        reporter: hears of progress and of cases that are left out.
    """

    def __init__(
        self, dataset: Dataset, settings: DataSettings, plan: InputPlan, cache: Path, reporter: Reporter
    ) -> None:
        super().__init__(Cache(cache, settings.cache_gb), reporter)
        self._dataset, self._plan = dataset, plan
        self._classes = classes_of(dataset, settings)

    def read(self, ids: Iterable[str], what: str) -> list[Scan]:
        """The scans of these cases; ``what`` they are, for the progress."""
        return self._each(ids, what, self._scan)

    def _scan(self, id: str) -> Scan:
        scan = Scan(self._dataset.case(id), self._plan, self._classes, self._cache)
        if not len(scan.arrays["filled"]):
            raise SegToolkitError(
                "empty-label", "None of its slices shows a structure.", "Label it, or leave it out."
            )
        self._note(scan.case)
        return scan
