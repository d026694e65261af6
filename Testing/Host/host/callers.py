"""Who asks: module code gets PythonQt's habits, the host and its tests get plain PySide6."""

import os
from pathlib import Path
from types import CodeType

_REPOSITORY = Path(__file__).resolve().parents[3]
_SLICER_UTIL = f"{os.sep}slicer{os.sep}util.py"
_folders: list[str] = []
_known: dict[str, bool] = {}


def addModuleFolder(folder: Path | str) -> None:
    """Code in files below `folder` is module code from now on (an installed tree, a test's own module)."""
    for path in (Path(folder).absolute(), Path(folder).resolve()):
        prefix = str(path) + os.sep
        if prefix not in _folders:
            _folders.append(prefix)
    _known.clear()


addModuleFolder(_REPOSITORY / "SegToolkit")
addModuleFolder(_REPOSITORY / "Testing" / "Slicer")


def isModuleFile(filename: str) -> bool:
    """Whether code of this file counts as module code; slicer.util meets PythonQt too, so it does."""
    known = _known.get(filename)
    if known is None:
        known = filename.startswith(tuple(_folders)) or filename.endswith(_SLICER_UTIL)
        _known[filename] = known
    return known


def isModuleCode(code: CodeType) -> bool:
    """Whether a frame with this code belongs to module code."""
    return isModuleFile(code.co_filename)


def isModuleClass(cls: type) -> bool:
    """Whether a class is defined in module code: only such classes take new attributes."""
    return any(
        isModuleCode(value.__code__) for value in vars(cls).values() if hasattr(value, "__code__")
    ) or isModuleFile(_fileOf(cls))


def _fileOf(cls: type) -> str:
    import sys

    return getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
