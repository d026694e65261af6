"""The section "1. Volumes": volumes of the scene."""

from __future__ import annotations

import qt

from SegToolkitGui.NodeSelector import NodeSelector
from SegToolkitGui.Part import Part


class InputPart(Part):
    """One volume, and further ones."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self.inputSelector = NodeSelector(panel, self.ui.inputSelector, "inputVolume")
        self.ui.moreSelector.connect("checkedNodesChanged()", self.onMore)

    def volumes(self) -> list:
        """The chosen volumes, each once."""
        parameters = self.panel.parameters
        nodes = [parameters.inputVolume, *parameters.moreVolumes]
        return list(dict.fromkeys(node for node in nodes if node is not None))

    def refresh(self) -> None:
        """Show what is chosen."""
        parameters, ui, busy = self.panel.parameters, self.ui, self.panel.runner.busy
        ui.inputSelector.setCurrentNode(parameters.inputVolume)
        for node in list(ui.moreSelector.checkedNodes()):
            if node not in parameters.moreVolumes:
                ui.moreSelector.setCheckState(node, qt.Qt.Unchecked)
        for node in parameters.moreVolumes:
            if node is not None:
                ui.moreSelector.setCheckState(node, qt.Qt.Checked)
        ui.inputSelector.setEnabled(not busy)
        ui.moreSelector.setEnabled(not busy)

    def onMore(self) -> None:
        """More or fewer volumes."""
        if self._free():
            self.panel.parameters.moreVolumes = list(self.ui.moreSelector.checkedNodes())
