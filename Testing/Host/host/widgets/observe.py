"""Observations of VTK objects that end with the widget that made them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import vtk
from PySide6.QtCore import QObject


class Observations:
    """Remember the observers of one widget, so that all of them go when the widget goes.

    Callbacks are methods of the widget and are held weakly: an observer never keeps a widget alive.
    """

    def __init__(self, owner: QObject) -> None:
        self._entries: list[tuple[Any, int]] = []
        entries = self._entries
        owner.destroyed.connect(lambda *_: _removeAll(entries))

    def add(
        self, subject: Any, event: Any, method: Callable, callData: bool = False, caller: bool = False
    ) -> None:
        """Call `method()` whenever `subject` sends `event`; `method(object)` with call data or the caller."""
        if subject is None:
            return
        reference = weakref.WeakMethod(method)

        def withObject(_caller: Any, _event: str, data: Any) -> None:
            target = reference()
            if target is not None:
                target(data)

        def withoutObject(sender: Any, *_: Any) -> None:
            target = reference()
            if target is not None:
                target(*([sender] if caller else []))

        if callData:
            withObject.CallDataType = vtk.VTK_OBJECT
        self._entries.append((subject, subject.AddObserver(event, withObject if callData else withoutObject)))

    def drop(self, subject: Any) -> None:
        """Stop observing one object."""
        for entry in [entry for entry in self._entries if entry[0] is subject]:
            subject.RemoveObserver(entry[1])
            self._entries.remove(entry)

    def clear(self) -> None:
        """Stop observing everything."""
        _removeAll(self._entries)


def _removeAll(entries: list[tuple[Any, int]]) -> None:
    while entries:
        subject, tag = entries.pop()
        subject.RemoveObserver(tag)
