"""Stand-ins for the widgets that show the subject hierarchy, and for the list of all nodes."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import vtk
from PySide6.QtCore import QItemSelectionModel, Qt, Signal, Slot
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QListView, QTreeView, QWidget
from slicer import vtkMRMLScene, vtkMRMLSubjectHierarchyNode

from .combos import ctkComboBox
from .declare import setterOf, stored, vtkSignatures
from .nodelist import NodeList
from .observe import Observations

_ID = Qt.ItemDataRole.UserRole.value + 1
_EVENTS = (
    "SubjectHierarchyItemAddedEvent",
    "SubjectHierarchyItemRemovedEvent",
    "SubjectHierarchyItemModifiedEvent",
    "SubjectHierarchyItemReparentedEvent",
)


class _Items:
    """Walk through the items of a scene's hierarchy, in order, and call back when they change."""

    def __init__(self, owner: Any, changed: Any) -> None:
        self.hierarchy: Any = None
        self._observations = Observations(owner)
        self._changed = changed

    def setScene(self, scene: Any) -> None:
        self._observations.clear()
        self.hierarchy = scene.GetSubjectHierarchyNode() if scene is not None else None
        if scene is None:
            return
        self._observations.add(scene, vtkMRMLScene.EndCloseEvent, self._changed)
        for name in _EVENTS:
            self._observations.add(self.hierarchy, getattr(vtkMRMLSubjectHierarchyNode, name), self._changed)

    def walk(self, parent: int, depth: int = 0) -> Iterator[tuple[int, int]]:
        children = vtk.vtkIdList()
        self.hierarchy.GetItemChildren(parent, children, False)
        for i in range(children.GetNumberOfIds()):
            yield children.GetId(i), depth
            yield from self.walk(children.GetId(i), depth + 1)

    def accepts(self, item: int, nodeTypes: list[str], hidden: list[str] = ()) -> bool:
        node = self.hierarchy.GetItemDataNode(item)
        if node is not None and (node.GetHideFromEditors() or any(node.IsA(name) for name in hidden)):
            return False
        return not nodeTypes or (node is not None and any(node.IsA(name) for name in nodeTypes))


@vtkSignatures(
    "currentItemChanged(vtkIdType)",
    "currentItemModified(vtkIdType)",
    "setMRMLScene(vtkMRMLScene*)",
    "setCurrentItem(vtkIdType)",
    "setRootItem(vtkIdType)",
)
class qMRMLSubjectHierarchyComboBox(ctkComboBox):
    """Choose an item of the subject hierarchy."""

    currentItemChanged = Signal("qlonglong")
    currentItemModified = Signal("qlonglong")

    defaultText = stored(str, "defaultText", "Select subject hierarchy item", "update")
    forceDefault = stored(bool, "forceDefault", True, "update")
    alignPopupVertically = stored(bool, "alignPopupVertically", True)
    attributeNameFilter = stored(str, "attributeNameFilter", "")
    attributeValueFilter = stored(str, "attributeValueFilter", "")
    excludeItemAttributeNamesFilter = stored("QStringList", "excludeItemAttributeNamesFilter", [])
    excludeNodeAttributeNamesFilter = stored("QStringList", "excludeNodeAttributeNamesFilter", [])
    includeItemAttributeNamesFilter = stored("QStringList", "includeItemAttributeNamesFilter", [])
    includeNodeAttributeNamesFilter = stored("QStringList", "includeNodeAttributeNamesFilter", [])
    highlightReferencedItems = stored(bool, "highlightReferencedItems", True)
    maximumNumberOfShownItems = stored(int, "maximumNumberOfShownItems", 20)
    nodeTypes = stored("QStringList", "nodeTypes", [], "_refresh")
    noneDisplay = stored(str, "noneDisplay", "None", "_refresh")
    noneEnabled = stored(bool, "noneEnabled", False, "_refresh")
    showCurrentItemParents = stored(bool, "showCurrentItemParents", True)
    showEmptyHierarchyItems = stored(bool, "showEmptyHierarchyItems", True)
    showRootItem = stored(bool, "showRootItem", False)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._root = 0
        self._current = 0
        self._hiddenTypes: list[str] = []
        self._items = _Items(self, self._refresh)
        self._busy = False
        self.currentIndexChanged.connect(self._onRow)

    def mrmlScene(self) -> Any:
        return self._scene

    def subjectHierarchyNode(self) -> Any:
        return self._items.hierarchy

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self._items.setScene(scene)
        self._root = self._items.hierarchy.GetSceneItemID() if scene is not None else 0
        self._refresh()

    def _refresh(self) -> None:
        self._busy = True
        self.clear()
        if self.noneEnabled:
            self.addItem(self.noneDisplay, 0)
        if self._items.hierarchy is not None:
            for item, depth in self._items.walk(self._root or self._items.hierarchy.GetSceneItemID()):
                if self._items.accepts(item, self.nodeTypes, self._hiddenTypes):
                    self.addItem("  " * depth + self._items.hierarchy.GetItemName(item), item)
        row = self.findData(self._current)
        self.setCurrentIndex(row)
        self._busy = False
        if row < 0:
            self._announce(0)
        self._showTitle()

    def _onRow(self, row: int) -> None:
        if not self._busy:
            self._announce(self.itemData(row) or 0)

    def _announce(self, item: int) -> None:
        if item != self._current:
            self._current = item
            self._showTitle()
            self.currentItemChanged.emit(item)

    def _showTitle(self) -> None:
        name = self._items.hierarchy.GetItemName(self._current) if self._current else ""
        self.defaultText = name or (self.noneDisplay if self.noneEnabled else "Select subject hierarchy item")

    def currentItem(self) -> int:
        return self._current

    @Slot("qlonglong")
    def setCurrentItem(self, item: int) -> None:
        row = self.findData(item)
        self.setCurrentIndex(row if row >= 0 else (0 if self.noneEnabled else -1))

    def currentNode(self) -> Any:
        return self._items.hierarchy.GetItemDataNode(self._current) if self._current else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentItem(self._items.hierarchy.GetItemByDataNode(node) if node is not None else 0)

    def rootItem(self) -> int:
        return self._root

    @Slot("qlonglong")
    def setRootItem(self, item: int) -> None:
        self._root = item
        self._refresh()

    def clearSelection(self) -> None:
        self.setCurrentIndex(0 if self.noneEnabled else -1)

    def setNodeTypes(self, nodeTypes: list[str]) -> None:
        self.nodeTypes = nodeTypes

    def setHideChildNodeTypes(self, nodeTypes: list[str]) -> None:
        self._hiddenTypes = list(nodeTypes)
        self._refresh()


