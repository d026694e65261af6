"""What one run is asked to do, and why it cannot be done."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from slicer.i18n import tr as _

from SegToolkitGui.Paths import exists, isFolder

# What the name of a folder cannot hold on one system or another; the library has the last word.
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|^[.-]|[. ]$')
LONGEST = 80


@dataclass
class RunPlan:
    """Everything that a training begins with.

    Attributes:
        name: of the run, unique in the runs folder.
        method: name of the method.
        dataset: folder of the data set, or its description file.
        settings: all settings of the method, nested.
        places: further inputs, name -> path.
        device: "auto", "cpu", "cuda:0", ...
        memoryMb: what the estimate says it needs, None where there is none.
        root: runs folder; "" is the library's own choice.
        needsDataset: whether the method trains on a data set.
        made: names of places that the run makes where they are missing.
        data: folder of the data set's volumes; "" where its description says.
    """

    name: str
    method: str
    dataset: str
    settings: dict[str, Any]
    places: dict[str, str] = field(default_factory=dict)
    device: str = "auto"
    memoryMb: float | None = None
    root: str = ""
    needsDataset: bool = True
    made: frozenset[str] = frozenset()
    data: str = ""

    def problem(self, taken: set[str]) -> str:
        """Why it cannot begin, in a sentence; "" if it can.

        Args:
            taken: names of the runs there are.
        """
        if not self.dataset and self.needsDataset:
            return _("Choose the folder of a data set, or collect one from the scene.")
        if self.dataset and not exists(self.dataset):
            return _("{path} is no longer there.").format(path=self.dataset)
        if self.data and not isFolder(self.data):
            return _("The folder of the volumes, {folder}, is not there.").format(folder=self.data)
        for name, path in self.places.items():
            if name not in self.made and not exists(path):
                return _("{name}: {path} does not exist.").format(name=name, path=path)
        return nameProblem(self.name, taken)

    def body(self) -> dict:
        """As the worker's verb job_start takes it."""
        values: dict = {
            "name": self.name,
            "method": self.method,
            "dataset": self.dataset or None,
            "data": self.data or None,
            "settings": self.settings,
            "places": self.places,
            "device": self.device,
            "memory_mb": self.memoryMb,
        }
        return {**values, "root": self.root} if self.root else values


def madePlaces(method: dict | None) -> frozenset[str]:
    """Names of a method's places that a run makes where they are missing."""
    places = method["places"] if method else []
    return frozenset(place["name"] for place in places if place.get("made"))


def nameProblem(name: str, taken: set[str]) -> str:
    """Why a run cannot have this name, "" if it can."""
    if not name:
        return _("Give the run a name.")
    if FORBIDDEN.search(name) or len(name) > LONGEST:
        return _("The name {name!r} cannot be used: letters, digits, dots and dashes, at most {n}.").format(
            name=name, n=LONGEST
        )
    if name.lower() in {one.lower() for one in taken}:
        return _("There is a run {name} already; choose another name.").format(name=name)
    return ""


def proposedName(method: str, preset: str, taken: set[str], today: date | None = None) -> str:
    """A free name: alpnet-quick-2026-11-21, alpnet-quick-2026-11-21-2, ..."""
    parts = [method, preset, (today or date.today()).isoformat()]
    return freeName("-".join(part for part in parts if part), taken)


def freeName(name: str, taken: set[str]) -> str:
    """The name, or with the first number that makes it free."""
    base, low, number = name, {one.lower() for one in taken}, 2
    while name.lower() in low:
        name, number = f"{base}-{number}", number + 1
    return name
