"""Where the library, the program and the folders are."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError

ROOT = Path(__file__).parents[4]


def test_the_library_is_found_in_the_source_tree() -> None:
    assert Paths.libraryRoot() == ROOT


@pytest.mark.parametrize("inside", [".", "SegToolkit"])
def test_the_library_is_found_beside_and_above(tmp_path, monkeypatch, inside) -> None:
    root = tmp_path / "Slicer é 5.13" / "modules"
    file = root / inside / "SegToolkitGui" / "Paths.py"
    file.parent.mkdir(parents=True)
    (root / "SegToolkitLib").mkdir()
    (root / "SegToolkitLib" / "__init__.py").write_text("")
    monkeypatch.setattr(Paths, "__file__", str(file))
    assert Paths.libraryRoot() == root


def test_a_library_that_is_missing_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Paths, "__file__", str(tmp_path / "a" / "SegToolkitGui" / "Paths.py"))
    with pytest.raises(UserError) as caught:
        Paths.libraryRoot()
    assert caught.value.code == "library-missing"


def test_python_slicer_is_taken_from_the_path(tmp_path, monkeypatch) -> None:
    program = tmp_path / "PythonSlicer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Paths.pythonProgram() == str(program)
    program.unlink()
    assert Paths.pythonProgram() == sys.executable


def test_the_users_folder_can_be_chosen(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("SEGTOOLKIT_HOME", raising=False)
    assert Paths.userFolder() == Path.home() / ".SegToolkit"
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "mine"))
    assert Paths.userFolder() == tmp_path / "mine"
    assert not (tmp_path / "mine").exists()


def test_a_session_folder_is_new_private_and_removable(application) -> None:
    first, second = Paths.newSessionFolder(), Paths.newSessionFolder()
    assert first != second
    assert first.parent == Path(application.temporaryPath)
    assert list(first.iterdir()) == []
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    (first / "a").mkdir()
    (first / "a" / "b é").write_text("x")
    assert Paths.removeFolder(first)
    assert not first.exists()
    assert Paths.removeFolder(first)


def test_a_folder_goes_also_when_a_dying_process_makes_one_more_file(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "result"
    folder.mkdir()
    remove = Paths.shutil.rmtree

    def interrupted(path, ignore_errors=False):
        monkeypatch.setattr(Paths.shutil, "rmtree", remove)  # the next attempt meets no one

    monkeypatch.setattr(Paths.shutil, "rmtree", interrupted)
    assert Paths.removeFolder(folder)
    assert not folder.exists()


def test_a_folder_that_stays_is_given_up_after_a_moment(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Paths.shutil, "rmtree", lambda path, ignore_errors: None)
    assert not Paths.removeFolder(tmp_path, patience=0.05)


def test_folders_of_a_crashed_application_are_removed_and_others_stay(application) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    parent = Path(application.temporaryPath)
    mine = Paths.newSessionFolder()
    host = Paths._hostName()
    kept = [
        mine,
        parent / f"SegToolkit-otherhost-{ended.pid}-x",
        parent / "SegToolkit-notes",
        parent / "else",
    ]
    abandoned = parent / f"SegToolkit-{host}-{ended.pid}-abc"
    for folder in [*kept, abandoned]:
        folder.mkdir(exist_ok=True)
    Paths.newSessionFolder()
    assert [folder.exists() for folder in kept] == [True] * 4
    assert not abandoned.exists()


def test_a_temporary_folder_that_cannot_be_used_is_told(application, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    application.temporaryPath = str(tmp_path / "file" / "temporary")
    with pytest.raises(UserError) as caught:
        Paths.newSessionFolder()
    assert caught.value.code == "no-temporary-folder"
    assert str(tmp_path / "file") in str(caught.value)


def test_processes_are_known_by_number() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert Paths.processExists(os.getpid())
    assert not Paths.processExists(ended.pid)


def test_the_package_is_imported_without_torch_and_without_the_library() -> None:
    files = (ROOT / "SegToolkit" / "SegToolkitGui").rglob("*.py")
    assert [file.name for file in files if _importsForbidden(file)] == []


def _importsForbidden(file: Path) -> bool:
    import ast

    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(name.split(".")[0] in ("torch", "SegToolkitLib", "pydantic", "skimage") for name in names):
            return True
    return False
