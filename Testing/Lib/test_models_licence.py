"""Terms are shown, and accepted once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.licence import ensure_accepted
from test_models_card import WEIGHTS, make_card

TERMS = {
    "name": "CC BY-NC-SA 4.0",
    "permissive": False,
    "summary": "No commercial use.",
    "url": "https://x.org/l",
}


def a_card(**changes: Any) -> ModelCard:
    return make_card(**{"licence": TERMS, "weights": WEIGHTS} | changes)


class Person:
    """Answers as told, and remembers what was shown."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.shown: list[str] = []

    def __call__(self, text: str) -> bool:
        self.shown.append(text)
        return self.answer


def test_permissive_terms_need_no_question_and_leave_no_record(tmp_path: Path) -> None:
    person = Person(False)
    ensure_accepted(make_card(), ask=person, record=tmp_path / "record.json")
    assert person.shown == []
    assert list(tmp_path.iterdir()) == []


def test_a_licence_is_asked_once(tmp_path: Path) -> None:
    person, record = Person(True), tmp_path / "deep" / "record.json"
    for _ in range(3):
        ensure_accepted(a_card(), ask=person, record=record)
    ensure_accepted(a_card(), record=record)
    [text] = person.shown
    assert all(part in text for part in ("A toy", "CC BY-NC-SA 4.0", "No commercial use.", "https://x.org/l"))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"licence": TERMS | {"name": "CC BY-NC-ND 4.0"}},
        {"licence": TERMS | {"summary": "Now costs money."}},
        {"weights": WEIGHTS | {"sha256": "1" * 64}},
    ],
    ids=["model", "licence", "terms", "weights"],
)
def test_what_changed_is_asked_again_and_the_rest_is_remembered(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    person, record = Person(True), tmp_path / "record.json"
    ensure_accepted(a_card(), ask=person, record=record)
    ensure_accepted(a_card(**changes), ask=person, record=record)
    assert len(person.shown) == 2
    ensure_accepted(a_card(**changes), record=record)


@pytest.mark.parametrize("ask", [None, Person(False)], ids=["nobody to ask", "declined"])
def test_terms_that_are_not_accepted_stop_the_work(tmp_path: Path, ask: Person | None) -> None:
    record = tmp_path / "record.json"
    for _ in range(2):
        with pytest.raises(SegToolkitError) as caught:
            ensure_accepted(a_card(), ask=ask, record=record)
    assert caught.value.code == "licence-not-accepted"
    assert "No commercial use." in caught.value.message
    assert "--accept-licence" in caught.value.hint
    assert not record.exists()


def test_the_way_to_accept_from_python_is_that_of_every_method() -> None:
    with pytest.raises(SegToolkitError) as caught:
        ensure_accepted(a_card())
    assert "from_model" not in caught.value.hint
    assert "SegToolkitLib.models.licence.ensure_accepted(card, accept=True)" in caught.value.hint


def test_accepting_by_argument_asks_nobody_and_is_remembered_at_home(tmp_path: Path, monkeypatch) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    person = Person(False)
    ensure_accepted(a_card(), accept=True, ask=person)
    ensure_accepted(a_card(), ask=person)
    assert person.shown == []
    assert (tmp_path / ".SegToolkit" / "accepted-licences.json").is_file()


@pytest.mark.parametrize("content", ["{", "[]", '{"toy | CC BY-NC-SA 4.0 | ' + "0" * 64 + '": true}'])
def test_a_damaged_record_accepts_nothing(tmp_path: Path, content: str) -> None:
    record = tmp_path / "record.json"
    record.write_text(content)
    with pytest.raises(SegToolkitError):
        ensure_accepted(a_card(), record=record)
    ensure_accepted(a_card(), accept=True, record=record)
    ensure_accepted(a_card(), record=record)


def test_a_home_that_cannot_be_written_accepts_for_this_call_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    record = tmp_path / "file" / "record.json"
    ensure_accepted(a_card(), accept=True, record=record)
    with pytest.raises(SegToolkitError):
        ensure_accepted(a_card(), record=record)
