"""@parameterPack: several values under one name, stored as "name.member"."""

from __future__ import annotations

import typing
from typing import Any

import slicer

from .default import extractDefault
from .parameterInfo import ParameterInfo
from .serializers import Serializer, ValidatedSerializer, createSerializer, parameterNodeSerializer
from .util import splitAnnotations, splitPossiblyDottedName, unannotatedType
from .validators import IsInstance, NotNone

_RESERVED = ("allParameters", "getValue", "setValue", "dataType")


def isParameterPack(obj: Any) -> bool:
    """Whether it is a pack or a class of packs."""
    return getattr(obj, "_is_parameterPack", False)


def nestedParameterNames(parameterPackClassOrInstance: Any) -> list[str]:
    """Dotted names of all values, packs inside packs taken apart."""
    pack = parameterPackClassOrInstance
    pack = pack if isParameterPack(pack) else unannotatedType(pack)
    names = []
    for name, info in pack.allParameters.items():
        inner = unannotatedType(info.unalteredType)
        names += (
            [f"{name}.{each}" for each in nestedParameterNames(inner)] if isParameterPack(inner) else [name]
        )
    return names


def parameterPack(classtype: Any = None) -> Any:
    """Class decorator: the class's annotations become validated values."""
    if classtype is None:
        return parameterPack
    hints = typing.get_type_hints(classtype, include_extras=True)
    if not hints:
        raise ValueError("Unable to find any members in parameterPack")
    infos = {name: _infoOf(classtype, name, hint) for name, hint in hints.items()}
    for name in _RESERVED:
        if hasattr(classtype, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterPack")
    for name, info in infos.items():
        setattr(classtype, name, _property(name, info.serializer))
    classtype.allParameters = infos
    classtype._is_parameterPack = True
    ownInit = classtype.__dict__.get("__init__")
    classtype.__init__ = _init if ownInit is None else _initThen(ownInit)
    classtype.__eq__ = _equal
    classtype.__hash__ = None
    classtype.__repr__ = _text
    classtype.getValue = _getValue
    classtype.setValue = _setValue
    classtype.dataType = staticmethod(lambda name: dataTypeOf(classtype, name))
    return classtype


def _infoOf(classtype: type, name: str, hint: Any) -> ParameterInfo:
    serializer, annotations = createSerializer(*splitAnnotations(hint))
    default, _ = extractDefault(annotations)
    if hasattr(classtype, name):
        value = getattr(classtype, name)
    else:
        value = default.value if default is not None else serializer.default()
    try:
        serializer.validate(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The default parameter of '{value}' fails the validation checks:\n  {error}"
        ) from error
    return ParameterInfo(name, serializer, value, hint)


def _property(name: str, serializer: ValidatedSerializer) -> property:
    def write(self: Any, value: Any) -> None:
        serializer.validate(value)
        self.__dict__[name] = value
        observer = self.__dict__.get("_onChange")
        if observer is not None:
            observer(self)

    return property(lambda self: self.__dict__[name], write)


def _init(self: Any, *args: Any, **kwargs: Any) -> None:
    names = list(self.allParameters)
    if len(args) > len(names):
        raise TypeError("__init__() got too many values")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names:
            raise TypeError(f"__init__() got an unexpected keyword argument '{name}'")
        if name in given:
            raise TypeError(f"__init__() got multiple values for argument '{name}'")
        given[name] = value
    for name, info in self.allParameters.items():
        setattr(self, name, given.get(name, info.default) if name in given else info.default)


def _initThen(ownInit: Any) -> Any:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        _init(self)
        ownInit(self, *args, **kwargs)

    return init


def _equal(self: Any, other: object) -> bool:
    return type(self) is type(other) and all(
        getattr(self, name) == getattr(other, name) for name in self.allParameters
    )


def _text(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self.allParameters)})"


def _getValue(self: Any, membername: str) -> Any:
    top, rest = _checked(self, membername)
    value = getattr(self, top)
    return value if rest is None else value.getValue(rest)


def _setValue(self: Any, membername: str, value: Any) -> None:
    top, rest = _checked(self, membername)
    if rest is None:
        setattr(self, top, value)
    else:
        getattr(self, top).setValue(rest, value)


def dataTypeOf(pack: Any, membername: str) -> Any:
    """The annotated type of a (dotted) member."""
    top, rest = _checked(pack, membername)
    datatype = pack.allParameters[top].unalteredType
    return datatype if rest is None else dataTypeOf(unannotatedType(datatype), rest)


def _checked(pack: Any, membername: str) -> tuple[str, str | None]:
    top, rest = splitPossiblyDottedName(membername)
    if not isParameterPack(pack) or top not in pack.allParameters:
        raise ValueError(f"{pack} has no member '{top}'")
    return top, rest


@parameterNodeSerializer
class ParameterPackSerializer(Serializer):
    """What is read writes each change of a member into the node."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return isinstance(type_, type) and isParameterPack(type_)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(ParameterPackSerializer(type_), [NotNone(), IsInstance(type_)])

    def __init__(self, type_: Any):
        self.type = type_

    def default(self) -> Any:
        return self.type()

    def isIn(self, parameterNode: Any, name: str) -> bool:
        first, info = next(iter(self.type.allParameters.items()))
        return info.serializer.isIn(parameterNode, f"{name}.{first}")

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        with slicer.util.NodeModify(parameterNode):
            for member, info in self.type.allParameters.items():
                info.serializer.write(parameterNode, f"{name}.{member}", value.__dict__[member])

    def read(self, parameterNode: Any, name: str) -> Any:
        pack = self.type.__new__(self.type)
        self.readInto(parameterNode, name, pack)
        pack.__dict__["_onChange"] = lambda changed: self.write(parameterNode, name, changed)
        return pack

    def readInto(self, parameterNode: Any, name: str, value: Any) -> None:
        for member, info in self.type.allParameters.items():
            value.__dict__[member] = info.serializer.read(parameterNode, f"{name}.{member}")

    def remove(self, parameterNode: Any, name: str) -> None:
        for member, info in self.type.allParameters.items():
            info.serializer.remove(parameterNode, f"{name}.{member}")

    def supportsCaching(self) -> bool:
        return all(info.serializer.supportsCaching() for info in self.type.allParameters.values())
