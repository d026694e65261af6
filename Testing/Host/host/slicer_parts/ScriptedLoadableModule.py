"""slicer.ScriptedLoadableModule: the four base classes of scripted modules."""

from __future__ import annotations

import importlib
import logging
import unittest
from pathlib import Path
from typing import Any

import slicer

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]


class ScriptedLoadableModule:
    """Tells the application about the module; `parent` is the qSlicerScriptedLoadableModule."""

    def __init__(self, parent: Any):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = ["not filled in"]
        parent.helpText = "not filled in"
        parent.acknowledgementText = "not filled in"
        self._findIcon()
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def _findIcon(self) -> None:
        from PySide6.QtGui import QIcon

        for suffix in (".svg", ".png"):
            path = Path(self.resourcePath(f"Icons/{self.moduleName}{suffix}"))
            if path.is_file():
                self.parent.icon = QIcon(str(path))
                return

    def resourcePath(self, filename: str) -> str:
        """Path of a file in the module's folder Resources."""
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        """Rich text with a link to the online documentation."""
        app = slicer.app
        url = app.documentationBaseUrl + docPage if docPage else app.moduleDocumentationUrl(self.moduleName)
        return f'<p>For more information see the <a href="{url}">online documentation</a>.</p>'

    def runTest(self, msec: int = 100, **kwargs: Any) -> None:
        """Run the class <module>Test of the module's file; AssertionError if there is none."""
        source = importlib.import_module(type(self).__module__)
        testClass = getattr(source, f"{self.moduleName}Test", None)
        if testClass is None:
            raise AssertionError(f"Test case class not found: {type(self).__module__}.{self.moduleName}Test")
        test = testClass()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """Builds the module's panel into `parent`, the qSlicerScriptedLoadableModuleWidget."""

    def __init__(self, parent: Any = None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = slicer.util.settingsValue(
            "Developer/DeveloperMode", False, converter=slicer.util.toBool
        )
        self.parent = parent if parent else self._createParent()
        self.layout = self.parent.layout()
        if not parent:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect(
            "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
        )

    def _createParent(self) -> Any:
        from PySide6.QtWidgets import QVBoxLayout

        parent = slicer.qMRMLWidget()
        parent.setLayout(QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        return parent

    def resourcePath(self, filename: str) -> str:
        """Path of a file in the module's folder Resources."""
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def cleanup(self) -> None:
        """Overridden to end what the widget started; called before the module goes and before a reload."""

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect(
                "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
            )

    def setupDeveloperSection(self) -> None:
        """Reload button of the developer mode; the application's other buttons are left out here."""
        if not self.developerMode:
            return
        from PySide6.QtWidgets import QPushButton

        self.reloadButton = QPushButton("Reload")
        self.reloadButton.clicked.connect(lambda: self.onReload())
        self.layout.addWidget(self.reloadButton)

    def setup(self) -> None:
        """Overridden to build the panel; the override calls this first."""
        self.setupDeveloperSection()

    def onReload(self) -> None:
        """Read the module's file again and build a new panel."""
        print(f"\n{'-' * 30}\nReloading module: {self.moduleName}\n{'-' * 30}\n")
        slicer.util.reloadScriptedModule(self.moduleName)

    def onTest(self, **kwargs: Any) -> None:
        """Run the module's self-test."""
        with slicer.util.tryWithErrorDisplay("Test failed."):
            slicer.selfTests[self.moduleName](msec=0, **kwargs)

    def onReloadAndTest(self, **kwargs: Any) -> None:
        """Reload, then run the self-test."""
        with slicer.util.tryWithErrorDisplay("Reload and Test failed."):
            self.onReload()
            slicer.selfTests[self.moduleName](msec=0, **kwargs)

    def onEditSource(self) -> None:
        """There is no editor here."""


class ScriptedLoadableModuleLogic:
    """What a module does without its panel; keeps the module's parameter node."""

    def __init__(self, parent: Any = None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The module's parameter node in the scene, created if missing."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None:
                if node.GetAttribute("ModuleName") != self.moduleName:  # closing the scene removes it
                    node.SetAttribute("ModuleName", self.moduleName)
                return node
        else:
            nodes = self.getAllParameterNodes()
            if nodes:
                return nodes[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list:
        """All parameter nodes of the module."""
        scene, className = slicer.mrmlScene, "vtkMRMLScriptedModuleNode"
        nodes = [
            scene.GetNthNodeByClass(i, className) for i in range(scene.GetNumberOfNodesByClass(className))
        ]
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        """A new parameter node, not yet in the scene."""
        if slicer.mrmlScene is None:
            return None
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of a module's self-test."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        super(unittest.TestCase, self).__init__()  # bases beside it get their turn
        self.enableScreenshots = False
        self.screenshotScaleFactor = 1.0

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        """Show a message for a while and let events run."""
        delay = getattr(self, "messageDelay", msec if msec is not None else requestedDelay)
        slicer.util.delayDisplay(message, 100 if delay is None else delay)

    def takeScreenshot(self, name: str, description: str, type: int = -1) -> None:
        """Only the message is shown: the host takes no screenshots."""
        self.delayDisplay(description)

    def setUp(self) -> None:
        """Overridden to prepare the scene."""

    def tearDown(self) -> None:
        """Overridden to tidy up."""

    def runTest(self) -> None:
        """Call every attribute whose name contains "test"; usually overridden."""
        names = [name for name in dir(self) if "test" in name and callable(getattr(self, name))]
        if not names:
            logging.warning("No test is defined in %s", type(self).__name__)
        for name in names:
            getattr(self, name)()
