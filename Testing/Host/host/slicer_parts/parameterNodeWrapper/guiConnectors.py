"""Which widget shows which type. The class of the widget has to be the very class; a subclass has no
connector."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QWidget

from host.widgets import boundSignal

SlicerPackParameterNamePropertyName = "SlicerPackParameterName"


@dataclasses.dataclass
class Decimals:
    """Digits after the point in a spin box or slider."""

    value: int


@dataclasses.dataclass
class SingleStep:
    """Step of a spin box or slider."""

    value: float


def allWidgets(widget: Any) -> list:
    """All widgets inside `widget`, at any depth."""
    return widget.findChildren(QWidget)


class GuiConnector(abc.ABC):
    """Joins one widget and one parameter: read, write, and a callback when the person changed the widget."""

    _signal = ""

    @staticmethod
    @abc.abstractmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        """Whether the widget can show the (annotated) type."""

    @staticmethod
    @abc.abstractmethod
    def create(widget: Any, datatype: Any) -> Any:
        """A connector for both."""

    def __init__(self) -> None:
        self._callback: Callable[[], None] | None = None

    def onChanged(self, callback: Callable[[], None] | None) -> None:
        """Call back from now on; None ends it."""
        wasConnected = self._callback is not None
        self._callback = callback
        if callback is None:
            if wasConnected:
                self._disconnect()
        elif not wasConnected:
            self._connect()

    def changed(self, *_: Any) -> None:
        if self._callback is not None:
            self._callback()

    def _connect(self) -> None:
        boundSignal(self.widget(), self._signal).connect(self.changed)

    def _disconnect(self) -> None:
        boundSignal(self.widget(), self._signal).disconnect(self.changed)

    @abc.abstractmethod
    def widget(self) -> Any:
        """The widget."""

    @abc.abstractmethod
    def read(self) -> Any:
        """The widget's value."""

    @abc.abstractmethod
    def write(self, value: Any) -> None:
        """Show the value."""


_registered: list[type[GuiConnector]] = []


def createGuiConnector(widget: Any, datatype: Any) -> GuiConnector:
    """The connector for this widget and type; RuntimeError if there is none."""
    for connector in _registered:
        if connector.canRepresent(widget, datatype):
            return connector.create(widget, datatype)
    raise RuntimeError(
        f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'"
    )


def parameterNodeGuiConnector(classtype: Any = None) -> Any:
    """Class decorator: makes a connector known."""
    if classtype is None:
        return parameterNodeGuiConnector
    if not issubclass(classtype, GuiConnector):
        raise TypeError("Must be a GuiConnector subclass")
    _registered.append(classtype)
    return classtype


def packWidgets(widget: Any) -> dict[str, Any]:
    """Dotted member name -> innermost widget, for the widgets inside `widget` that carry
    SlicerPackParameterName."""
    found = {}
    for child in allWidgets(widget):
        if child.property(SlicerPackParameterNamePropertyName) is None:
            continue
        names, parent = [], child
        while parent is not None and parent is not widget:
            name = parent.property(SlicerPackParameterNamePropertyName)
            if name is not None:
                names.insert(0, name)
            parent = parent.parentWidget()
        found[".".join(names)] = child
    return {name: w for name, w in found.items() if not any(n.startswith(name + ".") for n in found)}


from . import connectors as _connectors  # noqa: E402  (registers itself)
from .connectors import *  # noqa: E402,F403

__all__ = [
    "Decimals",
    "GuiConnector",
    "SingleStep",
    "SlicerPackParameterNamePropertyName",
    "allWidgets",
    "createGuiConnector",
    "packWidgets",
    "parameterNodeGuiConnector",
    *_connectors.__all__,
]
