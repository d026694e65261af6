"""When the list of runs is asked for."""

from __future__ import annotations

import pytest

from SegToolkitGui.Errors import UserError
from SegToolkitGui.training.JobWatch import FAILURE_REST, SHOWN_MS, JobWatch

LIST = {"jobs": [], "root": "/runs"}


@pytest.fixture
def asked():
    return []


@pytest.fixture
def watch(asked):
    made = JobWatch(lambda verb, body, onFinished: asked.append(onFinished), lambda: "")
    yield made
    made.end()


def test_looking_twice_asks_once(watch, asked):
    watch.look("panel")
    asked[-1](LIST, None)
    watch.look("panel")
    assert len(asked) == 1
    assert watch._timer.interval() == SHOWN_MS
    watch.lookAway("panel")
    assert not watch._timer.isActive()
    watch.look("panel")
    assert len(asked) == 2


def test_after_a_failure_it_rests(watch, asked):
    watch.look("panel")
    asked[-1](None, UserError("worker-died", "It died."))
    assert watch._timer.isActive()
    assert watch._timer.interval() >= FAILURE_REST * 1000 >= 10_000
    watch.forgetFailure()  # something was mended
    assert watch._timer.interval() == SHOWN_MS
    watch.poll()
    asked[-1](LIST, None)
    assert watch.problem is None
    assert watch._timer.interval() == SHOWN_MS
