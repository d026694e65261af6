"""The client with SegToolkitLib's own worker, from an installed tree that must not be written to."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.WorkerClient import WorkerClient

ROOT = Path(__file__).parents[4]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A flat, read-only tree with blanks and letters beyond ASCII in its path."""
    tree = tmp_path / "Slicer 5.13 é 肝" / "qt-scripted-modules"
    shutil.copytree(
        ROOT / "SegToolkitLib", tree / "SegToolkitLib", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tree / "SegToolkitGui").mkdir()
    monkeypatch.setattr(Paths, "__file__", str(tree / "SegToolkitGui" / "Paths.py"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # else nothing is shown
    monkeypatch.setenv("PATH", "/nothing")  # no PythonSlicer
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folders = [tree, *(path for path in tree.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield tree
    for folder in folders:
        folder.chmod(0o755)


@pytest.fixture
def client(tmp_path: Path, installed: Path) -> Iterator[WorkerClient]:
    client = WorkerClient(tmp_path / "exchange ü")
    yield client
    client.killNow()


def ask(
    client: WorkerClient, turn: Callable, verb: str, **body: object
) -> tuple[dict | None, UserError | None]:
    finished: list[tuple] = []
    client.request(verb, body, None, lambda *result: finished.append(result))
    assert turn(lambda: finished, seconds=120), client.log
    return finished[0]


def commandLines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode("utf-8", "replace").replace("\0", " "))
        except OSError:
            continue
    return found


def test_models_and_environment_are_answered_from_a_read_only_tree(client, turn, installed, tmp_path) -> None:
    before = sorted(installed.rglob("*"))
    outputs, error = ask(client, turn, "models", method=None)
    assert error is None
    assert isinstance(outputs["models"], list)
    pid = client.pid
    outputs, error = ask(client, turn, "environment")
    assert error is None
    assert outputs["devices"][0]["id"] == "auto"
    outputs, error = ask(client, turn, "no such verb")
    assert outputs is None
    assert error.text
    assert client.pid == pid
    assert sorted(installed.rglob("*")) == before
    client.stop()
    assert turn(lambda: client.state == "off", seconds=5)
    assert list((tmp_path / "exchange ü").iterdir()) == []


def test_cancel_before_the_first_line_also_ends_python_behind_a_launcher(installed, tmp_path, turn) -> None:
    launcher = tmp_path / "launcher.py"
    launcher.write_text(
        "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))\n"
    )
    folder = tmp_path / "exchange"
    client = WorkerClient(folder, [sys.executable, str(launcher), "-m", "SegToolkitLib", "worker"])
    finished: list[tuple] = []
    client.request("models", {}, None, lambda *result: finished.append(result))
    assert turn(lambda: any(str(folder) in line and "launcher.py" not in line for line in commandLines()))
    client.cancel()
    assert finished[0][1].code == "cancelled"
    started = time.monotonic()
    assert turn(lambda: not any(str(folder) in line for line in commandLines()), seconds=20)
    print(f"ended {time.monotonic() - started:.1f} s after cancel")
    assert turn(lambda: client.state == "off", seconds=2)
