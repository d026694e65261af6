"""Taking annotated types apart."""

from __future__ import annotations

import typing
from typing import Any

import slicer


def splitAnnotations(possiblyAnnotatedType: Any) -> tuple[Any, list]:
    """(type, annotations); a class used as annotation is instantiated."""
    if typing.get_origin(possiblyAnnotatedType) is not typing.Annotated:
        return possiblyAnnotatedType, []
    actual, *annotations = typing.get_args(possiblyAnnotatedType)
    return actual, [each() if isinstance(each, type) else each for each in annotations]


def unannotatedType(possiblyAnnotatedType: Any) -> Any:
    """The type without its annotations."""
    return splitAnnotations(possiblyAnnotatedType)[0]


def findFirstAnnotation(annotationsList: list, annotationType: type) -> Any:
    """The first annotation of this type, None if there is none."""
    return next((each for each in annotationsList if isinstance(each, annotationType)), None)


def splitPossiblyDottedName(possiblyDottedName: str) -> tuple[str, str | None]:
    """ "x.y.z" -> ("x", "y.z"); "x" -> ("x", None)."""
    top, dot, rest = possiblyDottedName.partition(".")
    return top, rest if dot else None


def isUnion(datatype: Any) -> bool:
    """Whether it is Union[A, B] or Optional[A]. The application does not know A | B."""
    return typing.get_origin(datatype) is typing.Union


def _members(datatype: Any) -> list:
    actual = unannotatedType(datatype)
    members = typing.get_args(actual) if isUnion(actual) else (actual,)
    return [unannotatedType(each) for each in members if each is not type(None)]


def isNodeOrUnionOfNodes(datatype: Any) -> bool:
    """Whether only MRML node classes (and None) occur in it."""
    members = _members(datatype)
    return bool(members) and all(isinstance(m, type) and issubclass(m, slicer.vtkMRMLNode) for m in members)


def getNodeTypes(datatype: Any) -> list[str]:
    """Names of the node classes."""
    return [member.__name__ for member in _members(datatype)]
