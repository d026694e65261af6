"""The list of nodes behind a node combo box: which nodes of the scene are shown, in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from slicer import vtkMRMLScene

from .observe import Observations

UID_ROLE = Qt.ItemDataRole.UserRole.value + 1
ACTION_ROLE = UID_ROLE + 3


class NodeFilter:
    """Say whether a node is shown: class, subclass, hidden nodes and attributes."""

    def __init__(self) -> None:
        self.nodeTypes: list[str] = []
        self.hideChildNodeTypes: list[str] = []
        self.showChildNodeTypes = True
        self.showHidden = False
        self.attributes: dict[str, dict[str, str | None]] = {}

    def concerns(self, node: Any) -> bool:
        """Say whether a node could be shown now or after a change of it: its class never changes."""
        return not self.nodeTypes or any(node.IsA(nodeType) for nodeType in self.nodeTypes)

    def accepts(self, node: Any) -> bool:
        if node is None or (node.GetHideFromEditors() and not self.showHidden):
            return False
        if not self.nodeTypes:
            return True
        if any(node.IsA(hidden) for hidden in self.hideChildNodeTypes):
            return False
        return any(self._acceptsAs(node, nodeType) for nodeType in self.nodeTypes)

    def _acceptsAs(self, node: Any, nodeType: str) -> bool:
        if not (node.IsA(nodeType) if self.showChildNodeTypes else node.IsTypeOf(nodeType) == 1):
            return False
        if not self.showChildNodeTypes and node.GetClassName() != nodeType:
            return False
        for name, wanted in self.attributes.get(nodeType, {}).items():
            value = node.GetAttribute(name)
            if value is None or (wanted is not None and value != wanted):
                return False
        return True


class NodeList(QObject):
    """An item model with one row a node, between rows before ("None") and rows after (actions).

    The rows change at the moments at which the real scene model changes its own: a node leaves while it is
    about to be removed, so it can still be found in the scene.
    """

    removed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.model = QStandardItemModel(0, 1, parent)
        self.filter = NodeFilter()
        self.scene: Any = None
        self.before: list[str] = []
        self.after: list[tuple[str, str]] = []
        self.prepare: Callable[[QStandardItem], None] = lambda item: None
        self._observations = Observations(self)
        self._leaving: set[str] = set()

    def setScene(self, scene: Any) -> None:
        self._observations.clear()
        self.scene = scene
        if scene is not None:
            self._observations.add(scene, vtkMRMLScene.NodeAddedEvent, self._onAdded, callData=True)
            self._observations.add(
                scene, vtkMRMLScene.NodeAboutToBeRemovedEvent, self._onRemoving, callData=True
            )
            self._observations.add(scene, vtkMRMLScene.NodeRemovedEvent, self._onRemoved, callData=True)
            self._observations.add(scene, vtkMRMLScene.EndCloseEvent, self._onEndClose)
            self._observations.add(scene, vtkMRMLScene.EndImportEvent, self._fillAnew)
            self._observations.add(scene, vtkMRMLScene.EndRestoreEvent, self.refresh)
            for node in scene.GetNodes():
                self._observations.add(node, "ModifiedEvent", self._onModified, caller=True)
        self.refresh()

    def setBefore(self, texts: list[str]) -> None:
        """Replace the rows before the nodes."""
        for row, text in enumerate(texts[: len(self.before)]):
            self.model.item(row).setText(text)
        while len(self.before) > len(texts):
            self.before.pop()
            self._remove(len(self.before))
        for text in texts[len(self.before) :]:
            self.model.insertRow(len(self.before), QStandardItem(text))
            self.before.append(text)
        self.before = list(texts)

    def setAfter(self, items: list[tuple[str, str]]) -> None:
        """Replace the rows after the nodes: (text, action); the text "separator" draws a line."""
        if self.after:
            self.model.removeRows(self.model.rowCount() - len(self.after), len(self.after))
        self.after = list(items)
        for text, action in items:
            item = QStandardItem("" if text == "separator" else text)
            item.setData(action, ACTION_ROLE)
            if text == "separator":
                item.setData("separator", Qt.ItemDataRole.AccessibleDescriptionRole)
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            else:
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.model.appendRow(item)

    def nodeRows(self) -> range:
        return range(len(self.before), self.model.rowCount() - len(self.after))

    def idAt(self, row: int) -> str:
        item = self.model.item(row) if row >= 0 else None
        return (item.data(UID_ROLE) or "") if item is not None else ""

    def nodeAt(self, row: int) -> Any:
        nodeId = self.idAt(row)
        return self.scene.GetNodeByID(nodeId) if nodeId and self.scene is not None else None

    def rowOf(self, nodeId: str) -> int:
        """Give the row of a node, -1 if it is not shown."""
        return next((row for row in self.nodeRows() if self.idAt(row) == nodeId), -1) if nodeId else -1

    def refresh(self) -> None:
        """Bring the rows in line with the scene: nodes that came, went, were renamed or are hidden now."""
        nodes = [] if self.scene is None else [node for node in self.scene.GetNodes() if self._shows(node)]
        wanted = {node.GetID() for node in nodes}
        for row in reversed(self.nodeRows()):
            if self.idAt(row) not in wanted:
                self._remove(row)
        for position, node in enumerate(nodes):
            row = len(self.before) + position
            if self.idAt(row) != node.GetID():
                present = self.rowOf(node.GetID())
                if present >= 0:  # the scene has changed the order
                    self._remove(present)
                self._insert(row, node)
            elif self.model.item(row).text() != (node.GetName() or ""):
                self.model.item(row).setText(node.GetName() or "")

    def _shows(self, node: Any) -> bool:
        return node.GetID() is not None and node.GetID() not in self._leaving and self.filter.accepts(node)

    def _insert(self, row: int, node: Any) -> None:
        item = QStandardItem(node.GetName() or "")
        item.setData(node.GetID(), UID_ROLE)
        item.setToolTip(f"{node.GetNodeTagName()} ({node.GetID()})")
        self.prepare(item)
        self.model.insertRow(row, item)

    def _remove(self, row: int) -> None:
        # Not by the model's own signal: the combo box has to choose its new row first.
        self.model.removeRow(row)
        self.removed.emit()

    def _onAdded(self, node: Any) -> None:
        self._observations.add(node, "ModifiedEvent", self._onModified, caller=True)
        self._onModified(node)

    def _onModified(self, node: Any) -> None:
        # The real model looks at the one node too, and not at the whole scene.
        if self.filter.concerns(node):
            self.refresh()

    def _onRemoving(self, node: Any) -> None:
        self._observations.drop(node)
        self._leaving.add(node.GetID() or "")
        row = self.rowOf(node.GetID() or "")
        if row >= 0:
            self._remove(row)

    def _onRemoved(self, node: Any) -> None:
        self._leaving.discard(node.GetID() or "")

    def _onEndClose(self) -> None:
        # A closing scene drops nodes without saying so of each; their IDs are given out again.
        self._leaving.clear()
        self._fillAnew()

    def _fillAnew(self) -> None:
        # As the real model: all rows of nodes go at once and come back, so that the selection is lost.
        rows = self.nodeRows()
        if rows:
            self.model.removeRows(rows.start, len(rows))
            self.removed.emit()
        self.refresh()
