"""Stand-ins for the containers that fold away their contents."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QEvent, QObject, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QAbstractButton,
    QGroupBox,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QStyleOptionFrame,
    QWidget,
)

from .declare import stored, vtkSignatures

_UNLIMITED = 16777215  # QWIDGETSIZE_MAX


class _Folder(QObject):
    """Hide the children of a folded container; unfolded, show those again that were not hidden by hand."""

    def __init__(self, container: QWidget) -> None:
        super().__init__(container)
        self._container = container
        self._shown: list[QWidget] = []
        self._busy = False

    def fold(self) -> None:
        for child in self._container.children():
            self.foldChild(child)

    def foldChild(self, child: QObject) -> None:
        if not isinstance(child, QWidget) or child.isWindow() or child in self._shown:
            return
        hiddenByHand = child.isHidden() and child.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide)
        if not hiddenByHand:
            self._shown.append(child)
            child.installEventFilter(self)
            child.hide()

    def unfold(self) -> None:
        children = self._container.children()
        self._busy = True
        for child in self._shown:
            child.removeEventFilter(self)
            if child in children:
                child.show()
        self._shown = []
        self._busy = False

    def eventFilter(self, child: QObject, event: QEvent) -> bool:
        # A child that is shown by code while the container is folded stays out of sight until it is unfolded.
        if event.type() == QEvent.Type.ShowToParent and not self._busy:
            self._busy = True
            child.hide()
            self._busy = False
        return False


class ctkCollapsibleButton(QAbstractButton):
    """A header with an arrow; its children lie below and fold away."""

    contentsCollapsed = Signal(bool)

    buttonTextAlignment = stored(int, "buttonTextAlignment", 129, "update")
    indicatorAlignment = stored(int, "indicatorAlignment", 129, "update")
    collapsedHeight = stored(int, "collapsedHeight", 14)
    contentsFrameShadow = stored(int, "contentsFrameShadow", 16, "update")
    contentsFrameShape = stored(int, "contentsFrameShape", 0, "update")
    contentsLineWidth = stored(int, "contentsLineWidth", 1, "update")
    contentsMidLineWidth = stored(int, "contentsMidLineWidth", 0, "update")
    flat = stored(bool, "flat", False, "update")

    def __init__(self, *arguments: Any) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        parents = [item for item in arguments if isinstance(item, QWidget)]
        super().__init__(*parents)
        self._collapsed = False
        self._folder = _Folder(self)
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, self._headerHeight(), 0, 0)
        self.toggled.connect(self.onToggled)

    def _isCollapsed(self) -> bool:
        return self._collapsed

    def _setCollapsed(self, collapsed: bool) -> None:
        if bool(collapsed) == self._collapsed:
            return
        if self.isCheckable():
            self.setChecked(not collapsed)  # comes back through toggled
        else:
            self.collapse(collapsed)

    collapsed = Property(bool, _isCollapsed, _setCollapsed)

    @Slot()
    @Slot(bool)
    def onToggled(self, checked: bool | None = None) -> None:
        self.collapse(not (self.isChecked() if checked is None else checked))

    @Slot(bool)
    def collapse(self, collapsed: bool) -> None:
        if bool(collapsed) == self._collapsed:
            return
        self._collapsed = bool(collapsed)
        if self._collapsed:
            self._folder.fold()
            self.setMaximumHeight(self._headerHeight())
        else:
            self.setMaximumHeight(_UNLIMITED)
            self._folder.unfold()
        self.updateGeometry()
        self.contentsCollapsed.emit(self._collapsed)

    def childEvent(self, event: Any) -> None:
        if event.type() == QEvent.Type.ChildPolished and self.__dict__.get("_collapsed"):
            self._folder.foldChild(event.child())
        super().childEvent(event)

    def _headerHeight(self) -> int:
        return self.fontMetrics().height() + 8

    def sizeHint(self) -> QSize:
        header = QSize(self.fontMetrics().horizontalAdvance(self.text()) + 40, self._headerHeight())
        if self.layout() is None or self._collapsed:
            return header
        return self.layout().totalSizeHint().expandedTo(header)

    def minimumSizeHint(self) -> QSize:
        if self.layout() is None or self._collapsed:
            return self.sizeHint()
        return self.layout().totalMinimumSize().expandedTo(QSize(40, self._headerHeight()))

    def hitButton(self, position: Any) -> bool:
        return position.y() <= self._headerHeight()

    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        header = QRect(0, 0, self.width(), self._headerHeight())
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect = header
        if self.isDown():
            option.state |= QStyle.StateFlag.State_Sunken
        else:
            option.state |= QStyle.StateFlag.State_Raised
        if not self.flat:
            self.style().drawControl(QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        option.rect = QRect(header.left() + 6, header.center().y() - 5, 11, 11)
        arrow = QStyle.PrimitiveElement.PE_IndicatorArrowRight
        if not self._collapsed:
            arrow = QStyle.PrimitiveElement.PE_IndicatorArrowDown
        if self.isCheckable():
            self.style().drawPrimitive(arrow, option, painter, self)
        self.style().drawItemText(
            painter,
            header.adjusted(24, 0, -6, 0),
            self.buttonTextAlignment | int(Qt.TextFlag.TextShowMnemonic.value),
            self.palette(),
            self.isEnabled(),
            self.text(),
            self.foregroundRole(),
        )
        if not self._collapsed and self.contentsFrameShape:
            frame = QStyleOptionFrame()
            frame.initFrom(self)
            frame.rect = self.rect().adjusted(0, header.height(), 0, 0)
            frame.lineWidth = self.contentsLineWidth
            self.style().drawPrimitive(QStyle.PrimitiveElement.PE_Frame, frame, painter, self)


@vtkSignatures("mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)")
class qMRMLCollapsibleButton(ctkCollapsibleButton):
    """A collapsible button that hands the scene on."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._scene: Any = None

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class ctkCollapsibleGroupBox(QGroupBox):
    """A group box whose check mark folds away its contents."""

    collapsedHeight = stored(int, "collapsedHeight", 14)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._folder = _Folder(self)
        self._folded = False
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self.expand)

    def _isCollapsed(self) -> bool:
        return not self.isChecked()

    def _setCollapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    collapsed = Property(bool, _isCollapsed, _setCollapsed)

    @Slot(bool)
    def expand(self, expanded: bool) -> None:
        if bool(expanded) == (not self._folded):
            return
        self._folded = not expanded
        if self._folded:
            self._folder.fold()
            self.setMaximumHeight(self.fontMetrics().height() + 8)
        else:
            self.setMaximumHeight(_UNLIMITED)
            self._folder.unfold()
        self.updateGeometry()

    def childEvent(self, event: Any) -> None:
        if event.type() == QEvent.Type.ChildPolished and self.__dict__.get("_folded"):
            self._folder.foldChild(event.child())
        super().childEvent(event)
