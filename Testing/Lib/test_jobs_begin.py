"""A new run that cannot work is refused before anything is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs_helpers import own_home, until_state
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs.begin import begin, check_inputs
from SegToolkitLib.jobs.job_file import runs_folder
from SegToolkitLib.jobs.status import list_jobs
from SegToolkitLib.training.method import Place

METHOD: Any = SimpleNamespace(
    name="pretend",
    title="Pretend",
    metric=None,
    needs_dataset=True,
    places=(
        Place("weights", "file", "Weights."),
        Place("labels", "folder", "Labels."),
        Place("cache", "folder", "Kept.", made=True),
    ),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_home(tmp_path, monkeypatch) as folder:
        yield folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """With an image; beside it one without, as a description whose volumes lie elsewhere."""
    description = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}}
    description.update(file_ending=".nii.gz", numTraining=0)
    for name in ("data", "bare"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset.json").write_text(json.dumps(description))
    (tmp_path / "data" / "imagesTr").mkdir()
    (tmp_path / "data" / "imagesTr" / "a_0000.nii.gz").touch()
    return tmp_path / "data"


def test_what_is_there_is_taken(dataset: Path, tmp_path: Path) -> None:
    check_inputs(METHOD, str(dataset), {"weights": str(dataset / "dataset.json"), "labels": str(tmp_path)})
    check_inputs(METHOD, str(dataset), {"cache": str(tmp_path / "made by the run")})


@pytest.mark.parametrize(
    ("data", "places", "code", "said"),
    [
        (None, {}, "no-dataset", "none is given"),
        ("missing", {}, "no-dataset", "no such file"),
        (".", {}, "no-dataset", "no dataset.json"),
        ("bare", {}, "no-cases", "fits the image pattern"),
        ("data", {"weights": "missing"}, "no-place", "no file"),
        ("data", {"weights": "data"}, "no-place", "no file"),
        ("data", {"labels": "data/dataset.json"}, "no-place", "no folder"),
        ("data", {"cache": "data/dataset.json"}, "no-place", "no folder"),
        ("data", {"wait": "data"}, "unknown-place", "weights, labels"),
    ],
)
def test_what_is_missing_is_refused_and_leaves_no_run(
    dataset: Path, tmp_path: Path, data: str | None, places: dict[str, str], code: str, said: str
) -> None:
    where = {name: str(tmp_path / path) for name, path in places.items()}
    with pytest.raises(SegToolkitError) as refused:
        begin(METHOD, None, "a", None if data is None else str(tmp_path / data), {}, where)
    assert refused.value.code == code
    assert said in str(refused.value)
    assert not (runs_folder() / "a").exists()


def test_a_method_that_reads_no_data_set_needs_none() -> None:
    check_inputs(SimpleNamespace(**{**vars(METHOD), "needs_dataset": False}), None, {})


def test_a_job_that_failed_at_its_start_stays_in_the_list_until_its_name_is_begun_again() -> None:
    method: Any = SimpleNamespace(**{**vars(METHOD), "needs_dataset": False})
    begin(method, None, "a", None, {"stepz": 2})
    folder = runs_folder() / "a"
    until_state(folder, "failed")
    assert [(one.name, one.state) for one in list_jobs()] == [("a", "failed")]
    begin(method, None, "a", None, {"steps": 2, "fail_at": 2})
    assert until_state(folder, "failed").step == 1
    with pytest.raises(SegToolkitError) as refused:
        begin(method, None, "a", None, {"steps": 2})
    assert refused.value.code == "run-exists", "what it has computed is not thrown away"
    assert json.loads((folder / "config.json").read_text())["fail_at"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes")
@pytest.mark.parametrize("gone", ["stdout", "stderr"])
def test_a_reader_that_goes_leaves_no_traceback(tmp_path: Path, gone: str) -> None:
    read, write = os.pipe()
    os.close(read)
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, gone: write}
    json_too = ["--json"] if gone == "stdout" else []
    program = [sys.executable, "-m", "SegToolkitLib", "jobs", "list", *json_too]
    done = subprocess.run(program, cwd=Path(__file__).parents[2], check=False, **streams)
    os.close(write)
    assert done.returncode == 1
    assert not done.stdout
    assert not done.stderr
