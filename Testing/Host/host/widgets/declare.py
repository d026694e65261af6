"""Small tools to declare the members of the stand-in widgets."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from PySide6.QtCore import Property


def plain(value: Any) -> Any:
    """Give the number of a Qt enum or flag: the stand-ins keep enum properties as int, as scripts do."""
    inner = getattr(value, "value", value)
    return inner if isinstance(inner, int) and not isinstance(value, (int, str)) else value


def stored(kind: Any, name: str, default: Any, after: str = "") -> Property:
    """Declare a property that only remembers its value.

    `kind` is the Qt type ("QStringList" or a Python type; enums are int), `after` names a method without
    arguments that brings the widget in line after a change.
    """
    key = f"_stored_{name}"

    def read(self: Any) -> Any:
        value = self.__dict__.get(key, default)
        return list(value) if isinstance(value, list) else value

    def write(self: Any, value: Any) -> None:
        value = plain(value)
        if isinstance(default, list):
            value = [str(item) for item in value]
        elif isinstance(default, bool):
            value = bool(value)
        elif isinstance(default, float):
            value = float(value)
        if value == read(self):
            return
        self.__dict__[key] = value
        if after:
            getattr(self, after)()

    return Property(kind, read, write)


def inner(kind: Any, path: str, getter: str, setter: str, convert: Callable | None = None) -> Property:
    """Declare a property that belongs to an inner widget: `path` is the attribute that holds it."""

    def read(self: Any) -> Any:
        return plain(getattr(attrgetter(path)(self), getter)())

    def write(self: Any, value: Any) -> None:
        getattr(attrgetter(path)(self), setter)(convert(plain(value)) if convert else value)

    return Property(kind, read, write)


def setterOf(name: str) -> Callable:
    """Make the slot that sets the property `name`; the caller wraps it in Slot()."""

    def setProperty(self: Any, value: Any) -> None:
        setattr(self, name, value)

    setProperty.__name__ = "set" + name[0].upper() + name[1:]
    return setProperty


def vtkSignatures(*signatures: str) -> Callable[[type], type]:
    """Note the real C++ signatures of signals and slots whose argument types Qt does not know.

    `cls._vtkSignatures` then maps each of them, inherited ones included, to the name of the member.
    """

    def decorate(cls: type) -> type:
        known = dict(getattr(cls, "_vtkSignatures", {}))
        known.update({signature: signature.split("(")[0] for signature in signatures})
        cls._vtkSignatures = known
        return cls

    return decorate


def boundSignal(widget: Any, signature: str) -> Any:
    """Give the bound signal of a widget for its real C++ signature, the right overload included."""
    name, _, rest = signature.partition("(")
    types = [part for part in rest.rstrip(")").split(",") if part]
    python = {"bool": bool, "int": int, "double": float, "QString": str, "vtkIdType": "qlonglong"}
    key = tuple(object if t.startswith("vtk") and t.endswith("*") else python.get(t, t) for t in types)
    signal = getattr(widget, name)
    try:
        return signal[key if len(key) != 1 else key[0]]
    except (IndexError, KeyError, TypeError):
        return signal
