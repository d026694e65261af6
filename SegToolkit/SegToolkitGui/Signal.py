"""A signal of plain Python objects: a class written in Python cannot declare a Qt signal under PythonQt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


class Signal:
    """A list of callbacks that are called, in the order of their connection, by `emit`.

    Callbacks are held strongly: whoever connects a method of a widget also disconnects it in its cleanup.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callable[..., Any]] = []

    def connect(self, callback: Callable[..., Any]) -> None:
        """Call `callback` at each emission. Connecting the same callback twice changes nothing."""
        if callback not in self._callbacks:
            self._callbacks.append(callback)

    def disconnect(self, callback: Callable[..., Any]) -> None:
        """Stop calling `callback`. A callback that is not connected is no error."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def emit(self, *args: Any) -> None:
        """Call all callbacks. One that raises is logged with its trace, and the others still run."""
        for callback in tuple(self._callbacks):
            try:
                callback(*args)
            except Exception:
                logging.exception("SegToolkit: a callback of a signal failed")
