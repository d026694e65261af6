"""Values on their way between module code and Qt, as PythonQt converts them."""

import enum
import inspect
from collections.abc import Callable
from typing import Any

from host import problems


class EnumInt(int):
    """An enumeration value as scripts meet it: an int that remembers its name.

    Each access makes a new object: comparing with `is` fails, as it does in PythonQt.
    """

    qt: enum.Enum

    def __new__(cls, member: enum.Enum) -> "EnumInt":
        self = super().__new__(cls, member.value)
        self.qt = member
        return self

    def __or__(self, other: Any) -> Any:
        if isinstance(other, EnumInt) and isinstance(self.qt, enum.Flag) and type(other.qt) is type(self.qt):
            return EnumInt(self.qt | other.qt)
        return int(self) | int(other)

    def __and__(self, other: Any) -> Any:
        if isinstance(other, EnumInt) and isinstance(self.qt, enum.Flag) and type(other.qt) is type(self.qt):
            return EnumInt(self.qt & other.qt)
        return int(self) & int(other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, enum.Enum):
            return bool(self.qt == other)
        return int.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __repr__(self) -> str:
        return f"{self.qt.name} ({int(self)})"


def toScript(value: Any) -> Any:
    """What a script gets for a value of Qt: lists become tuples, enumerations ints."""
    kind = type(value)
    if kind in (list, tuple):
        return tuple(toScript(item) for item in value)
    if kind is dict:
        return {key: toScript(item) for key, item in value.items()}
    if isinstance(value, enum.Enum) and kind.__module__.startswith("PySide6"):
        return EnumInt(value)
    return value


def toQt(value: Any) -> Any:
    """The value that Qt or a stand-in gets for what a script hands over."""
    if isinstance(value, EnumInt):
        return value.qt
    unwrap = getattr(type(value), "_toQt", None)
    if unwrap is not None:
        return unwrap(value)
    if type(value) in (list, tuple):
        return type(value)(toQt(item) for item in value)
    return value


def _converted(value: Any, wanted: Any) -> tuple[Any, bool]:
    """`value` as PythonQt would convert it to the type `wanted`, and whether that hides a mistake.

    ValueError where PythonQt finds no conversion.
    """
    if isinstance(wanted, type):
        if isinstance(value, wanted) and not (wanted is int and isinstance(value, bool)):
            return value, False
        if issubclass(wanted, enum.Enum) and isinstance(value, int):
            return wanted(int(value)), False
        if wanted is bool:
            return bool(value), not isinstance(value, int)
        if wanted is str:
            return ("" if value is None else str(value)), True
        if wanted is int and isinstance(value, float | bool):
            return int(value), not isinstance(value, bool)
        if wanted is float and isinstance(value, int):
            return float(value), False
        raise ValueError
    return value, False


def _signatures(function: Callable[..., Any]) -> list[inspect.Signature]:
    from shibokensupport.signature import get_signature

    found = get_signature(function)
    return found if isinstance(found, list) else [found] if found else []


def callQt(function: Callable[..., Any], arguments: tuple[Any, ...], name: str) -> Any:
    """Call a function of PySide6 with PythonQt's tolerance of wrong types, which is recorded as a problem.

    ValueError, as in PythonQt, where no overload takes the arguments.
    """
    given = tuple(toQt(argument) for argument in arguments)
    try:
        return function(*given)
    except TypeError as error:
        fitting = _retry(function, given)
        if fitting is None:
            shown = ", ".join(repr(argument) for argument in arguments)
            raise ValueError(f"Called {name}({shown}) with wrong arguments: {error}") from error
        converted, hidesMistake = fitting
        if hidesMistake:
            problems.record("wrong-type", f"{name}: {arguments!r} has a wrong type, Qt gets {converted!r}")
        return function(*converted)


def _retry(function: Callable[..., Any], given: tuple[Any, ...]) -> tuple[tuple[Any, ...], bool] | None:
    best: tuple[tuple[Any, ...], bool] | None = None
    for signature in _signatures(function):
        wanted = [p for p in signature.parameters.values() if p.name != "self"]
        required = [p for p in wanted if p.default is inspect.Parameter.empty]
        if not len(required) <= len(given) <= len(wanted):
            continue
        try:
            pairs = [_converted(value, p.annotation) for value, p in zip(given, wanted, strict=False)]
        except ValueError:
            continue
        attempt = tuple(value for value, _ in pairs), any(hides for _, hides in pairs)
        if all(a is b for a, b in zip(attempt[0], given, strict=True)):
            continue  # this is what has failed already
        if best is None or (best[1] and not attempt[1]):
            best = attempt
    return best


def forType(value: Any, typeName: str, name: str) -> Any:
    """`value` as PythonQt would store it in a property or pass it to a slot of type `typeName`.

    A silent conversion is recorded; AttributeError where there is none (the caller turns it into what fits).
    """
    wanted = {"bool": bool, "int": int, "double": float, "QString": str}.get(typeName)
    if typeName == "QStringList":
        if isinstance(value, list | tuple):
            return [forType(item, "QString", name) for item in value]
        raise AttributeError(f"{name} of type 'QStringList' does not accept {value!r}")
    if typeName.startswith("vtk") and typeName.endswith("*"):
        if value is None or (hasattr(value, "IsA") and value.IsA(typeName[:-1])):
            return value
        raise AttributeError(f"{name} of type '{typeName}' does not accept {value!r}")
    if wanted is None or (type(value) is wanted):
        return value
    try:
        converted, hidesMistake = _converted(value, wanted)
    except ValueError:
        raise AttributeError(f"{name} of type '{typeName}' does not accept {value!r}") from None
    if hidesMistake:
        problems.record(
            "wrong-type", f"{name} of type '{typeName}' is given {value!r}; it becomes {converted!r}"
        )
    return converted
