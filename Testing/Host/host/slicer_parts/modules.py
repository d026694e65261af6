"""slicer.modules, the module manager, and the application's own modules whose logics the wheel has."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import types
from typing import Any

from PySide6.QtGui import QIcon

from .pythonqt import ScriptObject, ScriptSignal


class qSlicerLoadableModule(ScriptObject):
    """A module of the application: its logic is real, it has no panel here."""

    _title = ""
    _path = ""

    def __init__(self, name: str, logic: Any, scene: Any):
        super().__init__()
        self._name = name
        self._logic = logic
        self._scene = scene

    @property
    def name(self) -> str:
        return self._name

    @property
    def title(self) -> str:
        return self._title or self._name

    @property
    def path(self) -> str:
        return self._path

    @property
    def icon(self) -> QIcon:
        return QIcon()

    @property
    def isBuiltIn(self) -> bool:
        return True

    @property
    def isInstalled(self) -> bool:
        return True

    @property
    def hidden(self) -> bool:
        return False

    def logic(self) -> Any:
        return self._logic

    def mrmlScene(self) -> Any:
        return self._scene

    def widgetRepresentation(self) -> Any:
        """The host has no panels of the application's own modules."""
        return None

    def createNewWidgetRepresentation(self) -> Any:
        return None


class qSlicerModuleFactoryManager(ScriptObject):
    """Knows which modules are loaded."""

    def __init__(self, manager: qSlicerModuleManager):
        super().__init__()
        self._manager = manager

    def loadedModuleNames(self) -> tuple[str, ...]:
        return tuple(sorted(self._manager._modules))

    def registeredModuleNames(self) -> tuple[str, ...]:
        return self.loadedModuleNames()

    def instantiatedModuleNames(self) -> tuple[str, ...]:
        return self.loadedModuleNames()

    def isLoaded(self, name: str) -> bool:
        return name in self._manager._modules

    def isRegistered(self, name: str) -> bool:
        return name in self._manager._modules

    def loadedModule(self, name: str) -> Any:
        return self._manager.module(name)

    def moduleInstance(self, name: str) -> Any:
        return self._manager.module(name)


class qSlicerModuleManager(ScriptObject):
    """slicer.app.moduleManager()."""

    moduleLoaded = ScriptSignal("moduleLoaded(QString)")
    moduleAboutToBeUnloaded = ScriptSignal("moduleAboutToBeUnloaded(QString)")

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Any] = {}
        self._factory = qSlicerModuleFactoryManager(self)

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(sorted(self._modules))

    def factoryManager(self) -> qSlicerModuleFactoryManager:
        return self._factory


class ModuleRegistry:
    """Puts modules into the manager and under slicer.modules and slicer.moduleNames.

    Attributes:
        manager: the qSlicerModuleManager.
        namespace: the object behind slicer.modules.
        names: the object behind slicer.moduleNames.
    """

    def __init__(self) -> None:
        self.manager = qSlicerModuleManager()
        self.namespace = types.ModuleType("slicer.modules", "All modules that are loaded, by lower-case name")
        self.names = types.ModuleType("slicer.moduleNames", "Names of all modules that are loaded")

    def add(self, name: str, module: Any) -> None:
        self.manager._modules[name] = module
        setattr(self.namespace, name.lower(), module)
        setattr(self.names, name, name)
        self.manager.moduleLoaded.emit(name)

    def remove(self, name: str) -> None:
        """As at the end of the program: tell first, then take away."""
        self.manager.moduleAboutToBeUnloaded.emit(name)
        self.manager._modules.pop(name, None)
        for attribute in (name.lower(), f"{name}Widget", f"{name}Instance"):
            vars(self.namespace).pop(attribute, None)
        vars(self.names).pop(name, None)

    def addCoreModules(self, logics: dict[str, Any], scene: Any) -> None:
        for name, logic in logics.items():
            moduleClass = type(f"qSlicer{name}Module", (qSlicerLoadableModule,), {})
            self.add(name, moduleClass(name, logic, scene))
