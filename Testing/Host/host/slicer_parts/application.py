"""The application as the tests hold it: load modules, show them, close the scene, quit."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication, QWidget

from . import pytorch_utils, scripted
from .answers import Answers
from .app import qSlicerApplication
from .io_manager import qSlicerIOManager
from .layout import qSlicerLayoutManager
from .main_window import qSlicerMainWindow
from .modules import ModuleRegistry
from .namespace import fillNamespace
from .python_manager import qSlicerPythonManager
from .scene import SceneParts
from .settings import redirectDefaultSettings


class Application:
    """One running application; a process has one.

    Attributes:
        app: what slicer.app is. scene: slicer.mrmlScene. logics: module name -> logic.
        answers: see answers.py.
        mainWindow: the main window. folder: temporary folder of this session, removed by quit().
    """

    def __init__(self, qtApplication: QApplication, testing: bool):
        self._qt = qtApplication
        self._shown: str | None = None
        self._ended = False
        self.answers = Answers()
        self.folder = Path(tempfile.mkdtemp(prefix="SlicerHost-"))
        redirectDefaultSettings(qtApplication, self.folder)
        self.parts = SceneParts(self.folder)
        self.scene = self.parts.scene
        self.logics = self.parts.logics
        self.registry = ModuleRegistry()
        self.app = qSlicerApplication(qtApplication, self.parts, self.folder, testing)
        fillNamespace(self)
        self.app._managers.update(
            io=qSlicerIOManager(self.parts),
            modules=self.registry.manager,
            layout=qSlicerLayoutManager(self.parts),
            python=qSlicerPythonManager(),
        )
        self.registry.addCoreModules(self.logics, self.scene)
        self.mainWindow = qSlicerMainWindow(self._selected)
        self.mainWindow.show()

    def loadModule(self, path: Path | str) -> Any:
        """Load a scripted module from its file; returns what slicer.modules.<name in lower case> is."""
        return scripted.loadModule(Path(path), self.registry, self.parts.applicationLogic, self.scene)

    def addPyTorchExtension(self) -> Any:
        """As if the extension PyTorch were installed; returns its module, see pytorch_utils.py."""
        sys.modules["PyTorchUtils"] = pytorch_utils
        return pytorch_utils

    def removePyTorchExtension(self) -> None:
        """As if it were not: `import PyTorchUtils` fails."""
        sys.modules.pop("PyTorchUtils", None)

    def started(self) -> None:
        """Say that start-up is over: startupCompleted, once all modules are loaded."""
        self.app.startupCompleted.emit()

    def showModule(self, name: str) -> QWidget | None:
        """Select a module: the one shown before is left; this one is created if need be, shown, entered."""
        self.mainWindow.moduleSelector().selectModule(name)
        return self.panel(name)

    def panel(self, name: str) -> QWidget | None:
        """The widget of a module, without showing it; None if it has none."""
        module = self.registry.manager.module(name)
        return module.widgetRepresentation() if module is not None else None

    def _selected(self, name: str) -> None:
        before = self.panel(self._shown) if self._shown else None
        if before is not None:
            before.exit()
            before.hide()
        self._shown = name
        panel = self.panel(name) if name else None
        if panel is not None:
            panel.show()
            panel.enter()

    def leaveModule(self) -> None:
        """Leave the module that is shown, as when another one is selected."""
        self.mainWindow.moduleSelector().selectModule("")

    def closeScene(self) -> None:
        """File > Close Scene."""
        self.parts.close()

    def processEvents(self, seconds: float = 0.0) -> None:
        """Let the event loop run for about this time."""
        end = time.monotonic() + seconds
        while True:
            self._qt.processEvents()
            left = end - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(0.005, left))
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def quit(self) -> None:
        """End as the application does: aboutToQuit, each module is left and cleaned up, the scene goes."""
        if self._ended:
            return
        self._ended = True
        self.app.aboutToQuit.emit()
        for name in list(self.registry.manager._modules):
            module = self.registry.manager.module(name)
            widget = getattr(module, "_representation", None)
            if widget is not None and widget.isEntered:
                widget.exit()
            self.registry.remove(name)
            if widget is not None:
                widget.close()
                widget.deleteLater()
        self.mainWindow.close()
        self.processEvents()
        self.closeScene()
        shutil.rmtree(self.folder, ignore_errors=True)
