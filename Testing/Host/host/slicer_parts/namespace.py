"""What a script finds under `slicer`: the wheel's classes and the stand-ins, without what only the wheel
puts there."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import slicer

from host import ctk_module

from . import app as app_module
from . import io_manager, layout, main_window, modules, scripted
from .pythonqt import exposed

PACKAGES = ("i18n", "packaging", "testing", "ScriptedLoadableModule", "parameterNodeWrapper")

CLASSES = (
    scripted.qSlicerScriptedLoadableModule,
    scripted.qSlicerScriptedLoadableModuleWidget,
    modules.qSlicerLoadableModule,
    modules.qSlicerModuleManager,
    modules.qSlicerModuleFactoryManager,
    layout.qSlicerLayoutManager,
    layout.qMRMLSliceWidget,
    layout.qMRMLSliceView,
    layout.qMRMLSliceControllerWidget,
    layout.qMRMLThreeDWidget,
    layout.qMRMLThreeDView,
    io_manager.qSlicerIOManager,
    main_window.qSlicerMainWindow,
    main_window.qSlicerModuleSelectorToolBar,
    app_module.qSlicerApplication,
)


def removeWheelExtras() -> None:
    """Take away the functions of slicer.util that the wheel copies into `slicer`: the application has none
    there."""
    util = sys.modules["slicer.util"]
    for name in list(vars(slicer)):
        value = vars(slicer)[name]
        if not name.startswith("_") and getattr(value, "__module__", None) == util.__name__:
            delattr(slicer, name)
    for name in ("me", "info", "item_name", "module", "iter_modules", "import_module", "extend_path"):
        vars(slicer).pop(name, None)


def fillNamespace(application: Any) -> None:
    """Set slicer.app, slicer.mrmlScene, slicer.modules, the classes and the packages."""
    removeWheelExtras()
    slicer.app = application.app
    slicer.mrmlScene = application.scene
    slicer.modules = application.registry.namespace
    slicer.moduleNames = application.registry.names
    sys.modules["slicer.modules"] = slicer.modules
    sys.modules["slicer.moduleNames"] = slicer.moduleNames
    for cls in CLASSES:
        setattr(slicer, cls.__name__, exposed(cls, cls.__name__))
    for name, facade in ctk_module.slicerWidgets().items():
        setattr(slicer, name, facade)
    installPackages()


def installPackages() -> None:
    """Make `import slicer.<package>` find the stand-ins."""
    own = __package__
    for name in PACKAGES:
        package = importlib.import_module(f"{own}.{name}")
        prefix = f"{own}.{name}"
        for loaded in [n for n in sys.modules if n == prefix or n.startswith(prefix + ".")]:
            sys.modules["slicer" + loaded[len(own) :]] = sys.modules[loaded]
        setattr(slicer, name, package)
