"""The confidence map of a run as a coloured volume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Placement
from SegToolkitGui.scene.Steps import Steps
from SegToolkitGui.scene.VolumeLoad import VolumeLoad

_ATTRIBUTE = "SegToolkit.ConfidenceColours"
# From unsure to sure: dark blue, teal, yellow; also told apart by those who do not see red and green.
_ANCHORS = ((0.0, (0.05, 0.03, 0.30)), (0.5, (0.13, 0.57, 0.55)), (1.0, (0.99, 0.91, 0.14)))
_STEPS = 256


class ConfidenceImport(Steps):
    """Reads a confidence map, values 0 to 1, in pieces; it is placed as the volume it belongs to.

    Attributes:
        volumeNode: the node, when done.

    Raises (from ``step``):
        UserError: "bad-file", "volume-deleted".
    """

    def __init__(self, path: Path, queryVolume, name: str) -> None:
        super().__init__()
        self.volumeNode = None
        self._query = queryVolume
        self._load = VolumeLoad(path, queryVolume.GetScene(), name)
        self._load.window = (0.0, 1.0)

    def _work(self) -> Iterator[None]:
        while True:
            if self._query.GetScene() is None:
                text = _("The volume was deleted before its confidence map arrived.")
                raise UserError("volume-deleted", text, _("Start again."))
            if self._load.step(0):
                break
            self.fraction = self._load.fraction
            yield
        node = self._load.volumeNode
        colours = confidenceColours(self._query.GetScene())
        node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
        Placement.placeBeside(node, self._query)
        self.volumeNode = node


def importConfidence(path: Path, queryVolume, name: str):
    """Read a confidence map at once; see ``ConfidenceImport``. Returns the vtkMRMLScalarVolumeNode."""
    work = ConfidenceImport(path, queryVolume, name)
    work.finish()
    return work.volumeNode


def confidenceColours(scene):
    """The scene's colour table for confidence; made at the first call."""
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")):
        table = scene.GetNthNodeByClass(number, "vtkMRMLColorTableNode")
        if table.GetAttribute(_ATTRIBUTE):
            return table
    table = scene.AddNewNodeByClass("vtkMRMLColorTableNode", scene.GenerateUniqueName(_("Confidence")))
    table.SetTypeToUser()
    table.SetNumberOfColors(_STEPS)
    for number in range(_STEPS):
        value = number / (_STEPS - 1)
        (low, dark), (high, bright) = _ANCHORS[:2] if value < 0.5 else _ANCHORS[1:]
        share = (value - low) / (high - low)
        colour = [a + share * (b - a) for a, b in zip(dark, bright, strict=True)]
        table.SetColor(number, f"{value:.2f}", *colour, 1.0)
    table.SetAttribute(_ATTRIBUTE, "1")
    return table
