"""qt.QUiLoader: builds a .ui file with stand-ins, and makes its connections by the real signatures."""

import functools
import xml.etree.ElementTree as ET
from typing import Any

import shiboken6
from PySide6 import QtCore, QtUiTools, QtWidgets

from host import api, connections, problems
from host.facade import className

TRIES = 3


class UiLoader(QtUiTools.QUiLoader):
    """QUiLoader with the stand-ins of host.widgets."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._made: set[str] = set()

    def createWidget(
        self, kind: str, parent: QtWidgets.QWidget | None = None, name: str = ""
    ) -> QtWidgets.QWidget | None:
        from host.ctk_module import widgetClasses

        cls = widgetClasses().get(kind)
        if cls is None and api.pysideClass(kind) is None and kind not in ("Line", "Spacer"):
            problems.record("ui", f"QFormBuilder was unable to create a widget of the class '{kind}'")
            return None
        # The parent comes last: a parent that looks at its new child must not meet a half-made one.
        widget = super().createWidget(kind, None, name) if cls is None else cls()
        self._made.add(name)
        widget.setObjectName(name)
        if parent is not None:
            widget.setParent(parent)
        return widget

    def load(self, device: Any, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget | None:
        if not device.isOpen():
            device.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        root = ET.fromstring(bytes(device.readAll().data()))
        wanted = root.find("connections")
        if wanted is not None:
            root.remove(wanted)
        top = self._load(root, parent)
        if top is not None and wanted is not None:
            for entry in wanted.findall("connection"):
                connectByName(
                    top,
                    *(entry.findtext(key, "").strip() for key in ("sender", "signal", "receiver", "slot")),
                )
        return top

    def _load(self, root: ET.Element, parent: QtWidgets.QWidget | None) -> QtWidgets.QWidget | None:
        """Load without connections.

        Seldom (seen once in thousands of loads) PySide asks the base class for a widget, and not this one:
        then there is a bare QWidget where the stand-in belongs. The real loader does no such thing, so
        that another one is asked.
        """
        from host.ctk_module import widgetClasses

        known = widgetClasses()
        wanted = {one.get("name", "") for one in root.iter("widget") if one.get("class") in known}
        loader = self
        for left in reversed(range(TRIES)):
            buffer = QtCore.QBuffer()
            buffer.setData(ET.tostring(root, encoding="utf-8"))
            buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
            top = QtUiTools.QUiLoader.load(loader, buffer, parent)
            if top is None or wanted <= loader._made or not left:
                break
            shiboken6.delete(top)
            loader = UiLoader()
        return top


def _named(top: QtWidgets.QWidget, name: str) -> QtCore.QObject | None:
    return top if top.objectName() == name else top.findChild(QtCore.QObject, name)


def connectByName(top: QtWidgets.QWidget, sender: str, signal: str, receiver: str, slot: str) -> bool:
    """One connection of a .ui file. An unknown object, signal or slot is recorded and gives False."""
    source, target = _named(top, sender), _named(top, receiver)
    said = f"{sender}.{signal} -> {receiver}.{slot}"
    if source is None or target is None:
        problems.record("ui", f"connection {said}: there is no such object")
        return False
    sourceClass, targetClass = className(type(source)) or "", className(type(target)) or ""
    wanted = api.normalized(slot)
    if wanted not in api.slots(targetClass) and wanted not in api.signals(targetClass):
        problems.record("ui", f"connection {said}: {targetClass} has no slot {wanted}")
        return False
    member, types = api.parts(wanted)
    return connections.connect(
        source, sourceClass, signal, functools.partial(_forward, target, member, len(types))
    )


def _forward(target: QtCore.QObject, member: str, count: int, *arguments: Any) -> None:
    found = getattr(target, member)
    from host.values import toQt

    call = found.emit if hasattr(found, "emit") else found
    call(*(toQt(argument) for argument in arguments[:count]))
