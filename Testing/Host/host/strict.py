"""PythonQt's habits for module code, over PySide6.

`install()` puts a guard on the attribute access of PySide6's own classes, so that what Qt returns (children,
layouts, models) is as strict as what a script creates. The guard looks at the caller: module code (see
callers.py) sees what the running Slicer offers and nothing else; everything else works with plain PySide6.
"""

import ctypes
import enum
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore
from PySide6 import QtNetwork as _QtNetwork
from PySide6 import QtUiTools as _QtUiTools
from PySide6 import QtWidgets as _QtWidgets
from PySide6.QtGui import QGuiApplication as _QGuiApplication

from host import api, callers, connections, modal, problems, values
from host.facade import Facade, className, nameClass

_QT = (QtCore, sys.modules[_QGuiApplication.__module__], _QtWidgets, _QtUiTools, _QtNetwork)
_OBJECT = shiboken6.Shiboken.Object
_guarded: set[type] = set()


class Info:
    """What scripts may do with objects of one class."""

    def __init__(self, cls: type):
        self.name = className(cls)
        self.members = api.members(self.name) if self.name else frozenset()
        self.properties = api.properties(self.name) if self.name else {}
        self.signals = {api.parts(s)[0] for s in api.signals(self.name)} if self.name else set()
        self.bases = api.bases(self.name) if self.name else ()
        self.scripted = [c for c in cls.__mro__ if c not in _guarded and callers.isModuleClass(c)]


@functools.cache
def info(cls: type) -> Info:
    """The Info of a class, made once."""
    return Info(cls)


class Method:
    """A bound method as a script sees it: positional arguments only, lists come back as tuples."""

    __slots__ = ("_function", "_info", "_name", "_owner")

    def __init__(self, owner: Any, about: Info, name: str, function: Callable[..., Any]):
        self._owner, self._info, self._name, self._function = owner, about, name, function

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        shown = f"{self._info.name}.{self._name}"
        if named:
            raise TypeError(f"{shown}() takes no keyword arguments")
        if modal.waits(self._info.name, self._info.bases, self._name):
            remembered = getattr(self._owner, "_modalAnswer", lambda: None)()
            if remembered is None:
                return values.toScript(modal.ask(self._owner, self._info.name, self._name, arguments))
            return values.toScript(remembered)
        if isinstance(self._function, types.MethodType):
            return values.toScript(self._function(*fitted(self._info.name, self._name, arguments)))
        return values.toScript(values.callQt(self._function, arguments, shown))

    def _toQt(self) -> Callable[..., Any]:
        return self._function

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Method) and other._owner is self._owner and other._name == self._name

    def __hash__(self) -> int:
        return hash((id(self._owner), self._name))

    def __repr__(self) -> str:
        return f"<method {self._name} of {self._info.name}>"


def fitted(name: str, member: str, arguments: tuple[Any, ...]) -> list[Any]:
    """The arguments for a stand-in's method, checked against the real signatures where those are on record.

    ValueError, as in PythonQt, where none takes them.
    """
    given = [values.toQt(argument) for argument in arguments]
    overloads = [api.parts(s)[1] for s in api.slots(name) if api.parts(s)[0] == member]
    if not overloads:
        return given
    complaint = ""
    for types_ in sorted(overloads, key=lambda wanted: _distance(wanted, given)):
        if len(types_) != len(given):
            continue
        try:
            return [values.forType(v, t, f"{name}.{member}") for v, t in zip(given, types_, strict=True)]
        except AttributeError as error:
            complaint = str(error)
    known = ", ".join(f"{member}({','.join(wanted)})" for wanted in overloads)
    raise ValueError(f"Called {member}{arguments!r} with wrong arguments; there is {known}. {complaint}")


def _distance(wanted: list[str], given: list[Any]) -> int:
    """0 for the overload whose types fit without conversion: PythonQt tries those first."""
    exact = {"bool": bool, "int": int, "double": float, "QString": str}
    return sum(
        not (isinstance(v, exact[t]) if t in exact else v is None or not isinstance(v, str | int | float))
        for v, t in zip(given, wanted, strict=False)
    )


def _inherits(self: Any, about: Info, name: str) -> bool:
    return name in about.bases or (isinstance(self, QtCore.QObject) and QtCore.QObject.inherits(self, name))


