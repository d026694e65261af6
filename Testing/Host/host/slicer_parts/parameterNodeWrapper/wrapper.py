"""@parameterNodeWrapper: a class whose annotations are the values of a parameter node."""

from __future__ import annotations

import logging
import typing
import weakref
from collections.abc import Callable
from typing import Any

import slicer
import vtk

from .default import Default, extractDefault
from .guiConnectors import GuiConnector, allWidgets, createGuiConnector, packWidgets
from .parameterInfo import ParameterInfo
from .parameterPack import dataTypeOf
from .serializers import createSerializer
from .util import splitAnnotations, splitPossiblyDottedName, unannotatedType

SlicerParameterNamePropertyName = "SlicerParameterName"


class _Value:
    """One parameter of one node."""

    def __init__(self, info: ParameterInfo, node: Any, prefix: str):
        self.name = f"{prefix}{info.basename}"
        self.serializer = info.serializer
        self.default = info.default
        self.node = node
        if not self.serializer.isIn(node, self.name):
            self.serializer.write(node, self.name, self.default.value)

    def _stored(self) -> Any:
        if not self.serializer.isIn(self.node, self.name):  # the scene was closed: back to the default
            self.serializer.write(self.node, self.name, self.default.value)
        return self.serializer.read(self.node, self.name)

    def read(self) -> Any:
        return self._stored()

    def write(self, value: Any) -> None:
        self.serializer.write(self.node, self.name, value)


class _CachedValue(_Value):
    """Read once and again whenever the node was modified by others."""

    def __init__(self, info: ParameterInfo, node: Any, prefix: str):
        super().__init__(info, node, prefix)
        self._value = self._stored()
        self._writing = False
        weak = weakref.ref(self)

        def modified(*_: Any) -> None:
            value = weak()
            if value is not None and not value._writing:
                value._value = value._stored()

        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, modified)

    def __del__(self) -> None:
        if hasattr(self, "_tag"):
            self.node.RemoveObserver(self._tag)

    def read(self) -> Any:
        return self._value

    def write(self, value: Any) -> None:
        self._writing = True
        try:
            with slicer.util.NodeModify(self.node):  # observers must already meet the new value
                super().write(value)
                self._value = self._stored()
        finally:
            self._writing = False


def isParameterNodeWrapper(classOrObj: Any) -> bool:
    """Whether it is a wrapper or a class of wrappers."""
    return getattr(classOrObj, "_is_parameter_node_wrapper", False)