@vtkSignatures(
    "currentItemChanged(vtkIdType)",
    "currentItemModified(vtkIdType)",
    "currentItemsChanged(QList<vtkIdType>)",
    "currentNodeChanged(vtkMRMLNode*)",
    "nodeAddedByUser(vtkMRMLNode*)",
    "setMRMLScene(vtkMRMLScene*)",
    "setCurrentItem(vtkIdType)",
    "setCurrentNode(vtkMRMLNode*)",
    "setRootItem(vtkIdType)",
    "setCurrentItems(vtkIdList*)",
    "setCurrentItems(QList<vtkIdType>)",
)
class qMRMLSubjectHierarchyTreeView(QTreeView):
    """The subject hierarchy as a tree with one column of names."""

    currentItemChanged = Signal("qlonglong")
    currentItemModified = Signal("qlonglong")
    currentItemsChanged = Signal(object)
    currentNodeChanged = Signal(object)
    nodeAddedByUser = Signal(object)

    addNodeMenuActionVisible = stored(bool, "addNodeMenuActionVisible", False)
    attributeNameFilter = stored(str, "attributeNameFilter", "")
    attributeValueFilter = stored(str, "attributeValueFilter", "")
    colorColumnVisible = stored(bool, "colorColumnVisible", True)
    contextMenuEnabled = stored(bool, "contextMenuEnabled", True)
    descriptionColumnVisible = stored(bool, "descriptionColumnVisible", False)
    editMenuActionVisible = stored(bool, "editMenuActionVisible", True)
    excludeItemAttributeNamesFilter = stored("QStringList", "excludeItemAttributeNamesFilter", [])
    excludeNodeAttributeNamesFilter = stored("QStringList", "excludeNodeAttributeNamesFilter", [])
    includeItemAttributeNamesFilter = stored("QStringList", "includeItemAttributeNamesFilter", [])
    includeNodeAttributeNamesFilter = stored("QStringList", "includeNodeAttributeNamesFilter", [])
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], "_refresh")
    highlightReferencedItems = stored(bool, "highlightReferencedItems", True)
    idColumnVisible = stored(bool, "idColumnVisible", True)
    levelFilter = stored("QStringList", "levelFilter", [])
    multiSelection = stored(bool, "multiSelection", True, "_applySelectionMode")
    nameFilter = stored(str, "nameFilter", "", "_refresh")
    nodeTypes = stored("QStringList", "nodeTypes", [], "_refresh")
    noneDisplay = stored(str, "noneDisplay", "None")
    noneEnabled = stored(bool, "noneEnabled", False)
    pluginAllowList = stored("QStringList", "pluginAllowList", [])
    pluginBlockList = stored("QStringList", "pluginBlockList", [])
    selectRoleSubMenuVisible = stored(bool, "selectRoleSubMenuVisible", False)
    showRootItem = stored(bool, "showRootItem", False)
    transformColumnVisible = stored(bool, "transformColumnVisible", True)
    useTerminologySelector = stored(bool, "useTerminologySelector", True)
    visibilityColumnVisible = stored(bool, "visibilityColumnVisible", True)

    setMultiSelection = Slot(bool)(setterOf("multiSelection"))
    setNoneEnabled = Slot(bool)(setterOf("noneEnabled"))
    setContextMenuEnabled = Slot(bool)(setterOf("contextMenuEnabled"))
    setEditMenuActionVisible = Slot(bool)(setterOf("editMenuActionVisible"))

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._root = 0
        self._items = _Items(self, self._refresh)
        self._known: list[int] = []
        self._rows = QStandardItemModel(0, 1, self)
        self._rows.setHorizontalHeaderLabels(["Node"])
        self.setModel(self._rows)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setIndentation(8)
        self._applySelectionMode()
        self.selectionModel().selectionChanged.connect(self._onSelection)

    def _applySelectionMode(self) -> None:
        modes = QAbstractItemView.SelectionMode
        self.setSelectionMode(modes.ExtendedSelection if self.multiSelection else modes.SingleSelection)

    def mrmlScene(self) -> Any:
        return self._scene

    def subjectHierarchyNode(self) -> Any:
        return self._items.hierarchy

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self._items.setScene(scene)
            self._root = self._items.hierarchy.GetSceneItemID() if scene is not None else 0
            self._refresh()

    def _refresh(self) -> None:
        keep = self._selected()
        blocked = self.selectionModel().blockSignals(True)
        self._rows.setRowCount(0)
        if self._items.hierarchy is not None:
            parents = [self._rows.invisibleRootItem()]
            for item, depth in self._items.walk(self._root):
                if self._items.accepts(item, self.nodeTypes, self.hideChildNodeTypes) and self._named(item):
                    row = QStandardItem(self._items.hierarchy.GetItemName(item))
                    row.setData(item, _ID)
                    row.setEditable(False)
                    del parents[depth + 1 :]
                    parents[-1].appendRow(row)
                    parents.append(row)
        self.expandAll()
        self.selectionModel().blockSignals(blocked)
        self._select(keep)
        if keep and keep != self._selected():
            self._onSelection()

    def _named(self, item: int) -> bool:
        return self.nameFilter.lower() in self._items.hierarchy.GetItemName(item).lower()

    def _index(self, item: int) -> Any:
        flags = Qt.MatchFlag.MatchRecursive | Qt.MatchFlag.MatchExactly
        found = self._rows.match(self._rows.index(0, 0), _ID, item, 1, flags) if self._rows.rowCount() else []
        return found[0] if found else None

    def _selected(self) -> list[int]:
        return [index.data(_ID) for index in self.selectionModel().selectedRows()]

    def _select(self, items: list[int]) -> None:
        self.selectionModel().clearSelection()
        for item in items:
            index = self._index(item)
            if index is not None:
                self.selectionModel().select(index, QItemSelectionModel.SelectionFlag.Select)

    def _onSelection(self, *_: Any) -> None:
        if self._selected() != self._known:
            self._known = self._selected()
            self.currentItemChanged.emit(self.currentItem())
            self.currentItemsChanged.emit(self._known)
            self.currentNodeChanged.emit(self.currentNode())

    def currentItem(self) -> int:
        selected = self._selected()
        return selected[0] if selected else 0

    def currentItems(self, ids: Any) -> None:
        ids.Reset()
        for item in self._selected():
            ids.InsertNextId(item)

    @Slot("qlonglong")
    def setCurrentItem(self, item: int) -> None:
        self._select([item] if item else [])

    @Slot(object)
    def setCurrentItems(self, items: Any) -> None:
        if hasattr(items, "GetNumberOfIds"):
            items = [items.GetId(i) for i in range(items.GetNumberOfIds())]
        self._select(list(items))

    def currentNode(self) -> Any:
        item = self.currentItem()
        return self._items.hierarchy.GetItemDataNode(item) if item else None

    @Slot(object)
    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentItem(self._items.hierarchy.GetItemByDataNode(node) if node is not None else 0)

    def rootItem(self) -> int:
        return self._root

    @Slot("qlonglong")
    def setRootItem(self, item: int) -> None:
        self._root = item
        self._refresh()

    def displayedItemCount(self) -> int:
        flags = Qt.MatchFlag.MatchRecursive | Qt.MatchFlag.MatchWildcard
        start = self._rows.index(0, 0)
        return len(self._rows.match(start, Qt.ItemDataRole.DisplayRole, "*", -1, flags))


@vtkSignatures("setMRMLScene(vtkMRMLScene*)")
class qMRMLListWidget(QListView):
    """All nodes of the scene that are not hidden."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes = NodeList(self)
        self.setModel(self._nodes.model)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._nodes.setScene(scene)
