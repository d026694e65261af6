"""Classes as scripts see them: qt.QPushButton, ctk.ctkCheckBox, slicer.qMRMLNodeComboBox."""

import enum
import sys
import types
from typing import Any, Union

from host import api, callers, connections, modal, values

_names: dict[type, str] = {}


def nameClass(cls: type, name: str) -> None:
    """`cls` stands for the application's class `name`, whatever it is called itself."""
    _names[cls] = name


def className(cls: type) -> str | None:
    """The application's class that objects of `cls` are to scripts: the nearest one on record."""
    for c in cls.__mro__:
        if c in _names:
            return _names[c]
        if api.knows(c.__name__):
            return c.__name__
    return None


def _asked() -> bool:
    """Whether the caller of the facade's method is module code."""
    return callers.isModuleCode(sys._getframe(2).f_code)


class EnumType:
    """qt.QProcess.ProcessState: makes values of numbers. Its values are attributes of the class around it."""

    def __init__(self, kind: type[enum.Enum]):
        self._kind = kind

    def __call__(self, number: int) -> values.EnumInt:
        return values.EnumInt(self._kind(int(number)))

    def _toQt(self) -> type[enum.Enum]:
        return self._kind

    def __repr__(self) -> str:
        return f"<enum {self._kind.__name__}>"


class ClassFunction:
    """A static function, or a method that gets its object as first argument."""

    def __init__(self, owner: str, name: str, function: Any):
        self._owner, self._name, self._function = owner, name, function

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        shown = f"{self._owner}.{self._name}"
        if named:
            raise TypeError(f"{shown}() takes no keyword arguments")
        if modal.waits(self._owner, api.bases(self._owner), self._name):
            return values.toScript(modal.ask(self._owner, self._owner, self._name, arguments))
        if (self._owner, self._name) == ("QTimer", "singleShot"):
            arguments = (*arguments[:-1], connections.guarded(values.toQt(arguments[-1]), f"{shown}()"))
        if isinstance(self._function, types.FunctionType | types.MethodType):
            return values.toScript(self._function(*(values.toQt(argument) for argument in arguments)))
        return values.toScript(values.callQt(self._function, arguments, shown))


class Facade:
    """One class. For module code: members by the record, no keyword arguments, and isinstance is true for the
    very class only, because PythonQt's classes do not inherit from each other. For others: the class itself.
    """

    def __init__(self, cls: type, name: str):
        self._cls, self._name = cls, name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if not _asked():
            return self._cls(*arguments, **named)
        if named:
            raise TypeError(f"{self._name}() takes no keyword arguments")
        if self._cls.__module__.startswith("PySide6"):
            return values.callQt(self._cls, arguments, self._name)
        return self._cls(*(values.toQt(argument) for argument in arguments))

    def __getattr__(self, name: str) -> Any:
        if not _asked():
            return getattr(self._cls, name)
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in api.members(self._name):
            raise AttributeError(f"type object '{self._name}' has no attribute '{name}'")
        try:
            found = api.memberOfQt(self._cls, name)
        except AttributeError:
            raise AttributeError(
                f"{self._name}.{name} exists in Slicer, but not in Qt 6 or the stand-in"
            ) from None
        if isinstance(found, enum.Enum):
            return values.EnumInt(found)
        if isinstance(found, type):
            return EnumType(found) if issubclass(found, enum.Enum) else Facade(found, name)
        return ClassFunction(self._name, name, found) if callable(found) else values.toScript(found)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_cls", "_name"):
            object.__setattr__(self, name, value)
        elif _asked():
            raise AttributeError(f"the class {self._name} takes no attributes")
        else:
            setattr(self._cls, name, value)

    def __instancecheck__(self, instance: Any) -> bool:
        if not _asked():
            return isinstance(instance, self._cls)
        return className(type(instance)) == self._name if isinstance(instance, self._cls) else False

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(values.toQt(cls), self._cls)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._cls,)

    def _toQt(self) -> type:
        return self._cls

    def __eq__(self, other: object) -> bool:
        return values.toQt(other) is self._cls

    def __hash__(self) -> int:
        return hash(self._cls)

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007  (a type expression with an object that is no type)

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007

    @property
    def __name__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<class {self._name}>"
