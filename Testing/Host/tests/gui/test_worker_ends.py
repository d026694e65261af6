"""The ends of the worker process: cancelled, stopped, killed; and nothing is left behind."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import time
import weakref
from pathlib import Path

import pytest
from worker_parts import FAKE, Answers, ask, isRunning


@pytest.mark.parametrize("mode", ["normal", "stubborn"])
def test_cancel_ends_all_requests_and_kills_at_once(newClient, turn, folder, mode) -> None:
    client, answers = newClient(mode), Answers()
    ask(client, "slow", answers)
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.events) > 3)
    pid = client.pid
    started = time.monotonic()
    client.cancel()
    assert time.monotonic() - started < 0.5  # it does not wait: the stubborn one would need seconds
    assert answers.codes == ["cancelled", "cancelled"]
    assert client.state == "stopping"
    count = len(answers.events)
    assert turn(lambda: client.state == "off", seconds=1)
    assert not isRunning(pid)
    assert len(answers.events) == count
    assert list(folder.iterdir()) == []
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 3)
    assert answers.codes[-1] == "done"
    assert client.restarts == 0


def test_cancel_before_the_first_line_kills_too(newClient, turn, folder) -> None:
    client, answers = newClient("silent"), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: client.state == "starting")
    turn(seconds=0.2)
    client.cancel()
    assert answers.codes == ["cancelled"]
    assert turn(lambda: client.state == "off", seconds=2)
    assert list(folder.iterdir()) == []


def test_cancel_reaches_the_process_behind_a_launcher(newClient, turn, tmp_path) -> None:
    # PythonSlicer starts python and waits for it; killing the launcher leaves python alive.
    launcher = tmp_path / "launcher.py"
    launcher.write_text(
        "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))\n"
    )
    client, answers = newClient(command=[sys.executable, str(launcher), str(FAKE), "stubborn"]), Answers()
    ask(client, "slow", answers)
    assert turn(lambda: len(answers.events) > 3)
    pid = client.pid
    client.cancel()
    assert turn(lambda: client.state == "off", seconds=2)
    assert turn(lambda: not isRunning(pid), seconds=1)


@pytest.mark.parametrize("how", ["cancel", "killNow", "death"])
def test_grandchildren_do_not_survive(newClient, turn, how) -> None:
    client, answers = newClient(), Answers()
    ask(client, "grandchild", answers, then="die" if how == "death" else "wait")
    assert turn(lambda: any(event["t"] == "log" for event in answers.events))
    grandchild = int(answers.events[0]["text"].split()[1])
    if how != "death":
        assert isRunning(grandchild)
        getattr(client, how)()
    assert turn(lambda: client.state == "off", seconds=2)
    assert turn(lambda: not isRunning(grandchild), seconds=1)
    assert answers.codes == ["worker-died" if how == "death" else "cancelled"]


@pytest.mark.parametrize(("mode", "atMost"), [("normal", 0.9), ("stubborn", 2.0)])
def test_stop_is_polite_for_a_second(newClient, turn, folder, mode, atMost) -> None:
    client, answers = newClient(mode), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    pid, started = client.pid, time.monotonic()
    client.stop()
    assert client.state == "stopping"
    assert turn(lambda: client.state == "off", seconds=3)
    took = time.monotonic() - started
    assert took < atMost
    assert (took > 0.9) == (mode == "stubborn")
    assert not isRunning(pid)
    assert list(folder.iterdir()) == []
    assert answers.codes == ["done"]


def test_a_request_while_the_old_process_stops_gets_a_new_one(newClient, turn) -> None:
    client, answers = newClient("stubborn"), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    old = client.pid
    client.stop()
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.finished[1][0]["pid"] != old
    assert turn(lambda: not isRunning(old), seconds=3)
    assert client.state == "idle"


def test_an_old_process_that_says_hello_late_is_not_taken_for_the_new_one(newClient, turn) -> None:
    client, answers = newClient("stubborn"), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: client.state == "starting")
    client.stop()
    assert answers.codes == ["cancelled"]
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["cancelled", "done"]
    turn(seconds=0.5)
    started = [line for line in client.log if line.startswith("Worker ")]
    assert [line.split()[1] for line in started] == [str(client.pid)]


@pytest.mark.parametrize("mode", ["normal", "stubborn", "silent"])
def test_kill_now_returns_when_all_is_gone(newClient, turn, folder, mode) -> None:
    client, answers = newClient(mode), Answers()
    ask(client, "slow", answers)
    assert turn(lambda: answers.events or (mode == "silent" and client.state == "starting"))
    worker = client._worker
    direct = worker._process.processId()
    started = time.monotonic()
    client.killNow()
    assert time.monotonic() - started < 2
    assert not isRunning(direct)
    assert client.state == "off"
    assert answers.codes == ["cancelled"]
    assert list(folder.iterdir()) == []
    client.killNow()
    turn(seconds=0.1)
    assert answers.codes == ["cancelled"]


@pytest.mark.parametrize("how", ["cancel", "stop", "killNow"])
def test_a_callback_may_end_the_process_it_hears_from(newClient, turn, how) -> None:
    client, answers = newClient(), Answers()

    def onEvent(event: dict) -> None:
        if event["step"] == 2:
            getattr(client, how)()
            ask(client, "echo", answers)

    client.request("slow", {}, onEvent, answers.onFinished)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["cancelled", "done"]
    assert turn(lambda: client.state == "idle")


def test_a_worker_whose_folder_is_swept_away_is_replaced(newClient, turn, folder) -> None:
    client, answers = newClient(), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    pid = client.pid
    shutil.rmtree(folder)
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["done", "done"]
    assert client.pid != pid
    assert turn(lambda: not isRunning(pid), seconds=2)


def test_a_request_that_was_not_sent_outlives_its_worker(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    pid = client.pid

    def askAgain(line: str) -> None:
        # The moment at which its end is known and nothing new was sent.
        if "ended unexpectedly" in line:
            ask(client, "echo", answers)

    client.logged.connect(askAgain)
    os.kill(pid, signal.SIGKILL)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["done", "done"]
    assert client.pid != pid


def test_two_hundred_requests_leave_nothing_behind(newClient, turn, folder) -> None:
    from SegToolkitGui.WorkerProcess import WorkerProcess

    client, answers = newClient(), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    handles = len(list(Path("/proc/self/fd").iterdir()))
    seen: list[weakref.ref] = []
    for number in range(200):
        ask(client, "die" if number % 50 == 49 else "echo", answers)
        assert turn(lambda number=number: len(answers.finished) == number + 2)
        if client._worker and not any(ref() is client._worker for ref in seen):
            seen.append(weakref.ref(client._worker))
        if number % 50 == 25:
            client.cancel()
    assert answers.codes.count("done") == 197
    client.stop()
    assert turn(lambda: client.state == "off")
    turn(seconds=0.05)
    gc.collect()
    assert list(folder.iterdir()) == []
    assert len(seen) > 5
    assert [ref() for ref in seen if ref() is not None] == []
    assert [thing for thing in gc.get_objects() if isinstance(thing, WorkerProcess)] == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= handles
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    assert (
        not [pid for pid in children.read_text().split() if isRunning(int(pid))]
        if children.exists()
        else True
    )
