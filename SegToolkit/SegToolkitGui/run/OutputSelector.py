"""The selector of the segmentation that results go into; "none" makes a new one."""

from __future__ import annotations

from SegToolkitGui import NodeChoice
from SegToolkitGui.Part import Part


class OutputSelector(Part):
    """Keeps what is chosen in the parameters' ``outputSegmentation``.

    Args:
        panel: the panel.
        selector: qMRMLNodeComboBox of segmentations.
    """

    def __init__(self, panel, selector) -> None:
        super().__init__(panel)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self.onOutput)

    def onOutput(self, node) -> None:
        """Another output, or the one that was chosen is being deleted: never its neighbour then."""
        if self._free():
            NodeChoice.settled(self.panel.parameters.outputSegmentation, node, self._take)

    def _take(self, node) -> None:
        if self.panel.parameters is not None:
            self.panel.parameters.outputSegmentation = node
            self.panel.changed()
