"""A node selector bound to one of the scene's choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from SegToolkitGui import NodeChoice
from SegToolkitGui.Part import Part


class NodeSelector(Part):
    """Keeps what a person chooses in one of the panel's parameters; a node that is deleted leaves none.

    The panel's own part shows the choice: ``selector.setCurrentNode`` in its ``refresh``.

    Args:
        panel: the panel.
        selector: qMRMLNodeComboBox or qMRMLSegmentSelectorWidget.
        name: of the parameter.
        onTaken: called after another node, or none, was taken.
    """

    def __init__(self, panel, selector, name: str, onTaken: Callable[[], Any] | None = None) -> None:
        super().__init__(panel)
        self._name = name
        self._onTaken = onTaken
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self.onNode)

    def onNode(self, node) -> None:
        """Another node, or the one that was chosen is being deleted: never its neighbour then."""
        if self._free():
            NodeChoice.settled(getattr(self.panel.parameters, self._name), node, self._take)

    def _take(self, node) -> None:
        if self.panel.parameters is None:
            return
        setattr(self.panel.parameters, self._name, node)
        if self._onTaken is not None:
            self._onTaken()
        self.panel.changed()
