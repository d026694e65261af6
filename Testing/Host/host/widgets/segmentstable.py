"""Stand-in for the table of segments."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    Property,
    QItemSelection,
    QItemSelectionModel,
    QSortFilterProxyModel,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QColor, QIcon, QPixmap, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLineEdit, QTableView, QVBoxLayout, QWidget
from slicer import vtkMRMLDisplayableNode, vtkSegmentation

from .base import qMRMLWidget
from .declare import setterOf, stored, vtkSignatures
from .observe import Observations

_ID = Qt.ItemDataRole.UserRole.value + 1
_VISIBLE, _COLOR, _OPACITY, _NAME = range(4)


@vtkSignatures("setSegmentationNode(vtkMRMLNode*)")
class qMRMLSegmentsTableView(qMRMLWidget):
    """The segments of a segmentation: visibility, colour, opacity and name."""

    selectionChanged = Signal(QItemSelection, QItemSelection)
    segmentAboutToBeModified = Signal(str)

    visibilityColumnVisible = stored(bool, "visibilityColumnVisible", True, "_applyColumns")
    colorColumnVisible = stored(bool, "colorColumnVisible", True, "_applyColumns")
    opacityColumnVisible = stored(bool, "opacityColumnVisible", True, "_applyColumns")
    statusColumnVisible = stored(bool, "statusColumnVisible", True)
    layerColumnVisible = stored(bool, "layerColumnVisible", False)
    filterBarVisible = stored(bool, "filterBarVisible", False, "_applyColumns")
    readOnly = stored(bool, "readOnly", False, "_applyColumns")
    selectionMode = stored(int, "selectionMode", 3, "_applyColumns")
    textFilter = stored(str, "textFilter", "", "_applyFilter")
    jumpToSelectedSegmentEnabled = stored(bool, "jumpToSelectedSegmentEnabled", False)
    terminologySelectorAutoDisable = stored(bool, "terminologySelectorAutoDisable", True)
    terminologySelectorOptionVisible = stored(bool, "terminologySelectorOptionVisible", True)
    useTerminologySelector = stored(bool, "useTerminologySelector", True)
    useTerminologySelectorSettingsKey = stored(
        str, "useTerminologySelectorSettingsKey", "Segmentations/UseTerminologySelector"
    )

    setVisibilityColumnVisible = Slot(bool)(setterOf("visibilityColumnVisible"))
    setColorColumnVisible = Slot(bool)(setterOf("colorColumnVisible"))
    setOpacityColumnVisible = Slot(bool)(setterOf("opacityColumnVisible"))
    setStatusColumnVisible = Slot(bool)(setterOf("statusColumnVisible"))
    setLayerColumnVisible = Slot(bool)(setterOf("layerColumnVisible"))
    setFilterBarVisible = Slot(bool)(setterOf("filterBarVisible"))
    setReadOnly = Slot(bool)(setterOf("readOnly"))
    setSelectionMode = Slot(int)(setterOf("selectionMode"))
    setTextFilter = Slot(str)(setterOf("textFilter"))
    setJumpToSelectedSegmentEnabled = Slot(bool)(setterOf("jumpToSelectedSegmentEnabled"))
    setUseTerminologySelector = Slot(bool)(setterOf("useTerminologySelector"))
    setUseTerminologySelectorSettingsKey = Slot(str)(setterOf("useTerminologySelectorSettingsKey"))
    setTerminologySelectorOptionVisible = Slot(bool)(setterOf("terminologySelectorOptionVisible"))
    setTerminologySelectorAutoDisable = Slot(bool)(setterOf("terminologySelectorAutoDisable"))

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._segmentation: Any = None
        self._hidden: list[str] = []
        self._updating = False
        self._observations = Observations(self)
        self._rows = QStandardItemModel(0, 4, self)
        self._rows.setHorizontalHeaderLabels(["", "", "Opacity", "Name"])
        self._shown = QSortFilterProxyModel(self)
        self._shown.setSourceModel(self._rows)
        self._shown.setFilterKeyColumn(_NAME)
        self._shown.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._table = QTableView(self)
        self._table.setObjectName("SegmentsTable")
        self._table.setModel(self._shown)
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.verticalHeader().hide()
        self._table.setShowGrid(False)
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        self._filterBar = QLineEdit(self)
        self._filterBar.setPlaceholderText("Filter by name...")
        self._filterBar.textChanged.connect(self.setTextFilter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._filterBar)
        layout.addWidget(self._table)
        self._table.selectionModel().selectionChanged.connect(self.onSegmentSelectionChanged)
        self._rows.itemChanged.connect(self._onItemEdited)
        self._table.clicked.connect(self._onClicked)
        self._applyColumns()

    def _getHeader(self) -> bool:
        return self._table.horizontalHeader().isVisible()  # as the real one: False until it is on the screen

    @Slot(bool)
    def setHeaderVisible(self, visible: bool) -> None:
        self._table.horizontalHeader().setVisible(bool(visible))

    headerVisible = Property(bool, _getHeader, setHeaderVisible)

    def _getCount(self) -> int:
        return self._rows.rowCount()

    segmentCount = Property(int, _getCount)

    def _applyColumns(self) -> None:
        self._table.setColumnHidden(_VISIBLE, not self.visibilityColumnVisible)
        self._table.setColumnHidden(_COLOR, not self.colorColumnVisible)
        self._table.setColumnHidden(_OPACITY, not self.opacityColumnVisible)
        self._filterBar.setVisible(self.filterBarVisible)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode(self.selectionMode))
        triggers = QAbstractItemView.EditTrigger
        self._table.setEditTriggers(
            triggers.NoEditTriggers if self.readOnly else triggers.DoubleClicked | triggers.EditKeyPressed
        )

    def _applyFilter(self) -> None:
        self._filterBar.setText(self.textFilter)
        self._shown.setFilterFixedString(self.textFilter)

    # -- segmentation ----

    def segmentationNode(self) -> Any:
        return self._segmentation

    @Slot(object)
    def setSegmentationNode(self, node: Any) -> None:
        if node is not None and not node.IsA("vtkMRMLSegmentationNode"):
            node = None
        if node is self._segmentation:
            return
        self._observations.clear()
        self._segmentation = node
        self._rows.setRowCount(0)
        for event in (
            vtkSegmentation.SegmentAdded,
            vtkSegmentation.SegmentRemoved,
            vtkSegmentation.SegmentModified,
            vtkSegmentation.SegmentsOrderModified,
            vtkMRMLDisplayableNode.DisplayModifiedEvent,
        ):
            self._observations.add(node, event, self.updateWidgetFromMRML)
        self.updateWidgetFromMRML()

    @Slot()
    def updateWidgetFromMRML(self) -> None:
        segmentation = self._segmentation.GetSegmentation() if self._segmentation is not None else None
        ids = (
            [i for i in segmentation.GetSegmentIDs() if i not in self._hidden]
            if segmentation is not None
            else []
        )
        present = [self._rows.item(row, _NAME).data(_ID) for row in range(self._rows.rowCount())]
        self._updating = True
        if ids != present:
            keep = self.selectedSegmentIDs()
            common = [segmentID for segmentID in present if segmentID in ids]
            if common != [segmentID for segmentID in ids if segmentID in common]:
                self._rows.setRowCount(0)
            for row in reversed(range(self._rows.rowCount())):
                if self._rows.item(row, _NAME).data(_ID) not in ids:
                    self._rows.removeRow(row)
            for row, segmentID in enumerate(ids):
                item = self._rows.item(row, _NAME)
                if item is None or item.data(_ID) != segmentID:
                    self._rows.insertRow(row, self._newRow(segmentID))
            if keep != self.selectedSegmentIDs():
                self._select(keep)
        for row, segmentID in enumerate(ids):
            self._showSegment(row, segmentID, segmentation.GetSegment(segmentID))
        self._updating = False

    @Slot()
    def onSegmentAddedOrRemoved(self) -> None:
        self.updateWidgetFromMRML()

    def _newRow(self, segmentID: str) -> list[QStandardItem]:
        items = [QStandardItem() for _ in range(4)]
        for item in items[:_NAME]:
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        items[_NAME].setData(segmentID, _ID)
        return items

    def _showSegment(self, row: int, segmentID: str, segment: Any) -> None:
        display = self._segmentation.GetDisplayNode()
        visible = display is None or bool(display.GetSegmentVisibility(segmentID))
        opacity = display.GetSegmentOpacity3D(segmentID) if display is not None else 1.0
        swatch = QPixmap(16, 16)
        swatch.fill(QColor.fromRgbF(*segment.GetColor()))
        self._rows.item(row, _VISIBLE).setText("\N{BULLET}" if visible else "\N{WHITE BULLET}")
        self._rows.item(row, _COLOR).setIcon(QIcon(swatch))
        self._rows.item(row, _OPACITY).setText(f"{opacity:.2f}")
        if self._rows.item(row, _NAME).text() != segment.GetName():
            self._rows.item(row, _NAME).setText(segment.GetName())

    def _onItemEdited(self, item: QStandardItem) -> None:
        if self._updating or item.column() != _NAME or self._segmentation is None:
            return
        segment = self._segmentation.GetSegmentation().GetSegment(item.data(_ID))
        if segment is not None and segment.GetName() != item.text():
            self.segmentAboutToBeModified.emit(item.data(_ID))
            segment.SetName(item.text())

    def _onClicked(self, index: Any) -> None:
        if index.column() == _VISIBLE and self._segmentation is not None and not self.readOnly:
            self._toggleVisibility([self.segmentIDForRow(index.row())])

    def _toggleVisibility(self, segmentIDs: list[str]) -> None:
        display = self._segmentation.GetDisplayNode() if self._segmentation is not None else None
        if display is not None:
            for segmentID in segmentIDs:
                display.SetSegmentVisibility(segmentID, not display.GetSegmentVisibility(segmentID))

    # -- selection ----

    @Slot(QItemSelection, QItemSelection)
    def onSegmentSelectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        self.selectionChanged.emit(selected, deselected)

    def selectedSegmentIDs(self) -> list[str]:
        rows = sorted(index.row() for index in self._table.selectionModel().selectedRows(_NAME))
        return [self.segmentIDForRow(row) for row in rows]

    def setSelectedSegmentIDs(self, segmentIDs: list[str]) -> None:
        if list(segmentIDs) != self.selectedSegmentIDs():
            self._select(list(segmentIDs))

    def _select(self, segmentIDs: list[str]) -> None:
        selection = QItemSelection()
        last = self._shown.columnCount() - 1
        for row in range(self._shown.rowCount()):
            if self.segmentIDForRow(row) in segmentIDs:
                selection.select(self._shown.index(row, 0), self._shown.index(row, last))
        flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
        self._table.selectionModel().select(selection, flag)

    def clearSelection(self) -> None:
        self._table.clearSelection()

    def rowForSegmentID(self, segmentID: str) -> int:
        rows = range(self._shown.rowCount())
        return next((row for row in rows if self.segmentIDForRow(row) == segmentID), -1)

    def segmentIDForRow(self, row: int) -> str:
        return self._shown.index(row, _NAME).data(_ID) or ""

    def displayedSegmentIDs(self) -> list[str]:
        return [self.segmentIDForRow(row) for row in range(self._shown.rowCount())]

    def setHideSegments(self, segmentIDs: list[str]) -> None:
        self._hidden = list(segmentIDs)
        self.updateWidgetFromMRML()

    def hideSegments(self) -> list[str]:
        return list(self._hidden)

    @Slot()
    def toggleSelectedSegmentsVisibility(self) -> None:
        self._toggleVisibility(self.selectedSegmentIDs())

    @Slot()
    def showOnlySelectedSegments(self) -> None:
        display = self._segmentation.GetDisplayNode() if self._segmentation is not None else None
        selected = self.selectedSegmentIDs()
        if display is not None and selected:
            for segmentID in self.displayedSegmentIDs():
                display.SetSegmentVisibility(segmentID, segmentID in selected)

    @Slot()
    def moveSelectedSegmentsUp(self) -> None:
        self._move(-1)

    @Slot()
    def moveSelectedSegmentsDown(self) -> None:
        self._move(1)

    def _move(self, step: int) -> None:
        if self._segmentation is None:
            return
        segmentation = self._segmentation.GetSegmentation()
        ids = list(segmentation.GetSegmentIDs())
        selected = self.selectedSegmentIDs()
        for segmentID in selected if step < 0 else reversed(selected):
            target = ids.index(segmentID) + step
            if 0 <= target < len(ids):
                ids.remove(segmentID)
                ids.insert(target, segmentID)
        segmentation.ReorderSegments(ids)

    def tableWidget(self) -> QTableView:
        return self._table

    def sortFilterProxyModel(self) -> Any:
        return self._shown

    def model(self) -> Any:
        return self._rows
