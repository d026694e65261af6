"""Signals of plain Python objects."""

from __future__ import annotations

from SegToolkitGui.Signal import Signal


def test_callbacks_get_the_arguments_in_order_of_connection() -> None:
    signal, got = Signal(), []
    signal.connect(lambda *values: got.append(("first", values)))
    signal.connect(lambda *values: got.append(("second", values)))
    signal.emit(1, "a")
    assert got == [("first", (1, "a")), ("second", (1, "a"))]


def test_a_failing_callback_is_logged_and_the_others_still_run(caplog) -> None:
    signal, got = Signal(), []
    signal.connect(lambda: 1 / 0)
    signal.connect(lambda: got.append(1))
    signal.emit()
    assert got == [1]
    assert "ZeroDivisionError" in caplog.text


def test_connecting_twice_calls_once_and_disconnecting_ends_it() -> None:
    signal, got = Signal(), []
    signal.connect(got.append)
    signal.connect(got.append)
    signal.emit(1)
    signal.disconnect(got.append)
    signal.disconnect(got.append)
    signal.emit(2)
    assert got == [1]


def test_a_callback_may_disconnect_while_it_is_called() -> None:
    signal, got = Signal(), []

    def once() -> None:
        signal.disconnect(once)
        got.append("once")

    signal.connect(once)
    signal.connect(lambda: got.append("always"))
    signal.emit()
    signal.emit()
    assert got == ["once", "always", "always"]