def _special(self: Any, about: Info, name: str) -> Any:
    """Members that PythonQt adds to each object; None if `name` is none of them."""
    if name == "className":
        return lambda: about.name
    if name == "inherits":
        return lambda base: _inherits(self, about, base)
    if name == "delete":
        return lambda: shiboken6.delete(self)
    if not isinstance(self, QtCore.QObject):
        return None
    if name == "name":
        return QtCore.QObject.objectName(self)
    if name == "connect":
        return functools.partial(_connect, self, about)
    if name == "disconnect":
        return functools.partial(connections.disconnect, self)
    return None


def _connect(self: QtCore.QObject, about: Info, signal: str, receiver: Any, slot: str | None = None) -> bool:
    if slot is not None:
        member = api.parts(api.normalized(slot))[0]
        if api.normalized(slot) not in (
            *api.slots(about_ := info(type(receiver)).name),
            *api.signals(about_),
        ):
            problems.record("connect", f"QObject::connect: {about_} has no slot {slot}")
            return False
        receiver = functools.partial(_callSlot, receiver, member, len(api.parts(api.normalized(slot))[1]))
    return connections.connect(self, about.name, signal, receiver)


def _callSlot(receiver: Any, member: str, count: int, *arguments: Any) -> None:
    getattr(receiver, member)(*arguments[:count])


def _readProperty(self: Any, name: str, original: Callable[[Any, str], Any]) -> Any:
    declared = _descriptor(type(self), name)
    if declared is None and isinstance(self, QtCore.QObject) and name in _propertyNames(self):
        return QtCore.QObject.property(self, name)
    value = original(self, name)
    return value() if callable(value) and declared is None else value


_PROPERTIES: dict[type, frozenset[str]] = {}


def _propertyNames(thing: QtCore.QObject) -> frozenset[str]:
    """Names of the declared properties.

    Kept by class: PySide's wrapper of a meta object dies with the widget that it was asked of, and is then
    handed out for the next widget of the class as well.
    """
    names = _PROPERTIES.get(type(thing))
    if names is None:
        meta = QtCore.QObject.metaObject(thing)
        if not shiboken6.isValid(meta):
            meta = type(thing).staticMetaObject
        names = frozenset(meta.property(i).name() for i in range(meta.propertyCount()))
        _PROPERTIES[type(thing)] = names
    return names


@functools.cache
def _descriptor(cls: type, name: str) -> Any:
    for c in cls.__mro__:
        if isinstance(vars(c).get(name), property | QtCore.Property):
            return vars(c)[name]
    return None


def scriptGet(self: Any, name: str, original: Callable[[Any, str], Any]) -> Any:
    """Attribute `name` of an object, for module code."""
    if name.startswith("__"):
        return original(self, name)
    about = info(type(self))
    if about.scripted and (name in _instanceDict(self) or any(name in vars(c) for c in about.scripted)):
        return original(self, name)
    if about.name is None and not isinstance(self, _OBJECT):
        return original(self, name)  # a plain Python object of the host that stands for no class
    if isinstance(self, _OBJECT) and not shiboken6.isValid(self):
        raise ValueError(f"Trying to use '{name}' of a destroyed {about.name} object")
    if name not in about.members:
        raise AttributeError(f"{about.name} has no attribute named '{name}'")
    found = _special(self, about, name)
    if found is not None:
        return found
    try:
        if name in about.properties:
            return values.toScript(_readProperty(self, name, original))
        if name in about.signals:
            if isinstance(self, QtCore.QObject):
                return connections.BoundSignal(self, about.name, name)
            return original(self, name)
        spelled = name[:-1] if name[:-1] in api.SPELLED_WITH_UNDERSCORE and name.endswith("_") else name
        value = original(self, spelled)
    except AttributeError as error:
        raise AttributeError(
            f"{about.name}.{name} exists in Slicer, but not in Qt 6 or the stand-in: {error}"
        ) from error
    return (
        Method(self, about, name, value)
        if callable(value) and not isinstance(value, type)
        else values.toScript(value)
    )


def _instanceDict(self: Any) -> dict[str, Any]:
    return object.__getattribute__(self, "__dict__")