def parameterNodeWrapper(classtype: Any = None) -> Any:
    """Class decorator; `Wrapper(parameterNode)` then reads and writes the node's values as attributes."""
    if classtype is None:
        return parameterNodeWrapper
    parameters = {}
    for name, hint in typing.get_type_hints(classtype, include_extras=True).items():
        parameters[name] = _infoOf(classtype, name, hint)
        setattr(classtype, name, _property(name))
    methods = {"allParameters": parameters, "_is_parameter_node_wrapper": True, **_METHODS}
    methods["dataType"] = staticmethod(lambda name: _dataType(classtype, name))
    for name, value in methods.items():
        if hasattr(classtype, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        setattr(classtype, name, value)
    classtype.__init__ = _init
    return classtype


def _infoOf(classtype: type, name: str, hint: Any) -> ParameterInfo:
    try:
        serializer, annotations = createSerializer(*splitAnnotations(hint))
    except Exception as error:
        raise Exception(f"Unable to create serializer for {classtype} member {name}") from error
    if hasattr(classtype, name):
        default = Default(getattr(classtype, name))
    else:
        declared, annotations = extractDefault(annotations)
        default = declared if declared is not None else Default(serializer.default())
    unused = [each for each in annotations if type(each).__name__ not in ("Decimals", "SingleStep", "Label")]
    if unused:
        logging.warning("Unused annotations: %s", unused)
    return ParameterInfo(name, serializer, default, hint)


def _property(name: str) -> property:
    return property(
        lambda self: self._values[name].read(), lambda self, value: self._values[name].write(value)
    )


def _init(self: Any, parameterNode: Any, prefix: str | None = None) -> None:
    self.parameterNode = parameterNode
    self._guis: dict[int, dict[str, GuiConnector]] = {}
    self._nextTag = 0
    self._updatingGui = False
    self._values = {
        name: (_CachedValue if info.serializer.supportsCaching() else _Value)(
            info, parameterNode, prefix or ""
        )
        for name, info in self.allParameters.items()
    }


def _checkName(wrapper: Any, name: str) -> tuple[str, str | None]:
    top, rest = splitPossiblyDottedName(name)
    if top not in wrapper.allParameters:
        raise ValueError(
            f"Cannot find a param with the given name: {top}; there are {list(wrapper.allParameters)}"
        )
    if rest is not None:
        dataTypeOf(unannotatedType(wrapper.allParameters[top].unalteredType), rest)
    return top, rest


def _dataType(wrapper: Any, name: str) -> Any:
    top, rest = _checkName(wrapper, name)
    datatype = wrapper.allParameters[top].unalteredType
    return datatype if rest is None else dataTypeOf(unannotatedType(datatype), rest)


def _getValue(self: Any, name: str) -> Any:
    top, rest = _checkName(self, name)
    value = self._values[top].read()
    return value if rest is None else value.getValue(rest)


def _setValue(self: Any, name: str, value: Any) -> None:
    top, rest = _checkName(self, name)
    if rest is None:
        self._values[top].write(value)
    else:
        self._values[top].read().setValue(rest, value)


def _default(self: Any, name: str) -> Default:
    _checkName(self, name)
    return self._values[name].default


def _isCached(self: Any, name: str) -> bool:
    _checkName(self, name)
    return isinstance(self._values[name], _CachedValue)


def _guiChanged(self: Any, name: str, connector: GuiConnector) -> Callable[[], None]:
    def changed() -> None:
        with slicer.util.NodeModify(self):
            if not self._updatingGui:
                self.setValue(name, connector.read())

    return changed


def _updateGui(self: Any) -> None:
    if self._updatingGui:
        return
    self._updatingGui = True
    try:
        with slicer.util.NodeModify(self):
            for connectors in list(self._guis.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
    finally:
        self._updatingGui = False


def _connectParametersToGui(self: Any, mapping: dict[str, Any]) -> int:
    """Connect parameters (by name) with widgets; the tag is for disconnectGui. Raises where no connector
    fits."""
    for name in mapping:
        _checkName(self, name)
    connectors = {
        name: widget if isinstance(widget, GuiConnector) else createGuiConnector(widget, self.dataType(name))
        for name, widget in mapping.items()
    }
    tag = self._nextTag
    self._nextTag += 1
    self._guis[tag] = connectors
    for name, connector in connectors.items():
        connector.write(self.getValue(name))
        connector.onChanged(_guiChanged(self, name, connector))
    self.AddObserver(
        vtk.vtkCommand.ModifiedEvent, lambda *_: _updateGui(self)
    )  # stays, as in the application
    return tag


def _connectGui(self: Any, gui: Any) -> int:
    """Connect all widgets that carry the property SlicerParameterName."""
    widgets = allWidgets(gui) if hasattr(gui, "isWidgetType") else list(vars(gui).values())
    named = {}
    for widget in widgets:
        name = widget.property(SlicerParameterNamePropertyName) if hasattr(widget, "property") else None
        if name:
            named[name] = widget
    return self.connectParametersToGui(named)


def _disconnectGui(self: Any, guiTag: int) -> None:
    for connector in self._guis.pop(guiTag, {}).values():
        connector.onChanged(None)


def findChildWidgetForParameter(widget: Any, parameter: str) -> Any:
    """The widget inside `widget` that shows the (dotted) parameter, None if there is none."""
    for child in allWidgets(widget):
        if child.property(SlicerParameterNamePropertyName) == parameter:
            return child
    top, rest = splitPossiblyDottedName(parameter)
    if rest is None:
        return None
    owner = findChildWidgetForParameter(widget, top)
    return packWidgets(owner).get(rest) if owner is not None else None


_METHODS: dict[str, Any] = {
    "default": _default,
    "isCached": _isCached,
    "getValue": _getValue,
    "setValue": _setValue,
    "connectGui": _connectGui,
    "connectParametersToGui": _connectParametersToGui,
    "disconnectGui": _disconnectGui,
    "StartModify": lambda self: self.parameterNode.StartModify(),
    "EndModify": lambda self, wasModified: self.parameterNode.EndModify(wasModified),
    "AddObserver": lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
        event, callback, priority
    ),
    "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
    "Modified": lambda self: self.parameterNode.Modified(),
}
