"""The images of a run: read once, kept at the network's size in a cache on disk, and mapped into memory.

Source of sizes, filters and the released rule for masks: released code of PDCR and UAFR.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.cache import Arrays, Cache
from SegToolkitLib.dataset.case_reader import CachedCase, CaseReader
from SegToolkitLib.dataset.classes import as_classes, classes_of
from SegToolkitLib.dataset.dataset import Case, Dataset, read_case
from SegToolkitLib.dataset.masks import foreground, is_picture
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.home import home_folder
from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan
from SegToolkitLib.methods.pdcr_uafr.settings import DataSettings
from SegToolkitLib.methods.pdcr_uafr.slices import (
    Pixels,
    Stack,
    resized,
    resized_as_released,
    resized_classes,
    stacked,
)

# Of what this module makes; another number makes it anew.
VERSION = 1


def cache_folder() -> Path:
    """Where prepared images are kept for all runs."""
    return home_folder() / "cache" / "pdcr_uafr"


@dataclass(frozen=True)
class Scan(CachedCase):
    """One case of a run: a picture, or the slices of a volume.

    Attributes:
        case: its files.
        plan: size, slices and intensities.
        classes: label value -> class.
        released: whether masks are resized as released.
        whole: keep the classes at their own size, too, for a validation.
        cache: keeps what is made.
    """

    case: Case
    plan: InputPlan
    classes: Mapping[int, int]
    released: bool
    whole: bool
    cache: Cache

    @cached_property
    def arrays(self) -> Arrays:
        """ "image", uint8 [slices, rows, columns, 3], and "mask", uint8 classes [slices, rows, columns], at
        the plan's size. "filled": numbers of the slices that show a structure. "truth": classes at the size
        of the case, where they are wanted."""
        return self.cache.get(self._key(), self._read)

    def _read(self) -> dict[str, NDArray[Any]]:
        stack, values = read_slices(self.case, self.plan)
        truth = classes_in(values, self.case, self.classes)
        if self.released:
            # Painted in two values, whichever those are, or as JPEG has left it.
            painted = truth * np.uint8(255) if len(np.unique(values)) <= 2 else np.clip(values, 0, 255)
            mask = resized_as_released(painted.astype(np.uint8), self.plan.size)
        else:
            mask = resized_classes(truth, self.plan.size)
        made: dict[str, NDArray[Any]] = {
            "image": resized(stack.pixels, self.plan.size),
            "mask": mask,
            "filled": np.flatnonzero(mask.any(axis=(1, 2))),
        }
        return made | ({"truth": truth} if self.whole else {})

    def _key(self) -> dict[str, Any]:
        return {
            "what": "pdcr_uafr images",
            "version": VERSION,
            "image": self.case.image,
            "label": self.case.label,
            "picture": self.case.label is not None and is_picture(self.case.label),
            "classes": sorted(self.classes.items()),
            "plan": self.plan.model_dump(mode="json", include={"size", "percentiles", "slices"}),
            "mask": [self.released, self.whole],
        }


def read_slices(case: Case, plan: InputPlan) -> tuple[Stack, NDArray[Any]]:
    """The slices of a labelled case, and the values of its label [slices, rows, columns].

    Raises:
        SegToolkitError: "no-label", "label-grid", or what reading raises.
    """
    image, label = read_case(case)
    if label is None:
        raise SegToolkitError("no-label", f"Case {case.id} has no label.", "Label it, or leave it out.")
    stack = stacked(image, plan)
    return stack, stack.label(label)


def classes_in(values: NDArray[Any], case: Case, classes: Mapping[int, int]) -> Pixels:
    """Label values of any shape as classes.

    A picture that marks a single structure may do so with other values than the described one: 255, or what
    JPEG makes of it.
    """
    if len(classes) == 1 and case.label is not None and is_picture(case.label):
        ((value, number),) = classes.items()
        if not set(np.unique(values).tolist()) <= {0, value}:
            return foreground(values).astype(np.uint8) * np.uint8(number)
    return as_classes(values, classes)


class Reader(CaseReader):
    """Reads the cases of a run, see :class:`CaseReader`.

    Args:
        dataset: of the run.
        settings: of its data.
        plan: size, slices and intensities.
        cache: folder of what was prepared before.
        reporter: hears of progress and of cases that are left out.

    Raises:
        SegToolkitError: "mask-rule": the released rule knows one structure only; what ``classes_of`` raises.
    """

    def __init__(
        self, dataset: Dataset, settings: DataSettings, plan: InputPlan, cache: Path, reporter: Reporter
    ) -> None:
        super().__init__(Cache(cache, settings.cache_gb), reporter)
        self._dataset, self._plan = dataset, plan
        self._classes = classes_of(dataset, settings)
        self._released = settings.mask_rule == "released"
        if self._released and len(self._classes) > 1:
            raise SegToolkitError(
                "mask-rule",
                f"The released rule for masks knows one structure, and there are {len(self._classes)}.",
                "Take data.mask_rule=threshold.",
            )

    def read(self, ids: Iterable[str], what: str, whole: bool = False) -> list[Scan]:
        """The images of these cases.

        Args:
            ids: of the cases.
            what: they are, for the progress.
            whole: whether classes are wanted at their own size, too.
        """
        return self._each(ids, what, lambda id: self._scan(id, whole))

    def _scan(self, id: str, whole: bool) -> Scan:
        case = self._dataset.case(id)
        scan = Scan(case, self._plan, self._classes, self._released, whole, self._cache)
        assert len(scan.arrays["image"])  # reads it now, so that what is wrong is told before the training
        self._note(case)
        return scan
