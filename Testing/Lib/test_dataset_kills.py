"""A data set is whole at every moment: writers killed with SIGKILL, full disks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_cases import case, made, nnunet_complaints
from SegToolkitLib.dataset import Dataset
from SegToolkitLib.dataset.nnunet_write import add_cases

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")
HERE = Path(__file__).parent
BEFORE, AFTER = ["c0", "c1"], ["c0", "c1", "new", "unlabelled"]


def attempts(tmp_path: Path, *how: str) -> list[Path]:
    made(tmp_path / "start", 2)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    program = [sys.executable, str(HERE / "dataset_kills.py"), how[0], str(tmp_path), *how[1:]]
    subprocess.run(program, check=True, timeout=120, env=environment)
    return sorted(path for path in tmp_path.iterdir() if path.name.isdecimal())


def check_whole(folder: Path) -> list[str]:
    """Judge a folder as it was left, without anything that might mend it; return its cases."""
    assert nnunet_complaints(folder) == []
    dataset = Dataset.open(folder)
    ids = dataset.ids
    assert ids in (BEFORE, AFTER), folder.name
    errors = [problem for problem in dataset.check() if problem.severity == "error"]
    assert errors == [], folder.name
    return ids


def finish(folder: Path) -> None:
    """Add what is missing: what the killed writer left must not stand in the way, nor stay."""
    if Dataset.open(folder).ids == BEFORE:
        add_cases(folder, None, [case("new", 50, kidney=1, liver=2), case("unlabelled", 51)])
    else:
        add_cases(folder, None, [])
    assert check_whole(folder) == AFTER
    assert list(folder.glob(".adding-*")) == []
    files = sorted(path.name for path in folder.rglob("*.nii.gz"))
    labelled = ["c0", "c1", "new"]
    assert files == sorted(
        [f"{id}.nii.gz" for id in labelled] + [f"{id}_0000.nii.gz" for id in [*labelled, "unlabelled"]]
    )


def test_a_writer_killed_before_any_of_its_file_operations_leaves_a_whole_data_set(tmp_path: Path) -> None:
    folders = attempts(tmp_path, "STEPS")
    assert len(folders) > 20, "the kills did not happen where they should"
    found = [check_whole(folder) for folder in folders]
    # All kills before dataset.json is replaced leave the old cases, all after it the new ones.
    assert found == sorted(found, key=len)
    assert BEFORE in found[:-1]
    assert AFTER in found[:-1]
    for folder in folders[::4]:
        finish(folder)


def test_a_writer_killed_at_random_moments_leaves_a_whole_data_set(tmp_path: Path) -> None:
    folders = attempts(tmp_path, "RANDOM", "20")
    assert len(folders) == 20
    for folder in folders:
        check_whole(folder)
    for folder in folders[::4]:
        finish(folder)


FULL = """
import resource, signal, sys
from pathlib import Path
from dataset_cases import case
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.errors import SegToolkitError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    add_cases(Path(sys.argv[1]), None, [case("new", 50, kidney=1)])
except SegToolkitError as error:
    print(error.code, error.message)
    sys.exit(7)
"""


@pytest.mark.parametrize("limit", [0, 500])
def test_a_full_disk_is_told_and_leaves_the_data_set_as_it_was(tmp_path: Path, limit: int) -> None:
    folder = made(tmp_path / "d", 2)
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), str(limit)],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=60,
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("write-failed")
    assert {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()} == before
    assert check_whole(folder) == BEFORE
