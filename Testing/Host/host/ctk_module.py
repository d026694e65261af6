"""The module `ctk`, and the stand-in widgets by class name."""

import functools
import importlib
import pkgutil
import sys
import types
from typing import Any

from host import api, strict


@functools.cache
def widgetClasses() -> dict[str, type]:
    """Class name in the application -> stand-in class, for all of host.widgets."""
    try:
        package = importlib.import_module("host.widgets")
    except ImportError:
        return {}
    found: dict[str, type] = {}
    for entry in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"host.widgets.{entry.name}")
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__ and api.knows(name):
                found[name] = value
    return found


class CtkModule(types.ModuleType):
    """`import ctk`; classes appear on first use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in api.classNames("ctk"):
            raise AttributeError(f"module 'ctk' has no attribute '{name}'")
        cls = widgetClasses().get(name)
        if cls is None:
            raise AttributeError(
                f"ctk.{name} exists in Slicer, but has no stand-in in Testing/Host/host/widgets"
            )
        found = strict.expose(cls, name)
        setattr(self, name, found)
        return found


def install() -> types.ModuleType:
    """Put `ctk` into sys.modules and return it."""
    strict.install()
    module = sys.modules.get("ctk")
    if not isinstance(module, CtkModule):
        module = CtkModule("ctk", "CTK's classes as scripts see them in Slicer")
        sys.modules["ctk"] = module
    return module


def slicerWidgets() -> dict[str, Any]:
    """The qMRML and qSlicer widgets that have a stand-in, exposed: attributes for the module `slicer`."""
    names = api.classNames("slicer")
    return {name: strict.expose(cls, name) for name, cls in widgetClasses().items() if name in names}
