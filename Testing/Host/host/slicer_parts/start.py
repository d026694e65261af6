"""host.start(): the application of this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QApplication

from . import install
from .application import Application

_running: Application | None = None


def start(modules: Iterable[Path | str] = (), testing: bool = False) -> Application:
    """Start the application once a process and load these modules; later calls give the running one.

    testing: as the command line option --testing: dialogs answer themselves, nothing is installed.
    """
    global _running
    if _running is None:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        qtApplication = QApplication.instance() or QApplication([sys.argv[0] if sys.argv else "host"])
        _running = install(qtApplication, testing)
    for path in modules:
        if Path(path).stem not in _running.registry.manager._modules:
            _running.loadModule(path)
    _running.started()
    return _running


def loadModule(path: Path | str) -> Any:
    """Load one more module into the running application."""
    if _running is None:
        raise RuntimeError("host.start() has not been called")
    return _running.loadModule(path)
