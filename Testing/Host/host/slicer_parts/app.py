"""slicer.app: what modules and the real slicer.util need of qSlicerApplication; the rest does not exist."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLocale, QProcessEnvironment, QSettings
from PySide6.QtWidgets import QApplication

from .pythonqt import ScriptObject, ScriptSignal, exposed
from .settings import ctkSettings, defaultSettingsFile

VERSION = (5, 13, 0)
REVISION = "34045"


class qSlicerCommandOptions(ScriptObject):
    """What of the command line a script may change."""

    def __init__(self, testing: bool):
        super().__init__()
        self._runPythonAndExit = False
        self._testing = testing

    @property
    def runPythonAndExit(self) -> bool:
        return self._runPythonAndExit

    @runPythonAndExit.setter
    def runPythonAndExit(self, value: bool) -> None:
        self._runPythonAndExit = bool(value)

    @property
    def isTestingEnabled(self) -> bool:
        return self._testing


class qSlicerApplication(ScriptObject):
    """The application object. Properties are attributes, as PythonQt shows them."""

    aboutToQuit = ScriptSignal("aboutToQuit()")
    startupCompleted = ScriptSignal("startupCompleted()")
    renderPaused = ScriptSignal("renderPaused(bool)")
    mrmlSceneChanged = ScriptSignal("mrmlSceneChanged(vtkMRMLScene*)")
    lastWindowClosed = ScriptSignal("lastWindowClosed()")

    def __init__(self, qtApplication: QApplication, parts: Any, folder: Path, testing: bool):
        super().__init__()
        self._qt = qtApplication
        self._parts = parts
        self._folder = folder
        self._testing = testing
        self._pauses = 0
        self._exitCode: int | None = None
        self._restartAsked = False
        self._options = qSlicerCommandOptions(testing)
        self._consoleLines: list[str] = []
        self._managers: dict[str, Any] = {}
        (folder / "temporary").mkdir(exist_ok=True)
        self._temporaryPath = str(folder / "temporary")
        settingsClass = exposed(ctkSettings, "ctkSettings")
        self._userSettings = settingsClass(str(defaultSettingsFile(folder)), QSettings.Format.IniFormat)
        self._revisionSettings = settingsClass(
            str(folder / f"Slicer-{REVISION}.ini"), QSettings.Format.IniFormat
        )

    # what the application consists of

    def mrmlScene(self) -> Any:
        return self._parts.scene

    def applicationLogic(self) -> Any:
        return self._parts.applicationLogic

    def moduleLogic(self, moduleName: str) -> Any:
        return self._parts.logics.get(moduleName)

    def coreIOManager(self) -> Any:
        return self._managers["io"]

    def ioManager(self) -> Any:
        return self._managers["io"]

    def layoutManager(self) -> Any:
        return self._managers["layout"]

    def moduleManager(self) -> Any:
        return self._managers["modules"]

    def pythonManager(self) -> Any:
        return self._managers["python"]

    def commandOptions(self) -> qSlicerCommandOptions:
        return self._options

    def userSettings(self) -> QSettings:
        return self._userSettings

    def settings(self) -> QSettings:
        return self._userSettings

    def revisionUserSettings(self) -> QSettings:
        return self._revisionSettings

    # facts

    @property
    def applicationName(self) -> str:
        return "Slicer"

    @property
    def mainApplicationName(self) -> str:
        return "Slicer"

    @property
    def mainApplicationDisplayName(self) -> str:
        return "3D Slicer"

    @property
    def organizationName(self) -> str:
        return "slicer.org"

    @property
    def applicationVersion(self) -> str:
        return "{}.{}.{}-2026-08-20".format(*VERSION)

    @property
    def majorVersion(self) -> int:
        return VERSION[0]

    @property
    def minorVersion(self) -> int:
        return VERSION[1]

    @property
    def mainApplicationMajorVersion(self) -> int:
        return VERSION[0]

    @property
    def mainApplicationMinorVersion(self) -> int:
        return VERSION[1]

    @property
    def mainApplicationPatchVersion(self) -> int:
        return VERSION[2]

    @property
    def revision(self) -> str:
        return REVISION

    @property
    def repositoryRevision(self) -> str:
        return "host"

    @property
    def releaseType(self) -> str:
        return "Preview"

    @property
    def arch(self) -> str:
        return "amd64"

    @property
    def os(self) -> str:
        return {"Windows": "win", "Darwin": "macosx"}.get(platform.system(), "linux")

    @property
    def platform(self) -> str:
        return f"{self.os}-{self.arch}"

    @property
    def slicerHome(self) -> str:
        return str(self._folder / "home")

    @property
    def slicerSharePath(self) -> str:
        return "share/Slicer-5.13"

    @property
    def intDir(self) -> str:
        return "."

    @property
    def isInstalled(self) -> bool:
        return True

    @property
    def startupWorkingPath(self) -> str:
        return str(Path.cwd())

    @property
    def extensionsInstallPath(self) -> str:
        return str(self._folder / "Extensions")

    @property
    def cachePath(self) -> str:
        return str(self._folder / "cache")

    @property
    def temporaryPath(self) -> str:
        return self._temporaryPath

    @temporaryPath.setter
    def temporaryPath(self, path: str) -> None:
        self._temporaryPath = str(path)

    @property
    def defaultScenePath(self) -> str:
        return str(self._folder / "data")

    @property
    def applicationLocaleName(self) -> str:
        return "en_US"

    @property
    def applicationLocale(self) -> QLocale:
        return QLocale("en_US")

    @property
    def documentationBaseUrl(self) -> str:
        return "https://slicer.readthedocs.io/en/latest/"

    def moduleDocumentationUrl(self, moduleName: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{moduleName.lower()}.html"

    def testingEnabled(self) -> bool:
        return self._testing

    # events, windows, cursors

    def processEvents(self) -> None:
        self._qt.processEvents()

    def topLevelWidgets(self) -> tuple:
        return tuple(self._qt.topLevelWidgets())

    def activeWindow(self) -> Any:
        return self._qt.activeWindow()

    def activeModalWidget(self) -> Any:
        return self._qt.activeModalWidget()

    def focusWidget(self) -> Any:
        return self._qt.focusWidget()

    def clipboard(self) -> Any:
        return self._qt.clipboard()

    def palette(self) -> Any:
        return self._qt.palette()

    def style(self) -> Any:
        return self._qt.style()

    @property
    def primaryScreen(self) -> Any:
        return self._qt.primaryScreen()

    def keyboardModifiers(self) -> Any:
        return self._qt.keyboardModifiers()

    def thread(self) -> Any:
        return self._qt.thread()

    def setOverrideCursor(self, cursor: Any) -> None:
        self._qt.setOverrideCursor(cursor)

    def overrideCursor(self) -> Any:
        return self._qt.overrideCursor()

    def restoreOverrideCursor(self) -> None:
        self._qt.restoreOverrideCursor()

    def pauseRender(self) -> None:
        self._pauses += 1
        if self._pauses == 1:
            self.renderPaused.emit(True)

    def resumeRender(self) -> None:
        self._pauses = max(0, self._pauses - 1)
        if self._pauses == 0:
            self.renderPaused.emit(False)

    def setRenderPaused(self, pause: bool) -> None:
        (self.pauseRender if pause else self.resumeRender)()

    def showConsoleMessage(self, message: str, error: bool = True) -> None:
        self._consoleLines.append(message)

    def pythonConsole(self) -> None:
        """The host has no Python console."""
        return None

    def openSettingsDialog(self, panel: str = "") -> None:
        """The dialog is not shown here."""

    # environment

    def environment(self) -> QProcessEnvironment:
        return _processEnvironment()

    def startupEnvironment(self) -> QProcessEnvironment:
        return _processEnvironment()

    def setEnvironmentVariable(self, key: str, value: str) -> None:
        os.environ[key] = value

    # end

    def exit(self, status: int = 0) -> None:
        self._exitCode = int(status)

    def quit(self) -> None:
        self._exitCode = 0

    def restart(self) -> None:
        self._restartAsked = True

    def confirmRestart(self, reason: str = "") -> None:
        self._restartAsked = True


def _processEnvironment() -> QProcessEnvironment:
    """os.environ as Qt object: the host has no launcher settings that it would have to take away."""
    result = QProcessEnvironment()
    for key, value in os.environ.items():
        result.insert(key, value)
    return result
