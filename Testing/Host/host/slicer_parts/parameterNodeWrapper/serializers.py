"""How values are stored in a parameter node: one text per value, nodes as node references."""

from __future__ import annotations

import abc
import enum
import logging
import pathlib
from typing import Any

import slicer

from .util import splitAnnotations
from .validators import IsInstance, IsNone, NotNone, Validator, extractValidators

PATH_TYPES = (
    pathlib.Path,
    pathlib.PosixPath,
    pathlib.WindowsPath,
    pathlib.PurePath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
)


class Serializer(abc.ABC):
    """Stores values of one type under a name; this base keeps them as one parameter of that name."""

    @staticmethod
    @abc.abstractmethod
    def canSerialize(type_: Any) -> bool:
        """Whether this class stores values of the type."""

    @staticmethod
    @abc.abstractmethod
    def create(type_: Any) -> Any:
        """A serializer for the type."""

    @abc.abstractmethod
    def default(self) -> Any:
        """First value where none is declared."""

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return bool(parameterNode.HasParameter(name))

    @abc.abstractmethod
    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        """Store."""

    @abc.abstractmethod
    def read(self, parameterNode: Any, name: str) -> Any:
        """Read what is stored."""

    def remove(self, parameterNode: Any, name: str) -> None:
        parameterNode.UnsetParameter(name)

    def supportsCaching(self) -> bool:
        """Whether a value that was read may be handed out again; not for values that change unnoticed."""
        return False


class ValidatedSerializer(Serializer):
    """Validates before it stores. What is read is not validated: an old scene may hold anything."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return False

    @staticmethod
    def create(type_: Any) -> Any:
        raise TypeError("ValidatedSerializer wraps another serializer")

    def __init__(self, serializer: Serializer, validators: list[Validator] | None):
        inner = serializer.validators if isinstance(serializer, ValidatedSerializer) else []
        self.serializer = serializer.serializer if isinstance(serializer, ValidatedSerializer) else serializer
        self.validators = [*inner, *(validators or [])]

    def default(self) -> Any:
        return self.serializer.default()

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self.serializer.isIn(parameterNode, name)

    def validate(self, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        self.validate(value)
        self.serializer.write(parameterNode, name, value)

    def read(self, parameterNode: Any, name: str) -> Any:
        return self.serializer.read(parameterNode, name)

    def remove(self, parameterNode: Any, name: str) -> None:
        self.serializer.remove(parameterNode, name)

    def supportsCaching(self) -> bool:
        return self.serializer.supportsCaching()


_registered: list[type[Serializer]] = []


def parameterNodeSerializer(classtype: Any = None) -> Any:
    """Class decorator: makes a serializer known."""
    if classtype is None:
        return parameterNodeSerializer
    if not issubclass(classtype, Serializer):
        raise TypeError("a serializer derives from Serializer")
    _registered.append(classtype)
    return classtype


def extractSerializer(annotations: list) -> tuple[Serializer | None, list]:
    """(the serializer among the annotations or None, the others)."""
    found = [each for each in annotations if isinstance(each, Serializer)]
    if len(found) > 1:
        raise ValueError("Multiple serializers found")
    return (found[0] if found else None), [each for each in annotations if not isinstance(each, Serializer)]


def createSerializer(type_: Any, annotations: list) -> tuple[ValidatedSerializer, list]:
    """(serializer that validates, annotations that mean something else). TypeError for a type that cannot
    be stored."""
    validators, annotations = extractValidators(annotations)
    serializer, annotations = extractSerializer(annotations)
    if serializer is None:
        known = next((each for each in _registered if each.canSerialize(type_)), None)
        if known is None:
            raise TypeError(f"Unable to create serializer for type: {type_}")
        serializer = known.create(type_)
    return ValidatedSerializer(serializer, validators), annotations


def createSerializerFromAnnotatedType(annotatedType: Any) -> ValidatedSerializer:
    """The serializer of an element's type."""
    serializer, unused = createSerializer(*splitAnnotations(annotatedType))
    if unused:
        logging.warning("Unused annotations: %s", unused)
    return serializer


class _TextSerializer(Serializer):
    """Values with a faithful text, immutable: cached."""

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, str(value))

    def supportsCaching(self) -> bool:
        return True


