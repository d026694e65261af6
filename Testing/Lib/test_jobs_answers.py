"""Jobs as a window and a shell meet them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs_helpers import PRETEND, is_there, own_home, until
from SegToolkitLib.jobs.status import JobStatus
from worker_driver import Worker

ROOT = Path(__file__).parents[2]
FIELDS = set(JobStatus("", "").describe())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_home(tmp_path, monkeypatch) as folder:
        yield folder


def shell(*arguments: str, folder: Path, code: int = 0) -> dict[str, Any]:
    """What ``segtoolkit jobs`` reports: its outputs, or its error."""
    done = subprocess.run(
        [sys.executable, "-m", "SegToolkitLib", "jobs", *arguments, "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stderr
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last["outputs"] if code == 0 else last


def test_a_window_starts_watches_stops_resumes_copies_and_deletes(home: Path, tmp_path: Path) -> None:
    variables = {"SEGTOOLKIT_HOME": str(home), "SEGTOOLKIT_METHOD_PATH": str(PRETEND)}
    with Worker(tmp_path / "exchange", **variables) as worker:
        ask = worker.ask

        def find(name: str) -> dict[str, Any]:
            return next(one for one in ask("jobs")["jobs"] if one["name"] == name)

        begun = ask("job_start", name="liver a", method="pretend", settings={"steps": 3000}, device="cpu")
        assert set(begun) == FIELDS
        folder = begun["folder"]
        assert Path(folder) == home / "runs" / "liver a"
        until(lambda: (find("liver a")["step"] or 0) > 2)
        pid = find("liver a")["pid"]
        first = ask("job_events", folder=folder, offset=0)
        assert first["events"][0]["t"] == "start"
        until(lambda: ask("job_events", folder=folder, offset=first["offset"])["events"])
        other = ask("job_start", name="b", method="pretend", settings={"steps": 3}, device="cpu")
        assert (
            ask("job_move", folder=other["folder"], position=1)["reason"]
            == "Waits for liver a, which uses cpu."
        )
        assert worker.refused("job_delete", folder=folder)["code"] == "run-busy"
        ask("job_stop", folder=folder, keep=False)
        until(lambda: find("liver a")["state"] == "stopped")
        until(lambda: find("b")["state"] == "finished")
        ask("job_resume", folder=folder)
        assert ask("job_kill", folder=folder)["state"] == "interrupted"
        assert not is_there(pid)
        copy = ask("job_clone", folder=folder, name="c", settings={"steps": 2})
        until(lambda: find("c")["state"] == "finished")
        assert find("c")["total"] == 2
        assert ask("job_delete", folder=copy["folder"]) == {}
        assert {one["name"] for one in ask("jobs", root=str(home / "runs"))["jobs"]} == {"liver a", "b"}
        for body, code in (
            ({"name": "liver a", "method": "pretend"}, "run-exists"),
            ({"name": "d", "method": "unheard"}, "unknown-method"),
            ({"name": "d", "method": "pretend", "settings": {"stepz": 3}}, "description"),
            ({"name": "a/b", "method": "pretend"}, "bad-name"),
        ):
            assert worker.refused("job_start", **body)["code"] == code
        assert worker.refused("job_events", folder=str(home / "gone"))["code"] == "no-run"
        assert ask("job_show", folder=folder) == find("liver a")
        assert worker.refused("job_show", folder=str(home / "gone"))["code"] == "no-run"
        missing = {"name": "d", "method": "alpnet", "dataset": str(home / "gone")}
        assert worker.refused("job_start", **missing)["code"] == "no-dataset"
        assert worker.refused("jobs", rooot="x")["code"] == "description"


def test_a_job_of_a_window_that_was_closed_goes_on(home: Path, tmp_path: Path) -> None:
    variables = {"SEGTOOLKIT_HOME": str(home), "SEGTOOLKIT_METHOD_PATH": str(PRETEND)}
    with Worker(tmp_path / "exchange", **variables) as worker:
        begun = worker.ask("job_start", name="a", method="pretend", settings={"steps": 3000}, device="cpu")
        pid = begun["pid"]
    assert not is_there(worker.process.pid)
    with Worker(tmp_path / "exchange2", **variables) as worker:
        (found,) = worker.ask("jobs")["jobs"]
        assert (found["pid"], found["state"]) == (pid, "running")
        folder = found["folder"]
        until(lambda: worker.ask("jobs")["jobs"][0]["step"] > (found["step"] or 0) + 3)
        worker.ask("job_kill", folder=folder)


def test_a_shell_does_the_same(home: Path, tmp_path: Path) -> None:
    begun = shell("start", "pretend", "--name", "a", "--preset", "quick", "--set", "steps=4", folder=tmp_path)
    assert begun["name"] == "a"
    assert shell("watch", "a", folder=tmp_path)["state"] == "finished"
    assert shell("show", "a", folder=tmp_path)["step"] == 4
    assert shell("clone", "a", "b", "--set", "steps=5", "--no-start", folder=tmp_path)["state"] == "new"
    assert shell("resume", "b", folder=tmp_path)["pid"]
    assert shell("watch", "b", folder=tmp_path)["step"] == 5
    assert [one["name"] for one in shell("list", folder=tmp_path)["jobs"]] == ["b", "a"]
    assert shell("delete", "a", folder=tmp_path)["folder"].endswith("a")
    for arguments, code in (
        (("show", "a"), "no-run"),
        (("stop", "b"), "not-running"),
        (("start", "pretend", "--preset", "huge"), "unknown-preset"),
        (("start", "pretend", "--set", "stepz=1"), "description"),
        (("start", "pretend", "--place", "x"), "bad-place"),
    ):
        assert shell(*arguments, folder=tmp_path, code=1)["code"] == code


def test_a_job_that_is_started_twice_by_hand_runs_once(home: Path, tmp_path: Path) -> None:
    shell("start", "pretend", "--name", "a", "--set", "steps=2000", folder=tmp_path)
    assert shell("run", "a", folder=tmp_path, code=1)["code"] == "run-busy"
    assert shell("resume", "a", folder=tmp_path, code=1)["code"] == "run-busy"
    assert shell("kill", "a", folder=tmp_path)["state"] == "interrupted"
