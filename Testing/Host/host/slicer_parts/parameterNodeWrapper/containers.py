"""Lists, tuples, dicts and unions of values. What a list or dict parameter gives writes each change into
the node."""

from __future__ import annotations

import collections.abc
import typing
from typing import Any

import slicer

from . import serializers as base
from .util import isUnion


class _Observed:
    """A container that stores itself after each change."""

    def __init__(self, parameterNode: Any, serializer: Any, name: str, startingValue: Any):
        self._parameterNode = parameterNode
        self._serializer = serializer
        self._name = name
        self._content = startingValue

    def _save(self) -> None:
        """Store, then take over what is stored: an element that was refused is gone, a nested list is
        observed too."""
        try:
            self._serializer.write(self._parameterNode, self._name, self._content)
        finally:
            self._content = self._serializer.read(self._parameterNode, self._name)._content

    def __eq__(self, other: object) -> bool:
        return self._content == (other._content if isinstance(other, _Observed) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._content})"

    def __len__(self) -> int:
        return len(self._content)

    def __getitem__(self, key: Any) -> Any:
        return self._content[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._content[key] = value
        self._save()

    def __delitem__(self, key: Any) -> None:
        del self._content[key]
        self._save()

    def __iter__(self) -> Any:
        return iter(self._content)

    def clear(self) -> None:
        self._content.clear()
        self._save()


class ObservedList(_Observed, collections.abc.MutableSequence):
    """A list parameter's value; + and * are refused because their result would not be stored."""

    def insert(self, index: int, item: Any) -> None:
        self._content.insert(index, item)
        self._save()

    def append(self, item: Any) -> None:
        self._content.append(item)
        self._save()

    def extend(self, other: Any) -> None:
        self._content.extend(other)
        self._save()

    def remove(self, item: Any) -> None:
        self._content.remove(item)
        self._save()

    def pop(self, i: int = -1) -> Any:
        value = self._content.pop(i)
        self._save()
        return value

    def sort(self, *args: Any, **kwargs: Any) -> None:
        self._content.sort(*args, **kwargs)
        self._save()

    def reverse(self) -> None:
        self._content.reverse()
        self._save()

    def __iadd__(self, other: Any) -> Any:
        self.extend(other)
        return self

    def _refuse(self, other: Any) -> Any:
        raise NotImplementedError("ObservedList supports += only: a new list would not be stored")

    __add__ = __radd__ = __mul__ = __rmul__ = _refuse


class ObservedDict(_Observed, collections.abc.MutableMapping):
    """A dict parameter's value."""

    def get(self, key: Any) -> Any:  # type: ignore[override]
        return self._content.get(key)

    def pop(self, key: Any) -> Any:  # type: ignore[override]
        value = self._content.pop(key)
        self._save()
        return value

    def popitem(self) -> Any:
        value = self._content.popitem()
        self._save()
        return value


@base.parameterNodeSerializer
class ListSerializer(base.Serializer):
    """ "name_len" holds the length, "name_0" ... the elements; if one is refused, the old list stays."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return typing.get_origin(type_) is list

    @staticmethod
    def create(type_: Any) -> Any:
        return ListSerializer(base.createSerializerFromAnnotatedType(typing.get_args(type_)[0]))

    def __init__(self, elementTypeSerializer: Any):
        self._element = elementTypeSerializer

    def default(self) -> list:
        return []

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return bool(parameterNode.HasParameter(f"{name}_len"))

    def _length(self, parameterNode: Any, name: str) -> int:
        return int(parameterNode.GetParameter(f"{name}_len")) if self.isIn(parameterNode, name) else 0

    def write(self, parameterNode: Any, name: str, values: Any) -> None:
        values = list(values)
        before = list(self.read(parameterNode, name)) if self.isIn(parameterNode, name) else None
        with slicer.util.NodeModify(parameterNode):
            try:
                self._write(parameterNode, name, values)
            except Exception:
                if before is None:
                    for index in range(len(values)):
                        self._element.remove(parameterNode, f"{name}_{index}")
                else:
                    self._write(parameterNode, name, before)
                raise

    def _write(self, parameterNode: Any, name: str, values: list) -> None:
        oldLength = self._length(parameterNode, name)
        for index, value in enumerate(values):
            self._element.write(parameterNode, f"{name}_{index}", value)
        parameterNode.SetParameter(f"{name}_len", str(len(values)))
        for index in range(len(values), oldLength):
            self._element.remove(parameterNode, f"{name}_{index}")

    def read(self, parameterNode: Any, name: str) -> ObservedList:
        count = self._length(parameterNode, name)
        values = [self._element.read(parameterNode, f"{name}_{index}") for index in range(count)]
        return ObservedList(parameterNode, self, name, values)

    def remove(self, parameterNode: Any, name: str) -> None:
        with slicer.util.NodeModify(parameterNode):
            for index in range(self._length(parameterNode, name)):
                self._element.remove(parameterNode, f"{name}_{index}")
            parameterNode.UnsetParameter(f"{name}_len")

    def supportsCaching(self) -> bool:
        return self._element.supportsCaching()


@base.parameterNodeSerializer
class TupleSerializer(base.Serializer):
    """ "name_0" ... the elements, each of its own type."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return typing.get_origin(type_) is tuple

    @staticmethod
    def create(type_: Any) -> Any:
        return TupleSerializer([base.createSerializerFromAnnotatedType(t) for t in typing.get_args(type_)])

    def __init__(self, serializers: list):
        self._elements = serializers

    def default(self) -> tuple:
        return tuple(each.default() for each in self._elements)

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self._elements[0].isIn(parameterNode, f"{name}_0")

    def write(self, parameterNode: Any, name: str, values: Any) -> None:
        values = tuple(values)
        if len(values) != len(self._elements):
            raise ValueError("Unexpected number of tuple values")
        with slicer.util.NodeModify(parameterNode):
            for index, (value, serializer) in enumerate(zip(values, self._elements, strict=True)):
                serializer.write(parameterNode, f"{name}_{index}", value)

    def read(self, parameterNode: Any, name: str) -> tuple:
        return tuple(each.read(parameterNode, f"{name}_{i}") for i, each in enumerate(self._elements))

    def remove(self, parameterNode: Any, name: str) -> None:
        for index, serializer in enumerate(self._elements):
            serializer.remove(parameterNode, f"{name}_{index}")

    def supportsCaching(self) -> bool:
        return all(each.supportsCaching() for each in self._elements)


@base.parameterNodeSerializer
class DictSerializer(base.Serializer):
    """Stored as list of pairs, which keeps the order."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return typing.get_origin(type_) is dict

    @staticmethod
    def create(type_: Any) -> Any:
        key, value = (base.createSerializerFromAnnotatedType(each) for each in typing.get_args(type_))
        return DictSerializer(key, value)

    def __init__(self, keySerializer: Any, valueSerializer: Any):
        self._pairs = ListSerializer(TupleSerializer([keySerializer, valueSerializer]))

    def default(self) -> dict:
        return {}

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self._pairs.isIn(parameterNode, name)

    def write(self, parameterNode: Any, name: str, dictionary: Any) -> None:
        self._pairs.write(parameterNode, name, dictionary.items())

    def read(self, parameterNode: Any, name: str) -> ObservedDict:
        return ObservedDict(parameterNode, self, name, dict(self._pairs.read(parameterNode, name)._content))

    def remove(self, parameterNode: Any, name: str) -> None:
        self._pairs.remove(parameterNode, name)

    def supportsCaching(self) -> bool:
        return self._pairs.supportsCaching()


@base.parameterNodeSerializer
class UnionSerializer(base.Serializer):
    """The value is stored under "name_<place of its type>"; Optional[X] starts as None.

    A union of node classes needs None among its members, because its first value is None."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return isUnion(type_)

    @staticmethod
    def create(type_: Any) -> Any:
        return UnionSerializer([base.createSerializerFromAnnotatedType(t) for t in typing.get_args(type_)])

    def __init__(self, serializers: list):
        self._members = [base.ValidatedSerializer(each, []) for each in serializers]

    def default(self) -> Any:
        optional = len(self._members) == 2 and isinstance(self._members[1].serializer, base.NoneSerializer)
        return None if optional else self._members[0].default()

    def _present(self, parameterNode: Any, name: str) -> int | None:
        places = range(len(self._members))
        return next((i for i in places if self._members[i].isIn(parameterNode, f"{name}_{i}")), None)

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self._present(parameterNode, name) is not None

    def _placeFor(self, value: Any) -> int:
        refusal: Exception = TypeError(f"Unable to write value {value!r} of type {type(value)}")
        for index, member in enumerate(self._members):
            if not member.serializer.canSerialize(type(value)):
                continue
            try:
                member.validate(value)
                return index
            except (ValueError, TypeError) as error:
                refusal = error
        raise refusal

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        place = self._placeFor(value)
        with slicer.util.NodeModify(parameterNode):
            for index, member in enumerate(self._members):
                if index != place and member.isIn(parameterNode, f"{name}_{index}"):
                    member.remove(parameterNode, f"{name}_{index}")
            self._members[place].write(parameterNode, f"{name}_{place}", value)

    def read(self, parameterNode: Any, name: str) -> Any:
        place = self._present(parameterNode, name)
        if place is None:
            raise ValueError(f"there is no parameter {name}")
        return self._members[place].read(parameterNode, f"{name}_{place}")

    def remove(self, parameterNode: Any, name: str) -> None:
        for index, member in enumerate(self._members):
            member.remove(parameterNode, f"{name}_{index}")

    def supportsCaching(self) -> bool:
        return all(each.supportsCaching() for each in self._members)


@base.parameterNodeSerializer
class AnySerializer(base.Serializer):
    """typing.Any: values whose repr is a Python literal."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is Any

    @staticmethod
    def create(type_: Any) -> Any:
        return AnySerializer()

    def default(self) -> None:
        return None

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, repr(value))

    def read(self, parameterNode: Any, name: str) -> Any:
        import ast

        return ast.literal_eval(parameterNode.GetParameter(name))
