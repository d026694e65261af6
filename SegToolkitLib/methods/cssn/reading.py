"""The cases of a run, brought to the network's size one by one; what cannot be read is told and left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from SegToolkitLib.dataset.cache import Cache
from SegToolkitLib.dataset.case_reader import CaseReader
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.home import home_folder
from SegToolkitLib.methods.cssn.coarse import RULES, Coarse, Finder
from SegToolkitLib.methods.cssn.prepare import canonical
from SegToolkitLib.methods.cssn.scans import Layout, Region, Scan
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.volume import read_volume


def cache_folder() -> Path:
    """Where prepared arrays are kept for all runs."""
    return home_folder() / "cache" / "cssn"


class Reader(CaseReader):
    """Reads the cases of a stage, see :class:`CaseReader`.

    Args:
        dataset: of the run.
        settings: of the run.
        organs: value -> name, in the order of the channels.
        coarse: finds the organs of unlabelled images; None takes whole volumes.
        cache: folder of what was prepared before.
        device: where the coarse stage runs.
        reporter: hears of progress and of cases that are left out.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: CssnSettings,
        organs: Mapping[int, str],
        coarse: Coarse | None,
        cache: Path,
        device: torch.device,
        reporter: Reporter,
    ) -> None:
        super().__init__(Cache(cache, settings.data.cache_gb), reporter)
        self._dataset, self._settings, self._coarse = dataset, settings, coarse
        self._device = device
        self._layout = Layout(
            settings.size,
            tuple(organs),
            settings.data.region_margin_mm,
            keep_whole=settings.stage == "fine" and settings.augment.crop_probability > 0,
        )

    @property
    def by_label(self) -> bool:
        """Whether labelled images are cut to their organs; otherwise their whole volume counts."""
        wanted = self._settings.data.region
        if self._settings.stage == "coarse" or wanted == "whole":
            return False
        return wanted == "organs" or self._coarse is not None

    def read(self, ids: Iterable[str], labelled: bool, what: str) -> list[Scan]:
        """The scans of these cases, prepared; ``what`` they are, for the progress."""
        return self._each(ids, what, lambda id: self._scan(id, labelled))

    def _scan(self, id: str, labelled: bool) -> Scan:
        case = self._dataset.case(id)
        region: Region = "whole"
        if self.by_label:
            region = "label" if labelled else self._found(id)
        scan = Scan(case, labelled, self._layout, self._cache, region)
        _ = scan.fitted
        self._note(case, label=labelled)
        return scan

    def _found(self, id: str) -> Region:
        """Where the coarse model sees the organs of an unlabelled case."""
        if self._coarse is None:
            return "whole"
        image = self._dataset.case(id).image
        key: dict[str, Any] = {
            "what": "cssn region",
            "coarse": self._coarse.fingerprint,
            "rules": self._coarse.inference.model_dump(mode="json", include=set(RULES)),
            "image": image,
        }

        def look() -> dict[str, Any]:
            return {"extent": np.array(self._finder.extent(canonical(read_volume(image))))}

        low, high = self._cache.get(key, look)["extent"].tolist()
        return tuple(low), tuple(high)

    @cached_property
    def _finder(self) -> Finder:
        assert self._coarse is not None
        return Finder(self._coarse, self._device, self._settings.precision)
