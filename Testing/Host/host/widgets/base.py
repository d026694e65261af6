"""Stand-in for the widget that knows the scene."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QWidget

from .declare import vtkSignatures


@vtkSignatures("mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)")
class qMRMLWidget(QWidget):
    """A widget with a scene; its signal hands the scene on to its children."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._scene: Any = None

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self._sceneWasSet()
        self.mrmlSceneChanged.emit(scene)

    def _sceneWasSet(self) -> None:
        """Let a subclass hand the scene to its parts before the others hear of it."""

    def mrmlScene(self) -> Any:
        return self._scene

    def preInitializeApplication(self) -> None:
        """Do nothing: the real one prepares OpenGL."""

    def postInitializeApplication(self) -> None:
        """Do nothing: the real one prepares OpenGL."""

    def pixmapFromIcon(self, icon: QIcon) -> QPixmap:
        return icon.pixmap(16, 16)
