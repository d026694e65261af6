"""The worker's client: one answer for each request, whatever becomes of the process."""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

import pytest
from worker_parts import FAKE, Answers, ask

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Paths import removeFolder
from SegToolkitGui.WorkerClient import WorkerClient


def test_request_returns_before_its_callbacks_and_is_answered_once(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    states: list[str] = []
    client.stateChanged.connect(states.append)
    name = ask(client, "echo", answers, path=Path("/x/é"), number=3)
    assert answers.finished == []
    assert turn(lambda: answers.finished)
    turn(seconds=0.1)
    (outputs, error), *more = answers.finished
    assert more == []
    assert error is None
    assert outputs["echo"] == {"id": name, "do": "echo", "path": "/x/é", "number": 3}
    assert [event["t"] for event in answers.events] == ["progress"]
    assert client.pid == outputs["pid"]
    assert client.state == "idle"
    assert states == ["starting", "busy", "idle"] or states == ["off", "starting", "busy", "idle"]
    assert any("environment 1 1" in line for line in client.log)


def test_the_process_stays_for_the_next_request(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    for number in (1, 2, 3):
        ask(client, "echo", answers)
        assert turn(lambda number=number: len(answers.finished) == number)
    assert [outputs["number"] for outputs, _error in answers.finished] == [1, 2, 3]
    assert client.restarts == 0


def test_waiting_requests_are_answered_in_their_order(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    names = [ask(client, "echo", answers) for _ in range(5)]
    assert turn(lambda: len(answers.finished) == 5)
    assert [outputs["echo"]["id"] for outputs, _error in answers.finished] == names


def test_an_error_of_the_worker_arrives_as_it_is_and_leaves_the_worker_alive(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    ask(client, "fail", answers)
    assert turn(lambda: answers.finished)
    error = answers.finished[0][1]
    assert (error.code, error.text, error.hint) == (
        "no-such-thing",
        "There is no such thing.",
        "Look elsewhere.",
    )
    assert client.state == "idle"


@pytest.mark.parametrize(
    ("verb", "end", "hint"),
    [("die", "exit code 7", "new process"), ("killed", "signal 9", "Memory may have run out")],
)
def test_a_death_is_told_with_its_cause_and_the_next_request_works(newClient, turn, verb, end, hint) -> None:
    client, answers = newClient(), Answers()
    ask(client, verb, answers)
    assert turn(lambda: answers.finished)
    error = answers.finished[0][1]
    assert error.code == "worker-died"
    assert end in error.text
    assert hint in error.hint
    assert "the last words" in error.details or verb == "killed"
    assert client.state == "off"
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["worker-died", "done"]
    assert client.restarts == 1


def test_requests_behind_a_dead_one_go_on_in_a_new_process(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    ask(client, "die", answers)
    ask(client, "echo", answers)
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 3)
    assert answers.codes == ["worker-died", "done", "done"]


def test_a_worker_that_dies_again_and_again_is_given_up(newClient, turn) -> None:
    client, answers = newClient("dies-at-start"), Answers()
    for _ in range(6):
        ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 6)
    assert answers.codes == ["worker-died"] * 2 + ["worker-keeps-dying"] * 4
    assert "no module named numpy" in answers.finished[-1][1].details
    assert client.state == "off"
    # The person may have mended it: one more try for a new request.
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 7)
    assert answers.codes[-1] == "worker-keeps-dying"
    assert client.restarts == 3


def test_an_answer_in_between_forgives_deaths(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    for verb in ("die", "die", "echo", "die", "die"):
        ask(client, verb, answers)
    assert turn(lambda: len(answers.finished) == 5)
    assert answers.codes == ["worker-died", "worker-died", "done", "worker-died", "worker-died"]


def test_a_death_in_idleness_disturbs_nobody(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    os.kill(client.pid, 9)
    assert turn(lambda: client.state == "off")
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["done", "done"]


def test_a_missing_program_is_told(newClient, turn) -> None:
    client, answers = newClient(command=["/no such/pröogram"]), Answers()
    ask(client, "echo", answers)
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["worker-cannot-start"] * 2
    assert "/no such/pröogram" in answers.finished[0][1].text
    assert client.state == "off"


def test_a_folder_that_cannot_be_made_is_told(tmp_path, turn) -> None:
    (tmp_path / "file").write_text("")
    client, answers = (
        WorkerClient(tmp_path / "file" / "folder", [sys.executable, str(FAKE), "normal"]),
        Answers(),
    )
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    assert answers.codes == ["worker-folder"]
    assert client.state == "off"


def test_another_protocol_is_refused(newClient, turn) -> None:
    client, answers = newClient("other-protocol"), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    assert answers.codes == ["worker-protocol"]
    assert turn(lambda: client.state == "off")


def test_a_request_that_is_no_json_fails_alone(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    ask(client, "echo", answers, thing=object())
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["invalid-request", "done"]


def test_other_output_goes_to_the_log(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    logged: list[str] = []
    client.logged.connect(logged.append)
    ask(client, "garbage", answers)
    assert turn(lambda: answers.finished)
    turn(seconds=0.1)
    assert answers.codes == ["done"]
    assert "wrong" not in answers.finished[0][0]
    for line in ("not json", '{"t": broken', "[1, 2]", '{"no": "t"}', '{"t": 5}', "on stderr é"):
        assert line in client.log
    assert any(line.startswith("stray latin: \ufffd") for line in client.log)
    assert logged == client.log


def test_a_very_long_line_in_pieces_arrives_whole(newClient, turn) -> None:
    client, answers = newClient(), Answers()
    ask(client, "long", answers)
    assert turn(lambda: answers.finished)
    assert len(answers.finished[0][0]["text"]) == 3_000_000


def test_a_flood_of_lines_neither_freezes_the_window_nor_fills_memory(newClient, turn) -> None:
    from PySide6.QtCore import QTimer

    client, answers = newClient(), Answers()
    ticks: list[float] = []
    timer = QTimer(interval=5)
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    timer.start()
    ask(client, "flood", answers)
    assert turn(lambda: len(answers.finished) == 2)
    timer.stop()
    assert len(client.log) == 2000
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(ticks))
    # Of many, two may fall to another process on a busy machine.
    assert gaps[-3 if len(gaps) > 20 else -1] < 0.25


def test_a_callback_may_wait_in_an_event_loop_of_its_own(newClient, turn) -> None:
    client, answers = newClient(), Answers()

    def onFinished(outputs: dict | None, error: UserError | None) -> None:
        ask(client, "echo", answers)
        assert turn(lambda: answers.finished)

    done: list[bool] = []
    client.request("echo", {}, None, lambda outputs, error: (onFinished(outputs, error), done.append(True)))
    assert turn(lambda: done)
    assert answers.codes == ["done"]


def test_a_failing_callback_is_logged_and_the_rest_goes_on(newClient, turn, caplog) -> None:
    client, answers = newClient(), Answers()
    client.request("echo", {}, lambda event: 1 / 0, lambda outputs, error: 1 / 0)
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    assert caplog.text.count("ZeroDivisionError: ") == 2


def test_the_folder_may_vanish_and_the_next_request_works(newClient, turn, folder) -> None:
    client, answers = newClient(), Answers()
    ask(client, "echo", answers)
    assert turn(lambda: answers.finished)
    removeFolder(folder)
    assert turn(lambda: client.state == "off")
    ask(client, "echo", answers)
    assert turn(lambda: len(answers.finished) == 2)
    assert answers.codes == ["done", "done"]
