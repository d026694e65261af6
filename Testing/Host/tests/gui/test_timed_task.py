"""Work in pieces that a timer drives: its turns, its questions, and its ends."""

from __future__ import annotations

import pytest

from SegToolkitGui.Errors import UserError
from SegToolkitGui.TimedTask import WAIT, TimedTask

FAILED = "That failed ({kind}: {error})."


class Begun:
    """A task and the ends that it told."""

    def __init__(self, work) -> None:
        self.ends: list = []
        self.task = TimedTask(work, self.ends.append, FAILED)
        self.task.start()


def test_the_event_loop_turns_between_the_pieces(turn) -> None:
    done: list[int] = []

    def work():
        for number in range(3):
            done.append(number)
            yield

    begun = Begun(work())
    assert done == []  # nothing happens within start()
    assert turn(lambda: begun.ends)
    assert done == [0, 1, 2]
    assert begun.ends == [None]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_question_sleeps_until_it_is_answered(turn, at_once) -> None:
    asked, got = [], []

    def ask(answered):
        asked.append(answered)
        if at_once:
            answered({"a": 1}, None)

    def work():
        got.append((yield from begun.task.ask(ask)))

    begun = Begun(work())
    assert turn(lambda: asked)
    if not at_once:
        assert not turn(lambda: begun.ends, 0.1)
        assert begun.task.asking
        asked[0]({"a": 1}, None)
    assert turn(lambda: begun.ends)
    assert got == [{"a": 1}]
    assert not begun.task.asking


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (UserError("mine", "Cause.", "Hint."), "mine", "Cause. Hint."),
        (OSError(28, "No space left", "/a"), "disk", "No space left"),
        (KeyError("x"), "internal", "That failed (KeyError: 'x')."),
    ],
)
def test_what_the_work_raises_ends_it_with_a_sentence(turn, error, code, told) -> None:
    def work():
        yield
        raise error

    begun = Begun(work())
    assert turn(lambda: begun.ends)
    assert begun.ends[0].code == code
    assert told in str(begun.ends[0])


def test_an_answer_that_is_an_error_is_raised_in_the_work(turn) -> None:
    wrong = UserError("worker-died", "It died.")

    def work():
        yield from begun.task.ask(lambda answered: answered(None, wrong))

    begun = Begun(work())
    assert turn(lambda: begun.ends)
    assert begun.ends == [wrong]


@pytest.mark.parametrize("within", [False, True])
def test_stopped_work_cleans_up_and_tells_nothing(turn, within) -> None:
    cleaned = []

    def work():
        try:
            if within:
                begun.task.stop()
            yield WAIT
        finally:
            cleaned.append(1)

    begun = Begun(work())
    if within:
        assert turn(lambda: cleaned)
    else:
        assert not turn(lambda: begun.ends, 0.05)
        begun.task.stop()
    begun.task.stop()
    begun.task.wake()
    assert not turn(lambda: begun.ends, 0.05)
    assert cleaned == [1]