@parameterNodeSerializer
class NumberSerializer(_TextSerializer):
    """int and float; an int may be given for a float."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ in (int, float)

    @staticmethod
    def create(type_: Any) -> Any:
        accepted = (int, float) if type_ is float else int
        return ValidatedSerializer(NumberSerializer(type_), [NotNone(), IsInstance(accepted)])

    def __init__(self, type: Any):
        self.type = type

    def default(self) -> Any:
        return 0

    def read(self, parameterNode: Any, name: str) -> Any:
        return self.type(parameterNode.GetParameter(name))


@parameterNodeSerializer
class StringSerializer(_TextSerializer):
    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is str

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(StringSerializer(), [NotNone(), IsInstance(str)])

    def default(self) -> str:
        return ""

    def read(self, parameterNode: Any, name: str) -> str:
        return parameterNode.GetParameter(name)


@parameterNodeSerializer
class PathSerializer(_TextSerializer):
    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ in PATH_TYPES

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(PathSerializer(type_), [NotNone(), IsInstance(type_)])

    def __init__(self, pathtype: Any):
        self.type = pathtype

    def default(self) -> Any:
        return self.type()

    def read(self, parameterNode: Any, name: str) -> Any:
        return self.type(parameterNode.GetParameter(name))


@parameterNodeSerializer
class BoolSerializer(_TextSerializer):
    """Stored as "True" or "False"; anything else reads as False."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is bool

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(BoolSerializer(), [NotNone(), IsInstance(bool)])

    def default(self) -> bool:
        return False

    def write(self, parameterNode: Any, name: str, value: bool) -> None:
        parameterNode.SetParameter(name, "True" if value else "False")

    def read(self, parameterNode: Any, name: str) -> bool:
        return parameterNode.GetParameter(name) == "True"


@parameterNodeSerializer
class EnumSerializer(_TextSerializer):
    """Stored by name, so renaming a member breaks old scenes."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return isinstance(type_, type) and issubclass(type_, enum.Enum)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(EnumSerializer(type_), [IsInstance(type_)])

    def __init__(self, enum_: Any):
        self.enum = enum_

    def default(self) -> Any:
        return next(iter(self.enum))

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, value.name)

    def read(self, parameterNode: Any, name: str) -> Any:
        stored = parameterNode.GetParameter(name)
        if stored not in self.enum.__members__:
            raise ValueError(f"Found {stored!r} in parameter node but it is not a name in {self.enum!r}")
        return self.enum[stored]


@parameterNodeSerializer
class NodeSerializer(Serializer):
    """A node reference of the name; an empty parameter of the name says that a value (also None) is there."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return isinstance(type_, type) and issubclass(type_, slicer.vtkMRMLNode)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(NodeSerializer(), [IsInstance(type_)])

    def default(self) -> None:
        return None

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, "")
        parameterNode.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, parameterNode: Any, name: str) -> Any:
        return parameterNode.GetNodeReference(name)

    def remove(self, parameterNode: Any, name: str) -> None:
        parameterNode.UnsetParameter(name)
        parameterNode.RemoveNodeReferenceIDs(name)

    def supportsCaching(self) -> bool:
        return True


@parameterNodeSerializer
class NoneSerializer(Serializer):
    """The value None, for Optional."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is type(None)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(NoneSerializer(), [IsNone()])

    def default(self) -> None:
        return None

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, "True")

    def read(self, parameterNode: Any, name: str) -> None:
        return None

    def supportsCaching(self) -> bool:
        return True


from . import containers  # noqa: E402  (registers its serializers, needs those above)
from .containers import (  # noqa: E402
    AnySerializer,
    DictSerializer,
    ListSerializer,
    ObservedDict,
    ObservedList,
    TupleSerializer,
    UnionSerializer,
)

__all__ = [
    "AnySerializer",
    "BoolSerializer",
    "DictSerializer",
    "EnumSerializer",
    "ListSerializer",
    "NodeSerializer",
    "NoneSerializer",
    "NumberSerializer",
    "ObservedDict",
    "ObservedList",
    "PathSerializer",
    "Serializer",
    "StringSerializer",
    "TupleSerializer",
    "UnionSerializer",
    "ValidatedSerializer",
    "containers",
    "createSerializer",
    "createSerializerFromAnnotatedType",
    "extractSerializer",
    "parameterNodeSerializer",
]
