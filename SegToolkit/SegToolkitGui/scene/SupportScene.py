"""Support examples of a zip file as volumes and segmentations of the scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.scene import Placement
from SegToolkitGui.scene.NrrdFile import NrrdReader
from SegToolkitGui.scene.ResultImport import OutputChoice, ResultImport
from SegToolkitGui.scene.Steps import Steps
from SegToolkitGui.scene.VolumeLoad import VolumeLoad


@dataclass(frozen=True)
class LoadedSupport:
    """One outlined slice: volume, segmentation, segment IDs, slice axis (0, 1, 2) and index from 0."""

    volumeNode: object
    segmentationNode: object
    segmentIds: tuple[str, ...]
    axis: int
    index: int


class SupportLoad(Steps):
    """Loads items as the worker's ``unpack_support`` returns them; slices of one image share a volume.

    Attributes:
        loaded: one LoadedSupport for each outlined slice.

    Raises (from ``step``):
        UserError: "bad-file" and others of ``ResultImport``; what was loaded for it is removed again.
    """

    def __init__(self, items: list[dict], scene=None) -> None:
        super().__init__()
        self.loaded: list[LoadedSupport] = []
        self._items = items
        self._scene = scene or slicer.mrmlScene
        self._volumes: dict[str, object] = {}
        self._segmentations: dict[str, object] = {}

    def _work(self) -> Iterator[None]:
        try:
            for number, item in enumerate(self._items):
                yield from self._one(item)
                self.fraction = (number + 1) / len(self._items)
        except BaseException:
            for node in [*self._segmentations.values(), *self._volumes.values()]:
                if node.GetScene() is not None:
                    Placement.removeWithDisplay(self._scene, node)
            raise

    def _one(self, item: dict) -> Iterator[None]:
        image = str(item["image"])
        if image not in self._volumes:
            load = VolumeLoad(Path(image), self._scene, item.get("name") or Path(image).stem)
            yield from _pieces(load)
            self._volumes[image] = load.volumeNode
        volume = self._volumes[image]
        present = self._segmentations.get(image)
        structures = {int(value): one for value, one in item["structures"].items()}
        result = {
            "labels": str(item["mask"]),
            "offset": item["offset"],
            "size": NrrdReader(Path(item["mask"])).size,
            "structures": [{"label": value, "name": one["name"]} for value, one in structures.items()],
        }
        name = _("{name} outlines").format(name=volume.GetName())
        choice = OutputChoice("new" if present is None else "merge", present, name)
        appearance = {one["name"]: one for one in structures.values()}
        work = ResultImport(result, volume, choice, appearance)
        yield from _pieces(work)
        self._segmentations[image] = work.segmentationNode
        ids = tuple(work.segmentIds.values())
        for index in item["slices"]:
            self.loaded.append(
                LoadedSupport(volume, work.segmentationNode, ids, int(item["axis"]), int(index))
            )


def loadSupportItems(items: list[dict]) -> list[LoadedSupport]:
    """Load all items at once; see ``SupportLoad``."""
    work = SupportLoad(items)
    work.finish()
    return work.loaded


def _pieces(work: Steps) -> Iterator[None]:
    while not work.step(0):
        yield
