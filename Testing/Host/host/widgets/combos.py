"""Stand-ins for the ctk combo boxes."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import enum
from typing import Any

from PySide6.QtCore import Property, QAbstractItemModel, QModelIndex, Qt, Signal, Slot
from PySide6.QtGui import QIcon, QStandardItem, QStandardItemModel, QWheelEvent
from PySide6.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

from .declare import plain, stored


class _CompletingComboBox(QComboBox):
    """QComboBox with the two properties that Qt 6 has taken away."""

    returnRelease = Signal()

    autoCompletion = stored(bool, "autoCompletion", True)
    autoCompletionCaseSensitivity = stored(int, "autoCompletionCaseSensitivity", 0)


class ctkComboBox(_CompletingComboBox):
    """A combo box that shows a default text while nothing is selected."""

    class ScrollEffect(enum.IntEnum):
        """When the mouse wheel changes the selection."""

        NeverScroll = 0
        AlwaysScroll = 1
        ScrollWithFocus = 2
        ScrollWithNoVScrollBar = 3

    NeverScroll, AlwaysScroll, ScrollWithFocus, ScrollWithNoVScrollBar = ScrollEffect

    defaultText = stored(str, "defaultText", "", "update")
    forceDefault = stored(bool, "forceDefault", False, "update")
    elideMode = stored(int, "elideMode", 3, "update")
    scrollWheelEffect = stored(int, "scrollWheelEffect", 1)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._defaultIcon = QIcon()

    def _getDefaultIcon(self) -> QIcon:
        return self._defaultIcon

    def _setDefaultIcon(self, icon: QIcon) -> None:
        self._defaultIcon = icon
        self.update()

    defaultIcon = Property(QIcon, _getDefaultIcon, _setDefaultIcon)

    def _getUserData(self) -> str:
        data = self.currentData()
        return "" if data is None else str(data)

    @Slot(str)
    def setCurrentUserDataAsString(self, text: str) -> None:
        for row in range(self.count()):
            if str(self.itemData(row)) == text:
                self.setCurrentIndex(row)
                return
        self.setCurrentIndex(-1)

    currentUserDataAsString = Property(str, _getUserData, setCurrentUserDataAsString)

    def paintEvent(self, _event: Any) -> None:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        if self.currentIndex() == -1 or self.forceDefault:
            option.currentText = self.defaultText
            option.currentIcon = self._defaultIcon
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        mode = Qt.TextElideMode(self.elideMode)
        option.currentText = self.fontMetrics().elidedText(option.currentText, mode, room.width() - 4)
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def wheelEvent(self, event: QWheelEvent) -> None:
        effect = self.scrollWheelEffect
        if effect == 0 or (effect == 2 and not self.hasFocus()):
            event.ignore()
            return
        super().wheelEvent(event)


class ctkCheckableComboBox(_CompletingComboBox):
    """A combo box whose items carry check marks."""

    checkedIndexesChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._checkable: QAbstractItemModel | None = None
        self._checked: list[int] = []
        self.setCheckableModel(QStandardItemModel(0, 1, self))
        self.view().viewport().installEventFilter(self)

    def checkableModel(self) -> QAbstractItemModel | None:
        return self._checkable

    def checkableModelHelper(self) -> Any:
        raise NotImplementedError("The host has no ctkCheckableModelHelper.")

    def setCheckableModel(self, model: QAbstractItemModel) -> None:
        if self._checkable is not None:
            self._checkable.dataChanged.disconnect(self.onDataChanged)
            self._checkable.rowsInserted.disconnect(self._rowsInserted)
            self._checkable.rowsRemoved.disconnect(self._rowsRemoved)
        self._checkable = model
        self.setModel(model)
        model.rowsInserted.connect(self._rowsInserted)
        model.rowsRemoved.connect(self._rowsRemoved)
        model.dataChanged.connect(self.onDataChanged)

    def _rowsInserted(self, _parent: QModelIndex, first: int, last: int) -> None:
        model = self.model()
        if isinstance(model, QStandardItemModel):
            for row in range(first, last + 1):
                self._makeCheckable(model.item(row))

    def _makeCheckable(self, item: QStandardItem | None) -> None:
        if item is not None and item.data(Qt.ItemDataRole.CheckStateRole) is None:
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setData(Qt.CheckState.Unchecked.value, Qt.ItemDataRole.CheckStateRole)

    def _rowsRemoved(self, *_: Any) -> None:
        self._announce()

    @Slot("QModelIndex", "QModelIndex")
    def onDataChanged(self, *_: Any) -> None:
        self._announce()
        self.update()

    def _announce(self) -> None:
        rows = [index.row() for index in self.checkedIndexes()]
        if rows != self._checked:
            self._checked = rows
            self.checkedIndexesChanged.emit()

    def _rows(self) -> list[int]:
        """Give the rows that take part; a node combo box leaves its extra items out."""
        return list(range(self.count()))

    def _stateOf(self, row: int) -> int:
        state = self.itemData(row, Qt.ItemDataRole.CheckStateRole)
        return 0 if state is None else int(plain(state))

    def checkedIndexes(self) -> list[QModelIndex]:
        model = self.model()
        column, root = self.modelColumn(), self.rootModelIndex()
        return [model.index(row, column, root) for row in self._rows() if self._stateOf(row) == 2]

    def allChecked(self) -> bool:
        return all(self._stateOf(row) == 2 for row in self._rows())

    def noneChecked(self) -> bool:
        return all(self._stateOf(row) == 0 for row in self._rows())

    def allPatiallyChecked(self) -> bool:
        return all(self._stateOf(row) == 1 for row in self._rows())

    def setCheckState(self, index: QModelIndex, state: Any) -> None:
        self.model().setData(index, int(plain(state)), Qt.ItemDataRole.CheckStateRole)

    def checkState(self, index: QModelIndex) -> Qt.CheckState:
        state = self.model().data(index, Qt.ItemDataRole.CheckStateRole)
        return Qt.CheckState(0 if state is None else int(plain(state)))

    def eventFilter(self, watched: Any, event: Any) -> bool:
        # In the open list a click toggles the check mark and leaves the list open.
        if event.type() == event.Type.MouseButtonRelease and watched is self.view().viewport():
            index = self.view().indexAt(event.position().toPoint())
            if index.isValid() and index.flags() & Qt.ItemFlag.ItemIsUserCheckable:
                on = self.checkState(index) == Qt.CheckState.Checked
                self.setCheckState(index, Qt.CheckState.Unchecked if on else Qt.CheckState.Checked)
                return True
        return super().eventFilter(watched, event)

    def paintEvent(self, _event: Any) -> None:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        checked = self.checkedIndexes()
        rows = self._rows()
        names = [str(index.data()) for index in checked]
        if not checked:
            option.currentText = "None"
        elif len(checked) == len(rows) and len(rows) > 1:
            option.currentText = "All"
        else:
            option.currentText = ", ".join(names)
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
