"""The module `qt`: Qt's classes under Slicer's roof, as far as the running Slicer has them."""

import sys
import types
from typing import Any

from host import api, strict, ui


class QtModule(types.ModuleType):
    """`import qt`; classes appear on first use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in api.classNames("qt"):
            raise AttributeError(f"module 'qt' has no attribute '{name}'")
        cls = ui.UiLoader if name == "QUiLoader" else api.pysideClass(name)
        if cls is None:
            raise AttributeError(f"qt.{name} exists in Slicer with Qt 5, but not with Qt 6: write for both")
        found = strict.expose(cls, name)
        setattr(self, name, found)
        return found


def install() -> types.ModuleType:
    """Put `qt` into sys.modules and return it."""
    strict.install()
    module = sys.modules.get("qt")
    if not isinstance(module, QtModule):
        module = QtModule("qt", "Qt as scripts see it in Slicer")
        sys.modules["qt"] = module
    return module
