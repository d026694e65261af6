import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def application():
    from PySide6.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])


@pytest.fixture
def run_as_module(application, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Run source code as if it stood in a module's file; gives its globals."""
    from host import callers, ctk_module, qt_module

    qt_module.install()
    ctk_module.install()
    callers.addModuleFolder(tmp_path)

    def run(source: str) -> dict[str, Any]:
        path = tmp_path / "Planted.py"
        path.write_text("import qt, ctk\n" + textwrap.dedent(source))
        space: dict[str, Any] = {"__name__": "Planted", "__file__": str(path)}
        exec(compile(path.read_text(), str(path), "exec"), space)
        return space

    return run


@pytest.fixture
def violations_of(tmp_path: Path) -> Callable[..., list[str]]:
    """Sentences of the contract for planted code and a planted .ui file."""
    from host import contract

    def check(code: str = "", ui: str = "") -> list[str]:
        codeFile, uiFile = tmp_path / "Planted.py", tmp_path / "Planted.ui"
        codeFile.write_text("import qt\nimport ctk\nimport slicer\n" + textwrap.dedent(code))
        if ui:
            uiFile.write_text(ui)
        return [v.text for v in contract.check([codeFile], [uiFile] if ui else [])]

    return check
