from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.processes import birth
from SegToolkitLib.training import alive
from SegToolkitLib.training.alive import PROCESS_FILE, holding, owner

HOLD = """
import os, sys, time
from SegToolkitLib.training.alive import holding
with holding(sys.argv[1]):
    {inside}
    print("held", flush=True)
    time.sleep(60)
"""
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")


def hold_elsewhere(folder: Path, inside: str = "pass") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(inside=inside), str(folder)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "Läufe mit Leerzeichen" / "肝 1"
    path.mkdir(parents=True)
    return path


def test_nobody_owns_a_folder_that_nobody_holds(folder: Path) -> None:
    assert owner(folder) is None
    assert owner(folder / "missing") is None
    assert list(folder.iterdir()) == []


def test_the_owner_is_known_while_it_lives_and_the_folder_may_be_held_twice_by_it(folder: Path) -> None:
    with holding(folder):
        with holding(folder / ".." / folder.name):
            found = owner(folder)
        assert owner(folder) == found
    assert found is not None
    assert (found.pid, found.here) == (os.getpid(), True)
    assert owner(folder) is None


def test_a_second_process_is_refused_in_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "PATIENCE_SECONDS", 0.1)
    process = hold_elsewhere(folder)
    try:
        with (
            pytest.raises(SegToolkitError, match=f"worked on by process {process.pid}") as told,
            holding(folder),
        ):
            pass
        assert told.value.code == "run-busy"
    finally:
        process.kill()
        process.wait()
    with holding(folder):
        pass


@posix
def test_a_killed_owner_is_gone_also_while_nobody_has_collected_it(folder: Path) -> None:
    process = hold_elsewhere(folder)
    process.kill()
    end = time.monotonic() + 5
    while owner(folder) is not None and time.monotonic() < end:
        time.sleep(0.01)
    # It is a zombie: its id is still there, and its process.json as well.
    os.kill(process.pid, 0)
    assert (folder / PROCESS_FILE).exists()
    assert owner(folder) is None
    process.wait()


@posix
def test_a_forked_child_does_not_keep_its_parents_run_alive(folder: Path) -> None:
    process = hold_elsewhere(folder, "if os.fork() == 0: time.sleep(3); os._exit(0)")
    assert owner(folder) is not None
    process.kill()
    process.wait()
    assert owner(folder) is None


@pytest.mark.parametrize(
    ("pid", "born"),
    [(os.getpid(), "another birth"), (1, "x"), (2**22 - 1, "")],
    ids=["an id given away again", "another's process", "no process"],
)
def test_what_process_json_says_counts_for_nothing_without_the_lock(
    folder: Path, pid: int, born: str
) -> None:
    with holding(folder):
        facts = json.loads((folder / PROCESS_FILE).read_text("utf-8"))
    (folder / PROCESS_FILE).write_text(json.dumps({**facts, "pid": pid, "born": born}))
    assert owner(folder) is None
    with holding(folder):
        assert owner(folder) is not None


@pytest.mark.parametrize(("age", "there"), [(5, True), (59, True), (75, False), (-75, False)])
def test_an_owner_on_another_machine_is_known_by_its_heartbeat(folder: Path, age: float, there: bool) -> None:
    facts = {"pid": 7, "host": "elsewhere", "started": 1.0, "born": "b"}
    (folder / PROCESS_FILE).write_text(json.dumps(facts))
    os.utime(folder / PROCESS_FILE, times=(time.time() - age,) * 2)
    found = owner(folder)
    assert (found is not None) == there
    if there:
        assert not found.here
        with pytest.raises(SegToolkitError, match="7 on elsewhere"), holding(folder):
            pass


def test_the_heartbeat_is_renewed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "HEARTBEAT_SECONDS", 0.05)
    with holding(folder):
        os.utime(folder / PROCESS_FILE, times=(1, 1))
        time.sleep(0.3)
        assert time.time() - (folder / PROCESS_FILE).stat().st_mtime < 5


def _try_to_hold(folder: str, start: float, queue: multiprocessing.Queue) -> None:
    while time.time() < start:
        pass
    try:
        with holding(folder):
            queue.put("held")
            time.sleep(3)
    except SegToolkitError as error:
        queue.put(error.code)


def test_of_several_that_begin_at_once_one_wins(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    arguments = (str(folder), time.time() + 2, queue)
    processes = [context.Process(target=_try_to_hold, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    assert sorted(queue.get(timeout=20) for _ in processes) == ["held"] + ["run-busy"] * 3
    for process in processes:
        process.join()


def test_looking_often_does_not_disturb_those_who_begin(folder: Path) -> None:
    code = f"from SegToolkitLib.training.alive import owner\nwhile True: owner({str(folder)!r})"
    looker = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.5)
        for _ in range(50):
            with holding(folder):
                assert owner(folder) is not None
            assert owner(folder) is None
    finally:
        looker.kill()
        looker.wait()


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="needs a user who may not write everywhere"
)
def test_a_folder_that_cannot_be_written_is_told_and_can_be_looked_at(folder: Path) -> None:
    with holding(folder):
        pass
    folder.chmod(0o500)
    try:
        assert owner(folder) is None
        with pytest.raises(SegToolkitError, match="cannot be used"), holding(folder / "new"):
            pass
    finally:
        folder.chmod(0o700)


def test_a_run_that_came_to_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with holding(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
    assert list(tmp_path.iterdir()) == []
    with holding(tmp_path / "new"):
        (tmp_path / "new" / "log.txt").touch()
    assert (tmp_path / "new" / "log.txt").exists()


@posix
def test_births_tell_processes_apart() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    born = birth(child.pid)
    assert born is not None
    assert born == birth(child.pid) != birth(os.getpid())
    child.send_signal(signal.SIGKILL)
    time.sleep(0.2)
    assert birth(child.pid) is None  # it has ended, though nobody has collected it
    child.wait()
    assert birth(child.pid) is None
