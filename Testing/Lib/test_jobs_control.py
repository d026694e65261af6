from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs_helpers import is_there, make, own_home, until, until_state
from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs import control
from SegToolkitLib.jobs.event_file import events
from SegToolkitLib.jobs.job_file import create, settings_of, train_arguments
from SegToolkitLib.jobs.status import list_jobs, status
from SegToolkitLib.training.alive import owner

LONG = {"steps": 2000, "seconds": 0.02}
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_home(tmp_path, monkeypatch) as folder:
        yield folder


def told(folder: Path, action: str, *values: object) -> str:
    with pytest.raises(SegToolkitError) as error:
        getattr(control, action)(folder, *values)
    assert error.value.hint
    return error.value.code


def test_a_job_runs_to_its_end_in_a_process_of_its_own(home: Path) -> None:
    folder = make(home, "liver a", steps=3)
    begun = control.start(folder)
    assert begun.state in ("starting", "running", "finished")
    assert begun.pid not in (None, os.getpid())
    done = until_state(folder, "finished")
    assert (done.step, done.total, done.model) == (3, 3, str(folder / "result" / "model"))
    until(lambda: owner(folder) is None)
    assert [one["t"] for one in events(folder)[0]] == ["start", *["metric"] * 3, "finished"]
    assert told(folder, "start") == "run-finished"
    assert told(folder, "stop") == told(folder, "kill") == "not-running"


def test_a_job_stops_after_its_step_and_goes_on_there(home: Path) -> None:
    folder = make(home, "肝", **LONG)
    control.start(folder)
    until(lambda: (status(folder).step or 0) > 3)
    assert control.stop(folder).state in ("stopping", "stopped")
    stopped = until_state(folder, "stopped")
    assert told(folder, "move", 1) == "not-waiting"
    # At once: its process may have a moment to live yet.
    control.resume(folder)
    until(lambda: (status(folder).step or 0) > stopped.step + 2)
    control.stop(folder, keep=True)
    finished = until_state(folder, "finished")
    assert finished.reason == "Finished early."
    starts = [one["step"] for one in events(folder)[0] if one["t"] == "start"]
    assert starts == [0, stopped.step]


@posix
def test_a_killed_job_is_interrupted_its_children_are_gone_and_it_can_be_resumed(home: Path) -> None:
    folder = make(home, "a", **LONG, children=2)
    control.start(folder)
    until(lambda: (status(folder).step or 0) > 3)
    children = [int(path.name.partition("-")[2]) for path in folder.glob("child-*")]
    assert len(children) == 2
    assert all(map(is_there, children))
    killed = control.kill(folder)
    assert killed.state == "interrupted"
    assert killed.step >= 3
    until(lambda: not any(map(is_there, children)))
    assert control.resume(folder).pid
    until(lambda: (status(folder).step or 0) > killed.step)


