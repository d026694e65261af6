"""Showing a map of the last run over its image, in all slice views."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Part import Part
from SegToolkitGui.scene import Overlay


class OverlayPart(Part):
    """The box "Overlay" below the result."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self._shown: list[tuple[str, str]] = []
        self.ui.overlayCombo.connect("currentIndexChanged(int)", self.onOverlay)

    def refresh(self) -> None:
        """Offer the last run's maps that are still there; the box shows which one lies over the image."""
        combo, maps = self.ui.overlayCombo, self._maps()
        if maps != self._shown:
            self._shown = maps
            combo.clear()
            combo.addItems([_("No overlay"), *(name for _id, name in maps)])
        ids = [nodeId for nodeId, _name in maps]
        over = Overlay.shown()
        combo.setCurrentIndex(ids.index(over) + 1 if over in ids else 0)
        combo.setEnabled(not self.panel.runner.busy)
        combo.setVisible(bool(maps))

    def _maps(self) -> list[tuple[str, str]]:
        """ID and name of each map's volume."""
        run = self.panel.runner.withResults
        ids = [one for result in run.results for one in result.mapIds.values()] if run is not None else []
        nodes = [slicer.mrmlScene.GetNodeByID(one) for one in dict.fromkeys(ids)]
        return [(node.GetID(), node.GetName()) for node in nodes if node is not None]

    def onOverlay(self, index: int) -> None:
        """Another map over the image that it belongs to, or none."""
        if not self._free() or not 0 <= index <= len(self._shown):
            return
        if index == 0:
            Overlay.hide()
            return
        nodeId = self._shown[index - 1][0]
        results = self.panel.runner.withResults.results
        volumeId = next(one.volumeId for one in results if nodeId in one.mapIds.values())
        Overlay.show(nodeId, volumeId)
