"""Jobs that really train: the toy method, by the engine, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs_helpers import own_home, until, until_state
from SegToolkitLib.jobs import control
from SegToolkitLib.jobs.event_file import events
from SegToolkitLib.jobs.job_file import create
from SegToolkitLib.jobs.status import status
from SegToolkitLib.training.alive import owner

ROOT = Path(__file__).parents[2]
METHODS = ROOT / "Testing" / "Data" / "methods"
LONG = {"steps": 300, "log_every": 1, "snapshot_every": 5, "validate_every": 20}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_home(tmp_path, monkeypatch) as folder:
        paths = os.pathsep.join([str(METHODS), os.environ["SEGTOOLKIT_METHOD_PATH"]])
        monkeypatch.setenv("SEGTOOLKIT_METHOD_PATH", paths)
        yield folder


def losses(folder: Path) -> dict[int, float]:
    return {one["step"]: one["loss"] for one in events(folder)[0] if one["t"] == "metric"}


def test_a_training_that_is_killed_stopped_and_resumed_logs_what_an_undisturbed_one_logs(home: Path) -> None:
    settings = {**LONG, "delay": 0.02}
    folder, other = (create(home / "runs", name, "toy", None, settings, device="cpu") for name in "ab")
    control.start(folder)
    control.start(other)
    assert until_state(other, "waiting").reason == "Waits for a, which uses cpu."
    until(lambda: (status(folder).step or 0) > 25)
    assert status(folder).best["metric"] == "dice"
    killed = control.kill(folder)
    assert killed.state == "interrupted"
    until_state(other, "running")
    control.resume(folder)  # waits for the other one now
    assert until_state(folder, "waiting").step >= 25
    until(lambda: (status(other).step or 0) > 40)
    control.stop(other)
    stopped = until_state(other, "stopped")
    until(lambda: (status(folder).step or 0) > killed.step + 5)
    control.stop(folder, keep=True)
    done = until_state(folder, "finished")
    assert (Path(done.model) / "model.json").is_file()
    mine, theirs = losses(folder), losses(other)
    common = range(1, min(done.step, stopped.step) + 1)
    assert len(common) > killed.step
    assert [mine[n] for n in common] == [theirs[n] for n in common]
    until(lambda: owner(folder) is None)


def test_folds_of_a_real_training_run_here_as_on_a_cluster(home: Path, tmp_path: Path) -> None:
    command = ["train", "toy", "--preset", "quick", "--run", "runs/{fold}", "--set", "seed={fold}"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "SegToolkitLib",
            "jobs",
            "submit",
            "--local",
            "--folds",
            "1,2",
            "--",
            *command,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr + "".join(
        p.read_text() for p in (tmp_path / "logs").glob("*.out")
    )
    found = [losses(tmp_path / "runs" / fold) for fold in "12"]
    assert len(found[0]) == len(found[1]) == 20
    assert found[0] != found[1]
    for fold in "12":
        assert status(tmp_path / "runs" / fold).state == "finished"