STARTER = """
import sys, time
from pathlib import Path
from SegToolkitLib.jobs import control
print(control.start(Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


@posix
def test_a_job_outlives_the_group_that_started_it_and_holds_none_of_its_pipes(home: Path) -> None:
    folder = make(home, "a", **LONG)
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    os.killpg(starter.pid, signal.SIGKILL)
    # Ends only if nobody else holds the other ends of the pipes.
    assert starter.communicate(timeout=10) == (b"", b"")
    step = until(lambda: status(folder).step)
    until(lambda: (status(folder).step or 0) > step + 5)
    assert status(folder).pid == pid
    assert os.getsid(pid) == pid
    assert os.getpgid(pid) == pid


@posix
def test_a_finished_job_of_a_living_starter_leaves_no_zombie(home: Path) -> None:
    folder = make(home, "a", steps=1)
    pid = control.start(folder).pid
    until_state(folder, "finished")

    def is_collected() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    assert until(is_collected)


def test_of_many_who_start_a_job_at_once_one_process_works_on_it(home: Path) -> None:
    folder = make(home, "a", steps=40, seconds=0.05)
    code = (
        "import sys; from pathlib import Path; from SegToolkitLib.jobs import control\n"
        "print(control.start(Path(sys.argv[1])).pid)"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    outputs = [starter.communicate(timeout=60) for starter in starters]
    until_state(folder, "finished")
    until(lambda: owner(folder) is None)
    found = [one["t"] for one in events(folder)[0]]
    assert found.count("start") == found.count("finished") == 1
    assert found.count("metric") == 40
    # Each was told the one process, or that it runs already.
    pids = {out.strip() for out, _ in outputs if out.strip() not in (b"", b"None")}
    assert len(pids) == 1
    assert all(out.strip() or b"already" in error for out, error in outputs)


def test_a_failed_job_tells_why_and_can_be_tried_again(home: Path) -> None:
    folder = make(home, "a", steps=4, fail_at=2)
    control.start(folder)
    failed = until_state(folder, "failed")
    assert failed.error == {"code": "broken", "text": "The pretended training broke.", "hint": "Mend it."}
    assert failed.reason == "The pretended training broke. Mend it."
    until(lambda: owner(folder) is None)
    assert [one["t"] for one in events(folder)[0]].count("error") == 1
    config = json.loads((folder / "settings.json").read_text())
    config["settings"]["fail_at"] = None
    (folder / "settings.json").write_text(json.dumps(config))
    control.start(folder)
    assert until_state(folder, "finished").step == 4


@pytest.mark.parametrize(
    ("method", "words"),
    [("pretend", "bad-setting"), ("unheard", "bad-arguments")],
    ids=["settings", "method"],
)
def test_what_goes_wrong_before_the_training_is_told_too(home: Path, method: str, words: str) -> None:
    folder = create(home / "runs", "a", method, None, {"stepz": 3})
    control.start(folder)
    failed = until_state(folder, "failed")
    assert failed.error is not None
    assert failed.error["code"] in (words, "internal")
    assert failed.error["text"]


def test_a_clone_has_the_data_and_the_changed_settings(home: Path, tmp_path: Path) -> None:
    folder = create(
        *(home / "runs", "a", "pretend", str(tmp_path), {"steps": 3, "net": {"width": 1, "depth": 2}}),
        *({"coco": str(tmp_path)}, "cuda:0", 5.0),
        data=str(tmp_path / "volumes"),
    )
    assert train_arguments(folder, "cpu")[-4:-2] == ["--data", str(tmp_path / "volumes")]
    copy = control.clone(folder, "b", {"net": {"width": 9}})
    assert settings_of(copy) == {"steps": 3, "net": {"width": 9, "depth": 2}}
    facts = json.loads((copy / "job.json").read_text())
    assert (facts["dataset"], facts["data"], facts["places"], facts["device"]) == (
        str(tmp_path),
        str(tmp_path / "volumes"),
        {"coco": str(tmp_path)},
        "cuda:0",
    )
    assert status(copy).state == "new"
    with pytest.raises(SegToolkitError, match="already"):
        control.clone(folder, "b", {})


def test_a_living_run_is_not_deleted_and_a_dead_one_is_gone(home: Path) -> None:
    folder = make(home, "a", **LONG)
    control.start(folder)
    assert told(folder, "delete") == "run-busy"
    control.kill(folder)
    control.delete(folder)
    assert list_jobs(home / "runs") == []
    assert list((home / "runs").iterdir()) == []
    assert told(folder, "delete") == told(folder, "start") == told(folder, "stop") == "no-run"


def test_what_is_no_run_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert told(tmp_path / "photos", "delete") == "no-run"
    assert (tmp_path / "photos").is_dir()


def test_a_run_that_was_started_by_hand_is_listed_stopped_and_resumed(home: Path) -> None:
    folder = home / "runs" / "by hand"
    config = home / "config.json"
    home.mkdir()
    config.write_text(json.dumps(LONG))
    train = [sys.executable, "-m", "SegToolkitLib", "train", "pretend"]
    options = ["--run", str(folder), "--config", str(config), "--device", "cpu"]
    shell = subprocess.Popen([*train, *options])
    until(lambda: (folder / "settings.json").exists() and (status(folder).step or 0) > 2)
    (found,) = list_jobs(home / "runs")
    assert (found.name, found.method, found.state, found.pid) == ("by hand", "pretend", "running", shell.pid)
    control.stop(folder)
    stopped = until_state(folder, "stopped")
    shell.wait(timeout=20)
    control.resume(folder)
    until(lambda: (status(folder).step or 0) > stopped.step)
    assert control.kill(folder).state == "interrupted"


def test_a_request_to_stop_that_nobody_lived_to_see_does_not_stop_the_next_process(home: Path) -> None:
    folder = make(home, "a", steps=5)
    (folder / "stop").touch()
    control.start(folder)
    assert until_state(folder, "finished", "stopped").state == "finished"


def test_a_process_that_comes_after_another_has_done_the_work_leaves_it_alone(home: Path) -> None:
    folder = make(home, "a", steps=2)
    control.start(folder)
    until_state(folder, "finished")
    until(lambda: owner(folder) is None)
    (folder / "events.jsonl").write_text('{"t": "stopped", "step": 1}\n')  # as if it had been stopped
    late = [sys.executable, "-m", "SegToolkitLib", "jobs", "run", str(folder), "--seen", "0"]
    done = subprocess.run(late, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert "started by another process meanwhile" in done.stderr
    assert [one["t"] for one in events(folder)[0]] == ["stopped"]


def test_watching_ends_with_the_run(home: Path) -> None:
    folder = make(home, "a", steps=3)
    control.start(folder)
    assert [one["t"] for one in control.watch(folder, 0.05)] == ["start", *["metric"] * 3, "finished"]


def _progress(step: int) -> dict[str, Any]:
    return {"t": "progress", "phase": "training", "step": step, "total": 9}


def test_of_the_progress_of_before_the_newest_is_told_and_of_an_ended_run_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar that gets all steps of a run at once takes them for the steps of a moment."""
    folder = make(home, "a")
    written = [_progress(1), {"t": "metric", "step": 1}, _progress(2), {"t": "warning", "text": "hot"}]
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in written), encoding="utf-8")
    assert list(control.watch(folder)) == [written[1], written[3]]
    # While its process lives, all steps from now on are told as they come.
    lives = iter([True, True, False])
    monkeypatch.setattr(control, "owner", lambda folder: True if next(lives) else None)
    told = []
    for event in control.watch(folder, 0.01):
        told.append(event)
        if len(told) == 3:
            with file.open("a", encoding="utf-8") as stream:
                stream.writelines(json.dumps(_progress(step)) + "\n" for step in (3, 4))
    assert told == [*written[1:], _progress(3), _progress(4)]


