"""Stand-ins for the combo box with check marks and the one of colour tables."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QStandardItem
from PySide6.QtWidgets import QComboBox, QWidget

from .combos import ctkCheckableComboBox
from .declare import stored, vtkSignatures
from .nodecombo import qMRMLNodeComboBox
from .nodelist import UID_ROLE


class _NodeCheckComboBox(ctkCheckableComboBox):
    """Check marks only on rows of nodes."""

    def _makeCheckable(self, item: QStandardItem | None) -> None:
        if item is not None and item.data(UID_ROLE):
            super()._makeCheckable(item)

    def _rows(self) -> list[int]:
        return [row for row in range(self.count()) if self.itemData(row, UID_ROLE)]


@vtkSignatures("check(vtkMRMLNode*)", "uncheck(vtkMRMLNode*)")
class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Check any number of nodes."""

    checkedNodesChanged = Signal()

    addEnabled = stored(bool, "addEnabled", False, "_updateActions")
    removeEnabled = stored(bool, "removeEnabled", False, "_updateActions")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo.checkedIndexesChanged.connect(self.checkedNodesChanged)

    def _makeComboBox(self) -> QComboBox:
        combo = _NodeCheckComboBox(self)
        combo.setCheckableModel(self._nodes.model)
        self._nodes.prepare = combo._makeCheckable
        return combo

    def _nodesWhere(self, checked: bool) -> list[Any]:
        pairs = [(self._nodes.nodeAt(row), self._combo._stateOf(row) == 2) for row in self._combo._rows()]
        return [node for node, state in pairs if node is not None and state == checked]

    def checkedNodes(self) -> list[Any]:
        return self._nodesWhere(True)

    def uncheckedNodes(self) -> list[Any]:
        return self._nodesWhere(False)

    def allChecked(self) -> bool:
        return self._combo.allChecked()

    def noneChecked(self) -> bool:
        return self._combo.noneChecked()

    def _indexOf(self, node: Any) -> Any:
        row = self._nodes.rowOf(node.GetID() or "") if node is not None else -1
        return self._nodes.model.index(row, 0) if row >= 0 else None

    def checkState(self, node: Any) -> Qt.CheckState:
        index = self._indexOf(node)
        return self._combo.checkState(index) if index is not None else Qt.CheckState.Unchecked

    def setCheckState(self, node: Any, state: Any) -> None:
        index = self._indexOf(node)
        if index is not None:
            self._combo.setCheckState(index, state)

    @Slot(object)
    def check(self, node: Any) -> None:
        self.setCheckState(node, Qt.CheckState.Checked)

    @Slot(object)
    def uncheck(self, node: Any) -> None:
        self.setCheckState(node, Qt.CheckState.Unchecked)

    def setUserCheckable(self, node: Any, checkable: bool) -> None:
        index = self._indexOf(node)
        if index is not None:
            item = self._nodes.model.itemFromIndex(index)
            flag = Qt.ItemFlag.ItemIsUserCheckable
            item.setFlags(item.flags() | flag if checkable else item.flags() & ~flag)


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """Choose a colour table."""

    addEnabled = stored(bool, "addEnabled", False, "_updateActions")
    removeEnabled = stored(bool, "removeEnabled", False, "_updateActions")
    showHidden = stored(bool, "showHidden", True, "_updateFilter")
    nodeTypes = stored(
        "QStringList", "nodeTypes", ["vtkMRMLColorTableNode", "vtkMRMLProceduralColorNode"], "_updateFilter"
    )
