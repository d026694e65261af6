"""slicer.app.pythonManager(): running Python text in the interpreter's main module."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .pythonqt import ScriptObject, reportException


class qSlicerPythonManager(ScriptObject):
    """What scripts use of it."""

    def executeString(self, code: str) -> Any:
        self._run(code, "<string>")

    def executeFile(self, path: str) -> None:
        self._run(Path(path).read_text(encoding="utf-8"), path)

    def _run(self, code: str, where: str) -> None:
        try:
            exec(compile(code, where, "exec"), vars(sys.modules["__main__"]))
        except Exception:  # printed to the console, as in the application
            reportException(where)

    def appendPythonPath(self, path: str) -> None:
        if path not in sys.path:
            sys.path.append(path)