def test_watching_a_finished_run_shows_how_it_ended_and_no_bar(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(home, "a", steps=3)
    control.start(folder)
    until_state(folder, "finished")
    until(lambda: owner(folder) is None)
    events_file = folder / "events.jsonl"
    told = events_file.read_text(encoding="utf-8")
    events_file.write_text(json.dumps(_progress(9)) + "\n" + told, encoding="utf-8")
    assert main(["jobs", "watch", str(folder)]) == 0
    shown = capsys.readouterr().err
    assert "it/s" not in shown
    assert "finished" in shown.splitlines()[-1]


def test_a_job_of_a_folder_that_is_removed_by_hand_ends(home: Path) -> None:
    import shutil

    running, waiting = make(home, "a", **LONG), make(home, "b", **LONG)
    control.start(running)
    pid = control.start(waiting).pid
    until_state(waiting, "waiting")
    shutil.rmtree(waiting)
    until(lambda: not is_there(pid))
    assert [one.name for one in list_jobs(home / "runs")] == ["a"]


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="needs a user who may not write everywhere"
)
def test_a_run_in_a_folder_that_cannot_be_written_is_told(home: Path) -> None:
    folder = make(home, "a")
    folder.chmod(0o500)
    assert told(folder, "start") == "start-failed"
    folder.chmod(0o700)


def test_starting_takes_little_time_and_loads_no_torch(home: Path) -> None:
    folder = make(home, "a", steps=1)
    began = time.monotonic()
    control.start(folder)
    assert time.monotonic() - began < 15
    until_state(folder, "finished")  # the pretended training asserts that there is no torch
    modules = "SegToolkitLib.worker.job_answers, SegToolkitLib.cli.jobs"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
