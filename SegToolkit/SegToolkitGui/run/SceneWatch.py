"""The nodes that a run needs, watched while it is under way."""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _


class SceneWatch:
    """Tells when a node that is needed leaves the scene, or when the scene is closed.

    Args:
        nodeIds: MRML IDs that are needed.
        onGone: called with a sentence, at most once.
    """

    def __init__(self, nodeIds: set[str], onGone) -> None:
        self._ids = nodeIds
        self._onGone = onGone
        self._closing = False
        scene = slicer.mrmlScene
        self._tags = [
            scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._onClose),
            scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._onRemoved),
        ]
        self._scene = scene

    def end(self) -> None:
        """Stop watching."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    def _onClose(self, _caller, _event) -> None:
        self._tell(_("The scene was closed while the run was under way."))

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onRemoved(self, _caller, _event, node) -> None:
        if node is not None and node.GetID() in self._ids:
            self._tell(_("{name} was deleted while the run was under way.").format(name=node.GetName()))

    def _tell(self, text: str) -> None:
        if self._tags:
            self.end()
            self._onGone(text)
