from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs.event_file import BestValidations, events, newest_first
from SegToolkitLib.jobs.job_file import create, read_job, train_arguments
from SegToolkitLib.jobs.status import list_jobs, status
from SegToolkitLib.training.alive import PROCESS_FILE, holding

START = {"t": "start", "step": 0, "total": 100, "device": "cpu"}
METRIC = {"t": "metric", "step": 20, "loss": 0.5, "learning_rate": 0.1, "seconds_per_step": 2.0}
BEST = {"t": "validation", "step": 20, "dice": 0.7, "best": True, "pictures": []}
WORSE = {"t": "validation", "step": 30, "dice": 0.6, "best": False, "pictures": []}
ERROR = {"t": "error", "code": "disk-full", "text": "The disk is full.", "hint": "Make room."}


def write_events(folder: Path, *found: dict[str, Any], end: str = "") -> None:
    lines = [json.dumps({"t": one["t"], "time": 1000.0 + n, **one}) for n, one in enumerate(found)]
    with (folder / "events.jsonl").open("a", encoding="utf-8") as handle:
        handle.write("".join(line + "\n" for line in lines) + end)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return create(tmp_path / "Läufe 肝", "liver a", "pretend", None, {"steps": 100})


@pytest.mark.parametrize(
    ("found", "state", "step"),
    [
        ([], "new", None),
        ([START], "interrupted", 0),
        ([START, METRIC], "interrupted", 20),
        ([START, METRIC, {"t": "stopped", "step": 21}], "stopped", 21),
        ([START, METRIC, {"t": "stopped", "step": 21}, {**START, "step": 21}], "interrupted", 21),
        ([START, METRIC, {"t": "finished", "step": 100}], "finished", 100),
        ([START, METRIC, {"t": "finished", "step": 100}, {"t": "warning", "text": "w"}], "finished", 100),
        ([START, METRIC, ERROR], "failed", 20),
        ([START, METRIC, ERROR, {**START, "step": 20}, {"t": "progress", "phase": "p"}], "interrupted", 20),
    ],
)
def test_the_state_of_a_run_without_a_process_follows_from_its_last_events(
    run: Path, found: list[dict[str, Any]], state: str, step: int | None
) -> None:
    write_events(run, *found)
    told = status(run)
    assert (told.state, told.step) == (state, step)
    assert (told.error == {"code": "disk-full", "text": "The disk is full.", "hint": "Make room."}) == (
        state == "failed"
    )
    assert told.pid is None


@pytest.mark.parametrize(
    ("before", "during", "stop", "state"),
    [
        ([], [], False, "starting"),
        ([START, METRIC, {"t": "stopped", "step": 20}], [], False, "starting"),
        ([], [{"t": "progress", "phase": "superpixels", "step": 1, "total": 9}], False, "starting"),
        ([], [START], False, "running"),
        ([START, METRIC, ERROR], [{**START, "step": 20}], False, "running"),
        ([], [START, METRIC], True, "stopping"),
        ([], [], True, "stopping"),
        ([], [START, METRIC, {"t": "stopped", "step": 20}], False, "stopped"),
    ],
)
def test_the_state_of_a_living_run_follows_from_what_its_process_wrote(
    run: Path, before: list[dict[str, Any]], during: list[dict[str, Any]], stop: bool, state: str
) -> None:
    write_events(run, *before)
    with holding(run):
        write_events(run, *during)
        if stop:
            (run / "stop").touch()
        told = status(run)
    assert told.state == state
    assert told.pid == os.getpid()
    if during and during[0]["t"] == "progress":
        assert told.reason == "Prepares: superpixels, 1 of 9."


def test_a_clock_that_jumps_does_not_change_the_state(run: Path) -> None:
    write_events(run, {**START, "time": 4e9}, {**METRIC, "time": 4e9})
    with holding(run):
        assert status(run).state == "starting"
        write_events(run, {**START, "time": 5.0})
        assert status(run).state == "running"


def test_a_run_that_was_killed_before_it_wrote_anything_is_interrupted(run: Path) -> None:
    with holding(run):
        facts = (run / PROCESS_FILE).read_text("utf-8")
    (run / PROCESS_FILE).write_text(facts, "utf-8")
    assert status(run).state == "interrupted"
    write_events(run, START, {"t": "stopped", "step": 3})
    assert status(run).state == "stopped"


def test_a_process_that_ended_before_it_began_says_why(run: Path) -> None:
    (run / "console.txt").write_text("Traceback ...\nImportError: no module named x\n", "utf-8")
    told = status(run)
    assert told.state == "failed"
    assert "no module named x" in told.reason


def test_figures_come_from_the_newest_events(run: Path) -> None:
    with holding(run):
        write_events(run, START, METRIC, BEST, WORSE, {**METRIC, "step": 30, "loss": 0.4})
        told = status(run)
    assert (told.step, told.total, told.values) == (30, 100, {"loss": 0.4})
    assert told.best == {"metric": "dice", "value": 0.7, "step": 20}
    assert told.seconds_left == 140.0
    assert (told.name, told.method, told.device) == ("liver a", "pretend", "cpu")


