"""What the checker knows of an expression, and how calls and attributes lead from one to the next."""

import enum
import functools
import typing
from typing import Any, NamedTuple

from host import api


class Known(NamedTuple):
    """kind and name of something:

    "object" (an instance of class `name`), "class", "module" (qt, ctk, slicer or a Python module), "ui" (the
    result of childWidgetVariables), "method" and "function" (of class `name`, called `member`), "property"
    (likewise: a plain value), "signal", "enum" (a value), "python" (function `member` of Python module
    `name`), "pythonclass", "pythonmethod".
    """

    kind: str
    name: str = ""
    member: str = ""


# What the application's own objects return; Qt's return types are looked up.
RETURNS = {
    ("qSlicerApplication", "layoutManager"): "qSlicerLayoutManager",
    ("qSlicerApplication", "userSettings"): "ctkSettings",
    ("qSlicerApplication", "settings"): "ctkSettings",
    ("qSlicerApplication", "moduleManager"): "qSlicerModuleManager",
    ("qSlicerApplication", "ioManager"): "qSlicerIOManager",
    ("qSlicerApplication", "coreIOManager"): "qSlicerIOManager",
    ("qSlicerApplication", "pythonManager"): "qSlicerPythonManager",
    ("qSlicerApplication", "startupEnvironment"): "QProcessEnvironment",
    ("qSlicerApplication", "environment"): "QProcessEnvironment",
    ("qSlicerLayoutManager", "sliceWidget"): "qMRMLSliceWidget",
    ("qSlicerLayoutManager", "threeDWidget"): "qMRMLThreeDWidget",
    ("qSlicerLayoutManager", "plotWidget"): "qMRMLPlotWidget",
    ("qSlicerLayoutManager", "tableWidget"): "qMRMLTableWidget",
    ("qMRMLSliceWidget", "sliceController"): "qMRMLSliceControllerWidget",
    ("qMRMLSliceWidget", "sliceView"): "qMRMLSliceView",
    ("qMRMLThreeDWidget", "threeDView"): "qMRMLThreeDView",
}


@functools.cache
def returned(className: str, member: str) -> Known | None:
    """The object that a method of Qt or of the application returns, as far as it is known."""
    for name in api.bases(className) or (className,):
        if (name, member) in RETURNS:
            return Known("object", RETURNS[name, member])
    for name in (className, *api.bases(className)):
        cls = api.pysideClass(name)
        if cls is not None:
            return _qtReturned(cls, member)
    return None


def _qtReturned(cls: type, member: str) -> Known | None:
    from shibokensupport.signature import get_signature

    function = getattr(cls, member.rstrip("_"), None)
    found = get_signature(function) if callable(function) else None
    if not found:
        return None
    kinds = {_className(s.return_annotation) for s in (found if isinstance(found, list) else [found])}
    name = kinds.pop() if len(kinds) == 1 else None
    return Known("object", name) if name and api.knows(name) else None


def _className(annotation: Any) -> str | None:
    if typing.get_origin(annotation) is not None:
        named = [a for a in typing.get_args(annotation) if a is not type(None)]
        annotation = named[0] if len(named) == 1 else None
    if isinstance(annotation, type) and not issubclass(annotation, enum.Enum):
        return annotation.__name__
    return None


def attribute(base: Known, name: str) -> tuple[Known | None, str]:
    """What `base.name` is, and a sentence if it does not exist."""
    if base.kind == "object":
        return _ofObject(base.name, name)
    if base.kind == "class":
        return _ofClass(base.name, name)
    if base.kind == "module" and base.name in ("qt", "ctk"):
        return _ofQtModule(base.name, name)
    if base.kind == "enum":
        return None, f"{base.name}.{base.member} has no attribute {name}: values are attributes of the class"
    return None, ""


def _ofObject(className: str, name: str) -> tuple[Known | None, str]:
    kind = api.kind(className, name)
    if kind is None and not name.startswith("__"):
        return None, f"{className} has no attribute {name}"
    if kind == "property":
        fact = api.properties(className).get(name)
        if fact and api.knows(fact.type.rstrip("*")):
            return Known("object", fact.type.rstrip("*"), "property"), ""
        return Known("property", className, name), ""
    if kind == "signal":
        return Known("signal", className, name), ""
    return Known("method", className, name), ""


def _ofClass(className: str, name: str) -> tuple[Known | None, str]:
    if name.startswith("__"):
        return Known("function", className, name), ""
    if name not in api.members(className):
        return None, f"{className} has no attribute {name}"
    cls = next((c for c in map(api.pysideClass, (className, *api.bases(className))) if c is not None), None)
    try:
        value = api.memberOfQt(cls, name) if cls is not None else None
    except AttributeError:
        value = None
    if value is None and cls is not None and api.pysideClass(className) is cls:
        return None, f"{className}.{name} exists with Qt 5, but not with Qt 6"
    isEnum = isinstance(value, enum.Enum) or (isinstance(value, type) and issubclass(value, enum.Enum))
    return Known("enum" if isEnum else "function", className, name), ""


def _ofQtModule(module: str, name: str) -> tuple[Known | None, str]:
    if name not in api.classNames(module):
        return None, f"the module {module} has no {name}"
    if module == "qt" and api.pysideClass(name) is None:
        return None, f"qt.{name} exists with Qt 5, but not with Qt 6"
    return Known("class", name), ""
