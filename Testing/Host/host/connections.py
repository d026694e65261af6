"""connect() and disconnect() as PythonQt has them: by exact signature, and slots may take fewer arguments."""

import inspect
import weakref
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore

from host import api, problems
from host.values import toQt, toScript

# Types under which a stand-in declares a signal argument that PySide6 cannot name, such as vtkMRMLNode*.
ANY_TYPES = frozenset({"PyObject", "QVariant"})
# Declared type -> what it stands for.
ALIKE = {("qlonglong", "vtkIdType")}


class _Connection:
    def __init__(
        self, signature: str, qtSignature: str, target: Callable[..., Any], trampoline: Callable[..., None]
    ):
        self.signature, self.qtSignature = signature, qtSignature
        self.target, self.trampoline = target, trampoline


# Key: address of the Python object. Objects that Python owns must stay mortal: they are not held here.
_connections: dict[int, list[_Connection]] = {}
_held: dict[int, QtCore.QObject] = {}


def argumentsTaken(target: Callable[..., Any]) -> int | None:
    """How many signal arguments PythonQt passes on: as many as a function has positional ones; None means
    all.

    One with a default counts too: in `lambda checked, row=row: ...` the signal's second argument replaces it.
    """
    function = target.__func__ if inspect.ismethod(target) else target
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - (1 if inspect.ismethod(target) else 0)


def guarded(target: Callable[..., Any], where: str) -> Callable[..., None]:
    """`target` with an exception printed and recorded instead of raised, and surplus arguments dropped."""
    taken = argumentsTaken(target)

    def trampoline(*arguments: Any) -> None:
        passed = arguments if taken is None else arguments[:taken]
        try:
            target(*(toScript(argument) for argument in passed))
        except Exception as error:
            problems.recordException(error, f"Exception in the slot of {where}")

    return trampoline


_SIGNALS: dict[type, list[str]] = {}


def _metaSignals(sender: QtCore.QObject) -> list[str]:
    # Kept by class: PySide's wrapper of a meta object dies with the widget that it was asked of.
    if type(sender) not in _SIGNALS:
        _SIGNALS[type(sender)] = _readSignals(sender)
    return _SIGNALS[type(sender)]


def _readSignals(sender: QtCore.QObject) -> list[str]:
    meta = QtCore.QObject.metaObject(sender)
    methods = (meta.method(i) for i in range(meta.methodCount()))
    return [
        bytes(method.methodSignature().data()).decode()
        for method in methods
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal
    ]


def _fits(declared: list[str], wanted: list[str]) -> bool:
    return len(declared) == len(wanted) and all(
        mine == theirs
        or mine in ANY_TYPES
        or (mine, theirs) in ALIKE
        or (mine == "QVariantList" and theirs.startswith(("QStringList", "QList")))
        for mine, theirs in zip(declared, wanted, strict=True)
    )


def qtSignature(sender: QtCore.QObject, signature: str) -> str | None:
    """The signature under which `sender`, a stand-in perhaps, carries the real signal; None if not at all."""
    present = _metaSignals(sender)
    if signature in present:
        return signature
    name, wanted = api.parts(signature)
    for candidate in present:
        candidateName, declared = api.parts(candidate)
        if candidateName == name and _fits(declared, wanted):
            return candidate
    return None


def connect(sender: QtCore.QObject, className: str, signature: str, target: Callable[..., Any]) -> bool:
    """Connect a callable to a signal of `sender`, whose class in the application is `className`.

    An unknown signal prints a line, is recorded and gives False.
    """
    normalized = api.normalized(str(signature))
    listed = normalized in api.signals(className)
    carried = qtSignature(sender, normalized) if listed else None
    if carried is None:
        reason = "the class has no such signal" if not listed else "Qt 6 or the stand-in does not have it"
        problems.record("connect", f"QObject::connect: {className} can't connect to {normalized}: {reason}")
        return False
    if not callable(target):
        problems.record("connect", f"QObject::connect: {target!r} is not callable")
        return False
    trampoline = guarded(target, f"{className}.{normalized}")
    _connections.setdefault(id(sender), []).append(_Connection(normalized, carried, target, trampoline))
    if len(_connections[id(sender)]) == 1:
        _follow(sender)
    return bool(QtCore.QObject.connect(sender, QtCore.SIGNAL(carried), trampoline))


def _follow(sender: QtCore.QObject) -> None:
    key = id(sender)
    if shiboken6.ownedByPython(sender):
        weakref.finalize(sender, _connections.pop, key, None)
        return
    # Qt owns it and may keep it longer than Python keeps its wrapper, by which connections are found again.
    _held[key] = sender

    def forget() -> None:
        _held.pop(key, None)
        _connections.pop(key, None)

    QtCore.QObject.connect(sender, QtCore.SIGNAL("destroyed()"), forget)


def disconnect(
    sender: QtCore.QObject, signature: str | None = None, target: Callable[..., Any] | None = None
) -> bool:
    """Undo connect(): that of one callable, or all of a signal, or all; False if there was none."""
    normalized = api.normalized(str(signature)) if signature is not None else None
    mine = _connections.get(id(sender), [])
    found = [c for c in mine if normalized in (None, c.signature) and (target is None or c.target == target)]
    for connection in found:
        mine.remove(connection)
        QtCore.QObject.disconnect(sender, QtCore.SIGNAL(connection.qtSignature), connection.trampoline)
    return bool(found)


class BoundSignal:
    """`widget.clicked` as a script sees it: connect, disconnect, and a call emits."""

    __slots__ = ("_className", "_name", "_sender")

    def __init__(self, sender: QtCore.QObject, className: str, name: str):
        self._sender, self._className, self._name = sender, className, name

    def _signature(self) -> str:
        # PythonQt takes the first overload of the meta object.
        return api.signalsNamed(self._className, self._name)[0]

    def connect(self, target: Callable[..., Any]) -> bool:
        return connect(self._sender, self._className, self._signature(), target)

    def disconnect(self, target: Callable[..., Any] | None = None) -> bool:
        return disconnect(self._sender, self._signature(), target)

    def __call__(self, *arguments: Any) -> None:
        carried = qtSignature(self._sender, self._signature())
        if carried is None:
            raise AttributeError(f"{self._className} here does not have the signal {self._signature()}")
        signal = object.__getattribute__(self._sender, self._name)
        _, types = api.parts(carried)
        (signal[",".join(types)] if len(_overloads(self._sender, self._name)) > 1 else signal).emit(
            *(toQt(argument) for argument in arguments)
        )


def _overloads(sender: QtCore.QObject, name: str) -> list[str]:
    return [signature for signature in _metaSignals(sender) if api.parts(signature)[0] == name]
