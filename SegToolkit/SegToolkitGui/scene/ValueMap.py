"""A map of values from 0 to 1 that belongs to a run, as a coloured volume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import ColourRamps, Placement
from SegToolkitGui.scene.Steps import Steps
from SegToolkitGui.scene.VolumeLoad import VolumeLoad


class ValueMapImport(Steps):
    """Reads a map in pieces; it is placed as the volume it belongs to.

    Args:
        path: the worker's NRRD file.
        queryVolume: the volume that was segmented.
        name: of the new node.
        ramp: its colours.

    Attributes:
        volumeNode: the node, when done.

    Raises (from ``step``):
        UserError: "bad-file", "volume-deleted".
    """

    def __init__(
        self, path: Path, queryVolume, name: str, ramp: ColourRamps.Ramp = ColourRamps.CONFIDENCE
    ) -> None:
        super().__init__()
        self.volumeNode = None
        self._query = queryVolume
        self._ramp = ramp
        self._load = VolumeLoad(path, queryVolume.GetScene(), name)
        self._load.window = (0.0, 1.0)

    def _work(self) -> Iterator[None]:
        while True:
            if self._query.GetScene() is None:
                text = _("The volume was deleted before its map arrived.")
                raise UserError("volume-deleted", text, _("Start again."))
            if self._load.step(0):
                break
            self.fraction = self._load.fraction
            yield
        node = self._load.volumeNode
        colours = ColourRamps.table(self._query.GetScene(), self._ramp)
        node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
        Placement.placeBeside(node, self._query)
        self.volumeNode = node
