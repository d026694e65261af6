"""The main window: found by slicer.util.mainWindow(), holds the module selector."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QMainWindow, QToolBar


class qSlicerModuleSelectorToolBar(QToolBar):
    """Selects the module that is shown."""

    moduleSelected = Signal(str)

    def __init__(self, select: Callable[[str], None]):
        super().__init__()
        self._select = select
        self._selected = ""

    def _read(self) -> str:
        return self._selected

    def _write(self, name: str) -> None:
        self.selectModule(name)

    selectedModule = Property(str, _read, _write)

    def selectModule(self, name: str) -> None:
        if name == self._selected:
            return
        self._selected = name
        self._select(name)
        self.moduleSelected.emit(name)


class qSlicerMainWindow(QMainWindow):
    """An empty main window; panels of modules are windows of their own here."""

    def __init__(self, select: Callable[[str], None]):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer")
        self._selector = qSlicerModuleSelectorToolBar(select)
        self.addToolBar(self._selector)
        self.statusBar()

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._selector

    def pythonConsole(self) -> None:
        """The host has no Python console."""
        return None