def scriptSet(self: Any, name: str, value: Any, original: Callable[[Any, str, Any], None]) -> None:
    """Assign attribute `name` of an object, for module code: writable properties only."""
    about = info(type(self))
    if name == "name" and isinstance(self, QtCore.QObject):
        QtCore.QObject.setObjectName(self, str(value))
        return
    fact = about.properties.get(name)
    if fact is None:
        if about.scripted or (about.name is None and not isinstance(self, _OBJECT)):
            original(self, name, value)
            return
        raise AttributeError(f"{about.name} has no property named '{name}' to assign")
    if isinstance(self, _OBJECT) and not shiboken6.isValid(self):
        raise ValueError(f"Trying to set '{name}' of a destroyed {about.name} object")
    if not fact.writable:
        raise AttributeError(f"Property '{name}' of type '{fact.type}' of {about.name} is not writable")
    value = values.forType(values.toQt(value), fact.type, f"Property '{name}' of {about.name}")
    if _descriptor(type(self), name) is not None or not isinstance(self, QtCore.QObject):
        original(self, name, value)
    elif name not in _propertyNames(self):
        raise AttributeError(f"{about.name}.{name} exists in Slicer, but not in Qt 6 or the stand-in")
    elif not QtCore.QObject.setProperty(self, name, value) and not _setEnum(self, name, value):
        raise AttributeError(
            f"Property '{name}' of type '{fact.type}' of {about.name} does not accept {value!r}"
        )


def _setEnum(self: QtCore.QObject, name: str, value: Any) -> bool:
    """Assign an enumerator by its setter: PySide 6.8 does not turn some of them into a QVariant."""
    setter = getattr(type(self), f"set{name[0].upper()}{name[1:]}", None)
    if not isinstance(value, enum.Enum) or setter is None:
        return False
    setter(self, value)
    return True


_PY_TP_SETATTRO = 69  # typeslots.h
_SLOT_OF = ctypes.pythonapi.PyType_GetSlot
_SLOT_OF.restype, _SLOT_OF.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
_SETTER = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.py_object, ctypes.py_object)
_DELETER = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.py_object, ctypes.c_void_p)


def guard(cls: type) -> None:
    """Put the guard on one class; its subclasses inherit it."""
    if cls in _guarded:
        return
    _guarded.add(cls)
    get, frame, isModuleCode = cls.__getattribute__, sys._getframe, callers.isModuleCode
    set_ = cls.__setattr__
    if issubclass(cls, _OBJECT):
        # Python refuses to call a C class's own __setattr__ once all its bases have one in Python.
        slot = _SLOT_OF(cls, _PY_TP_SETATTRO)
        set_, delete = _SETTER(slot), _DELETER(slot)
        if "__delattr__" in vars(cls):
            cls.__delattr__ = lambda self, name: delete(self, name, None) and None  # type: ignore[method-assign]

    def getAttribute(self: Any, name: str) -> Any:
        caller = frame().f_back  # None while Python ends
        if caller is not None and isModuleCode(caller.f_code):
            return scriptGet(self, name, get)
        return get(self, name)

    def setAttribute(self: Any, name: str, value: Any) -> None:
        caller = frame().f_back
        if caller is not None and isModuleCode(caller.f_code):
            scriptSet(self, name, value, set_)
        else:
            set_(self, name, value)

    # A class that has only one of them in C inherits the other from a base, which is guarded itself.
    if "__getattribute__" in vars(cls) or not issubclass(cls, _OBJECT):
        cls.__getattribute__ = getAttribute  # type: ignore[method-assign]
    if "__setattr__" in vars(cls) or not issubclass(cls, _OBJECT):
        cls.__setattr__ = setAttribute  # type: ignore[method-assign]


def expose(cls: type, slicerClassName: str | None = None) -> Facade:
    """`cls` (PySide6, a stand-in widget, or a plain Python class) as scripts see the class `slicerClassName`.

    Calls create instances of `cls` itself. The class of a stand-in needs no other preparation, and instances
    that the host creates without the facade are strict as well. ValueError for a class that the running
    Slicer lacks.
    """
    name = slicerClassName or cls.__name__
    if not api.knows(name):
        raise ValueError(f"the running Slicer has no class {name}")
    nameClass(cls, name)
    info.cache_clear()
    install()
    if not issubclass(cls, _OBJECT) and cls.__module__.split(".")[0] != "PySide6":
        guard(cls)
    return Facade(cls, name)


@functools.cache
def install() -> None:
    """Guard PySide6's classes; once a process and for good: the guard does nothing outside module code."""
    found = [getattr(module, name) for module in _QT for name in dir(module)]
    classes = {cls for cls in found if isinstance(cls, type) and issubclass(cls, _OBJECT)} | {_OBJECT}
    # A class with slots of its own in C does not pass through those of its base. Derived classes come first,
    # because guarding a base replaces the slots that they inherit.
    for cls in sorted(classes, key=lambda c: -len(c.__mro__)):
        if "__getattribute__" in vars(cls) or "__setattr__" in vars(cls):
            guard(cls)
    problems.installHook()
