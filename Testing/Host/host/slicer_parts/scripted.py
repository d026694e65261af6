"""Scripted modules: loaded, shown and reloaded the way qSlicerScriptedLoadableModule and its widget do it."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer
from PySide6.QtCore import Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout, QWidget

from host import callers

from .modules import ModuleRegistry, qSlicerLoadableModule
from .pythonqt import reportException


class qSlicerScriptedLoadableModuleWidget(QWidget):
    """The widget in the module panel; the Python class builds its panel into it."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, module: qSlicerScriptedLoadableModule, registry: ModuleRegistry):
        super().__init__()
        self._module = module
        self._registry = registry
        self._self: Any = None
        self._entered = False
        self._scene = None
        QVBoxLayout(self)

    def _instantiate(self) -> bool:
        """Make the Python object and set slicer.modules.<name>Widget; False (and a traceback) if that
        fails."""
        className = f"{self._module._name}Widget"
        try:
            self._self = getattr(sys.modules[self._module._name], className)(self)
        except Exception:
            reportException(f"creating {className}")
            return False
        setattr(self._registry.namespace, className, self._self)
        return True

    def _call(self, method: str) -> None:
        function = getattr(self._self, method, None)
        if function is None:
            return
        try:
            function()
        except Exception:  # the application prints it and goes on
            reportException(f"{self._module._name}Widget.{method}")

    def _setup(self) -> None:
        self._call("setup")

    def self(self) -> Any:
        return self._self

    def module(self) -> Any:
        return self._module

    @property
    def moduleName(self) -> str:
        return self._module._name

    @property
    def isEntered(self) -> bool:
        return self._entered

    def enter(self) -> None:
        self._entered = True
        self._call("enter")

    def exit(self) -> None:
        self._entered = False
        self._call("exit")

    def reload(self) -> bool:
        """A new Python object from the class that slicer.util.reloadScriptedModule read; enter() is not
        called."""
        if not self._instantiate():
            return False
        self._setup()
        return True

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    def setEditedNode(self, node: Any, role: str = "", context: str = "") -> bool:
        function = getattr(self._self, "setEditedNode", None)
        return bool(function(node, role, context)) if function else False

    def nodeEditable(self, node: Any) -> float:
        function = getattr(self._self, "nodeEditable", None)
        return float(function(node)) if function else 0.0


class qSlicerScriptedLoadableModule(qSlicerLoadableModule):
    """The C++ side of a scripted module; `parent` of the Python class named as the file."""

    def __init__(self, name: str, path: Path, registry: ModuleRegistry, logic: Any, scene: Any):
        super().__init__(name, logic, scene)
        self._path = str(path)
        self._registry = registry
        self._icon = QIcon()
        self._hidden = False
        self._index = -1
        self._texts = {"helpText": "", "acknowledgementText": ""}
        self._lists: dict[str, tuple] = {}
        self._representation: qSlicerScriptedLoadableModuleWidget | None = None

    @property
    def title(self) -> str:
        return self._title or self._name

    @title.setter
    def title(self, text: str) -> None:
        self._title = str(text)

    @property
    def icon(self) -> QIcon:
        return self._icon

    @icon.setter
    def icon(self, icon: QIcon) -> None:
        self._icon = icon

    @property
    def hidden(self) -> bool:
        return self._hidden

    @hidden.setter
    def hidden(self, hidden: bool) -> None:
        self._hidden = bool(hidden)

    @property
    def index(self) -> int:
        return self._index

    @index.setter
    def index(self, index: int) -> None:
        self._index = int(index)

    @property
    def isBuiltIn(self) -> bool:
        return False

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget | None:
        """The one widget of the module, created when first asked for."""
        if self._representation is None:
            self._representation = self.createNewWidgetRepresentation()
        return self._representation

    def createNewWidgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget | None:
        widget = qSlicerScriptedLoadableModuleWidget(self, self._registry)
        if not widget._instantiate():
            return None
        widget.setMRMLScene(self._scene)
        widget._setup()
        return widget


def _textProperty(name: str) -> property:
    def write(self: qSlicerScriptedLoadableModule, text: str) -> None:
        self._texts[name] = str(text)

    return property(lambda self: self._texts[name], write)


def _listProperty(name: str) -> property:
    def write(self: qSlicerScriptedLoadableModule, texts: list) -> None:
        if isinstance(texts, str):
            raise ValueError(f"{name} is a list of texts")
        self._lists[name] = tuple(str(text) for text in texts)

    return property(lambda self: self._lists.get(name, ()), write)


for _name in ("helpText", "acknowledgementText"):
    setattr(qSlicerScriptedLoadableModule, _name, _textProperty(_name))
for _name in ("categories", "contributors", "dependencies", "associatedNodeTypes"):
    setattr(qSlicerScriptedLoadableModule, _name, _listProperty(_name))


def loadModule(path: Path, registry: ModuleRegistry, applicationLogic: Any, scene: Any) -> Any:
    """Load the module in the file `path`, whose name is the module's and its class's name.

    Its folder joins sys.path. Raises ImportError where the application would say that it failed to load
    the module.
    """
    path = Path(path).absolute()
    name = path.stem
    callers.addModuleFolder(path.parent)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    source = _import(name, path)
    if not hasattr(source, name):
        raise ImportError(f"{path} has no class {name}: a module's class is named as its file")
    logic = slicer.vtkSlicerScriptedLoadableModuleLogic()
    logic.SetMRMLApplicationLogic(applicationLogic)
    logic.SetMRMLScene(scene)
    module = qSlicerScriptedLoadableModule(name, path, registry, logic, scene)
    instance = getattr(source, name)(module)
    setattr(registry.namespace, f"{name}Instance", instance)
    registry.add(name, module)
    if hasattr(instance, "setup"):
        instance.setup()
    return module


def _import(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no module file {path}")
    source = importlib.util.module_from_spec(spec)
    sys.modules[name] = source
    spec.loader.exec_module(source)
    return source