def test_the_best_validation_is_found_however_long_ago_and_searched_once(run: Path) -> None:
    best = BestValidations()
    write_events(run, START, BEST, *[WORSE, METRIC] * 3000)
    assert best.of(run)["step"] == 20
    write_events(run, METRIC, end='{"t": "validation", "step": 99, "dice": 0.8, "be')
    assert best.of(run)["step"] == 20
    write_events(run, end='st": true}\n')
    assert best.of(run)["step"] == 99


def test_events_are_handed_on_once_and_only_whole(run: Path) -> None:
    assert events(run) == ([], 0)
    write_events(run, START, end='{"t": "metric", "st')
    found, offset = events(run)
    assert [one["t"] for one in found] == ["start"]
    assert events(run, offset) == ([], offset)
    # A killed writer's line stays torn; the next writer begins a new one.
    write_events(run, end='\n{"t": "metric", "step": 2}\n\xff\n[1]\nnull\n{"step": 3}\n')
    found, offset = events(run, offset)
    assert found == [{"t": "metric", "step": 2}]
    assert offset == (run / "events.jsonl").stat().st_size
    (run / "events.jsonl").write_text('{"t": "start"}\n')
    assert events(run, offset)[0] == [{"t": "start"}]


def test_events_of_a_run_that_is_gone_are_told(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="holds no run"):
        events(tmp_path / "gone")


@pytest.mark.parametrize("length", [1, 100, 32767, 32768, 40000, 70000])
def test_reading_backwards_finds_every_line_whole(tmp_path: Path, length: int) -> None:
    lines = [json.dumps({"t": "metric", "n": n, "ü": "x" * (length if n == 1 else n)}) for n in range(9)]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n{torn", "utf-8")
    found = list(newest_first(tmp_path, 1 << 20))
    assert [event["n"] for _, event in found] == list(range(8, -1, -1))
    whole = (tmp_path / "events.jsonl").read_bytes()
    for offset, event in found:
        assert json.loads(whole[offset:].split(b"\n")[0]) == event
    assert all(event["n"] >= 4 for _, event in newest_first(tmp_path, 200))


def test_the_list_holds_runs_of_every_origin_and_nothing_else(tmp_path: Path) -> None:
    create(tmp_path, "job", "pretend", None, {})
    (tmp_path / "by hand").mkdir()
    (tmp_path / "by hand" / "settings.json").write_text('{"method": "alpnet", "steps": 7}')
    (tmp_path / "empty").mkdir()
    (tmp_path / ".deleted-1").mkdir()
    (tmp_path / ".deleted-1" / "job.json").write_text("{}")
    (tmp_path / "file.txt").touch()
    found = {one.name: one for one in list_jobs(tmp_path)}
    assert set(found) == {"job", "by hand"}
    assert (found["by hand"].total, found["by hand"].method) == (7, "alpnet")
    assert list_jobs(tmp_path / "missing") == []


def test_damaged_files_do_not_break_the_list(tmp_path: Path) -> None:
    for name, text in {"a": "{", "b": "[]", "c": '{"name": 3}', "d": "\x00"}.items():
        folder = create(tmp_path, name, "pretend", None, {})
        for file in ("job.json", "settings.json", "events.jsonl", "process.json", "waiting.json"):
            (folder / file).write_text(text)
    assert len(list_jobs(tmp_path)) == 4


def test_runs_that_vanish_while_they_are_listed_do_not_break_the_list(tmp_path: Path) -> None:
    done = threading.Event()

    def come_and_go() -> None:
        n = 0
        while not done.is_set():
            folder = create(tmp_path, f"run-{n}", "pretend", None, {})
            write_events(folder, START, METRIC)
            folder.rename(tmp_path / f".deleted-{n}")
            n += 1

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert all(one.state in ("new", "interrupted") for one in list_jobs(tmp_path))
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "..", ".a", "-a", "a ", "a.", "con", "NUL.txt", "a:b", "x" * 81, "a\nb"]
)
def test_names_that_no_folder_can_have_everywhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SegToolkitError) as told:
        create(tmp_path, name, "pretend", None, {})
    assert told.value.code == "bad-name"
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    create(tmp_path, "肝 1", "pretend", None, {})
    with pytest.raises(SegToolkitError) as told:
        create(tmp_path, "肝 1", "pretend", None, {})
    assert told.value.code == "run-exists"


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="needs a user who may not write everywhere"
)
def test_a_folder_of_runs_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SegToolkitError, match="where you may write"):
        create(tmp_path / "runs", "a", "pretend", None, {})
    tmp_path.chmod(0o700)


def test_a_folder_of_runs_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(SegToolkitError, match="cannot be made in"):
        create(tmp_path / "runs", "a", "pretend", None, {})


def test_the_command_of_a_job_holds_all_that_it_was_made_with(tmp_path: Path) -> None:
    places = {"superpixels": str(tmp_path / "s p")}
    folder = create(tmp_path, "a b", "alpnet", str(tmp_path), {"steps": 3}, places, "cuda:1", 500.0)
    assert read_job(folder).memory_mb == 500
    config = folder / "config.json"
    assert json.loads(config.read_text()) == {"steps": 3}
    assert train_arguments(folder, "cuda:0") == [
        *("train", "alpnet", "--run", str(folder), "--start-or-resume"),
        *("--config", str(config), "--device", "cuda:0", "--name=a b"),
        *("--dataset", str(tmp_path), "--place", f"superpixels={tmp_path / 's p'}"),
    ]
