"""Odd places: names with blanks and letters of other languages, and an install folder that is read-only."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SCRIPT = """
import os, sys
from pathlib import Path
sys.path[:0] = [r"{host}", r"{testing}"]
import host
app = host.start([Path(r"{modules}") / "SegToolkitFewShot.py"])
import slicer
app.showModule("SegToolkitFewShot")
import SegToolkitTestData as data
logic = slicer.util.getModuleLogic("SegToolkitFewShot")
import SegToolkitGui
assert Path(SegToolkitGui.__file__).is_relative_to(Path(r"{modules}")), SegToolkitGui.__file__
volume = data.makeVolume("Bauch, Übersicht №1")
segmentation, ids = data.outline(volume)
example = logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
run = logic.process(volume, [example], acceptLicence=True)
result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
found = data.maskOf(result, run.results[0].segmentIds["large organ"], volume)
score = data.dice(found, data.organMask("large organ"))
print("session folder:", logic.session.folder)
print("worker pid:", logic.session.client.pid)
print("DICE", round(score, 3))
app.quit()
from host import problems
for problem in problems.take():
    print("PROBLEM", problem.kind, problem.text)
"""


@pytest.fixture
def installed(tmp_path: Path):
    """A copy of the extension as it is installed, in a read-only folder with an odd name."""
    folder = tmp_path / "Программы und mehr" / "qt-scripted-modules"
    ignore = shutil.ignore_patterns("__pycache__", "CMakeLists.txt")
    shutil.copytree(ROOT / "SegToolkit", folder, ignore=ignore)
    shutil.copytree(ROOT / "SegToolkitLib", folder / "SegToolkitLib", ignore=ignore)
    shutil.copytree(ROOT / "Resources" / "Models", folder / "SegToolkitModels")
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    yield folder
    for path in paths:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def contents(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_everything_works_from_a_read_only_folder_with_an_odd_name(installed: Path, tmp_path: Path):
    home, temporary = tmp_path / "Jürgen Ö", tmp_path / "vorläufig ü"
    home.mkdir()
    temporary.mkdir()
    script = SCRIPT.format(
        host=ROOT / "Testing" / "Host", testing=ROOT / "Testing" / "Slicer", modules=installed
    )
    environment = {
        **{name: one for name, one in os.environ.items() if not name.startswith(("PYTHON", "SEGTOOLKIT"))},
        "HOME": str(home),
        "USERPROFILE": str(home),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
        "QT_QPA_PLATFORM": "offscreen",
    }
    before = contents(installed)
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", timeout=180, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PROBLEM" not in done.stdout, done.stdout
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert float(done.stdout.split("DICE")[1]) > 0.7
    # Nothing was written beside the program, nothing stays in the temporary folder, and no worker lives on.
    assert contents(installed) == before
    assert not Path(said["session folder"]).exists()
    assert not Path("/proc", said["worker pid"]).exists()
