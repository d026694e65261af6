"""Objects that a script sees through PythonQt, as far as they are no widgets: attributes are fixed,
signals have signatures."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

from host import problems


def reportException(where: str) -> None:
    """Print and record the exception that is being handled and go on, as PythonQt does for slots."""
    problems.recordException(sys.exc_info()[1], where)


def acceptedCount(slot: Callable, available: int) -> int:
    """How many of the `available` arguments `slot` takes: a slot may take fewer than the signal sends."""
    try:
        parameters = inspect.signature(slot).parameters.values()
    except (TypeError, ValueError):
        return available
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return available
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return min(available, len(positional))


def normalised(signature: str) -> str:
    """`signature` without blanks, const and reference marks, the way Qt compares signatures."""
    signature = re.sub(r"\bconst\b", "", signature)
    return re.sub(r"[\s&]", "", signature)


class BoundSignal:
    """A signal of one object: `connect`, `disconnect`, `emit`."""

    def __init__(self, signature: str):
        self._signature = signature
        self._slots: list[Callable] = []

    def connect(self, slot: Callable) -> bool:
        self._slots.append(slot)
        return True

    def disconnect(self, slot: Callable) -> bool:
        if slot not in self._slots:
            return False
        self._slots.remove(slot)
        return True

    def emit(self, *args: Any) -> None:
        for slot in list(self._slots):
            try:
                slot(*args[: acceptedCount(slot, len(args))])
            except Exception:  # a failing slot does not keep the others from running
                reportException(f"slot of {self._signature}")


class ScriptSignal:
    """Declares a signal in a class body; each object gets its own `BoundSignal` on first use."""

    def __init__(self, signature: str):
        self.signature = normalised(signature)

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return instance._signals.setdefault(self.signature, BoundSignal(self.signature))

    def __set__(self, instance: Any, value: Any) -> None:
        raise AttributeError("a signal cannot be assigned")


class ScriptObject:
    """Base of the stand-ins for Qt objects that are no widgets here.

    A name that is not declared in the class cannot be read or assigned; `connect` to an unknown signal
    prints a
    line and returns False. Names with an underscore belong to the host and its tests.
    """

    def __init__(self) -> None:
        object.__setattr__(self, "_signals", {})
        self._objectName = ""

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            declared = inspect.getattr_static(type(self), name, None)
            if not isinstance(declared, property) or declared.fset is None:
                raise AttributeError(
                    f"'{type(self).__name__}' object has no attribute '{name}' that can be set"
                )
        object.__setattr__(self, name, value)

    @property
    def objectName(self) -> str:
        return self._objectName

    @objectName.setter
    def objectName(self, name: str) -> None:
        self._objectName = str(name)

    def setObjectName(self, name: str) -> None:
        self._objectName = str(name)

    def className(self) -> str:
        return type(self).__name__

    def inherits(self, className: str) -> bool:
        return any(base.__name__ == className for base in type(self).__mro__) or className == "QObject"

    def isWidgetType(self) -> bool:
        return False

    def children(self) -> tuple:
        return ()

    def _findSignal(self, signature: str) -> BoundSignal | None:
        wanted = normalised(signature)
        for cls in type(self).__mro__:
            for declared in vars(cls).values():
                if isinstance(declared, ScriptSignal) and declared.signature == wanted:
                    return declared.__get__(self, type(self))
        return None

    def connect(self, signature: str, slot: Callable) -> bool:
        signal = self._findSignal(signature)
        if signal is None:
            problems.record("connect", f"QObject::connect: No such signal {type(self).__name__}::{signature}")
            return False
        return signal.connect(slot)

    def disconnect(self, signature: str, slot: Callable) -> bool:
        signal = self._findSignal(signature)
        return signal.disconnect(slot) if signal is not None else False


def exposed(cls: type, slicerClassName: str) -> type:
    """The Qt class `cls` as module code sees it; the class itself while `host.strict` is missing."""
    try:
        from host import strict
    except ImportError:
        return cls
    return strict.expose(cls, slicerClassName)
