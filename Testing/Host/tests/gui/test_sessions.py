"""What a session asks once, what it asks again, and that it stays ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from SegToolkitGui.Errors import UserError
from SegToolkitGui.ModelSession import ModelSession, refreshModels
from SegToolkitGui.training.Session import TrainingSession

MODEL = {"name": "one", "usable": True}
CANCELLED = UserError("cancelled", "Cancelled.")


class Asked(ModelSession):
    """Takes down what is asked; the test answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Any]] = []

    def ask(self, verb, body, onFinished, onEvent=None, worker="worker") -> None:
        self.asked.append((verb, onFinished))

    def count(self, verb: str) -> int:
        return [one for one, _answer in self.asked].count(verb)

    def answer(self, verb: str, outputs: dict | None, error: UserError | None = None) -> None:
        """Answer the last question of that verb."""
        next(answer for one, answer in reversed(self.asked) if one == verb)(outputs, error)


@pytest.fixture
def session():
    made = Asked.shared()
    yield made
    Asked.endShared()


def test_that_there_are_no_models_is_an_answer(session):
    session.wake()
    assert session.noModels == "Models are being looked up..."
    session.answer("models", {"models": [], "folder": "/models"})
    assert session.modelsKnown
    assert session.noModels == ""
    for _refresh in range(3):
        session.wake()
    assert session.count("models") == 1


def test_an_answer_that_was_lost_to_cancel_is_asked_for_again(session):
    session.wake()
    session.answer("models", {"models": [MODEL]})
    session.askModels()  # one more was added
    session.answer("models", None, CANCELLED)
    assert not session.modelsKnown
    assert session.noModels == ""  # those that were told before can be used meanwhile
    session.wake()
    assert session.count("models") == 3
    session.answer("models", {"models": [MODEL, {**MODEL, "name": "two"}]})
    assert [one["name"] for one in session.models] == ["one", "two"]
    session.wake()
    assert session.count("models") == 3


def test_a_failure_is_asked_for_again_when_something_was_mended(session):
    session.wake()
    session.answer("models", None, UserError("x", "The folder cannot be read."))
    session.wake()
    assert session.count("models") == 1
    assert session.noModels == "No model could be looked up: see the log."
    session.forgetFailures()
    session.wake()
    assert session.count("models") == 2


def test_a_session_that_knows_of_no_models_hears_of_the_first(session):
    session.wake()
    session.answer("models", {"models": []})
    refreshModels()
    assert session.count("models") == 2


def test_that_there_are_no_methods_is_an_answer(monkeypatch):
    session, asked = TrainingSession(), []
    monkeypatch.setattr(session, "quick", lambda verb, body, told, onEvent=None: asked.append((verb, told)))
    monkeypatch.setattr(session.slow, "ask", lambda *_arguments: None)
    session.wake()
    asked[-1][1]({"methods": []}, None)
    session.wake()
    assert [verb for verb, _told in asked] == ["methods"]
    session.shutDown()


def test_a_session_that_has_ended_starts_nothing(monkeypatch, turn, tmp_path: Path):
    from SegToolkitGui import Paths

    monkeypatch.setattr(Paths, "newSessionFolder", lambda: pytest.fail("a folder was made"))
    session, told = ModelSession(), []
    session.shutDown()
    session.cancel()
    session.wake()
    session.askModels(lambda outputs, error: told.append(error.code))
    with pytest.raises(UserError):
        session.worker()
    assert turn(lambda: told)
    assert told == ["cancelled"]
    session.wake()
    session.shutDown()
    assert session.workerState == "off"


def test_cancelling_makes_no_worker():
    session = ModelSession()
    session.cancel()
    assert session._clients == {}
    session.shutDown()
