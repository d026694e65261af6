"""Stand-ins for the ctk buttons."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

from PySide6.QtCore import Property, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QMouseEvent, QPainter, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QColorDialog,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QToolButton,
    QWidget,
)

from .declare import plain, setterOf, stored


class ctkCheckBox(QCheckBox):
    """A check box that may show an icon in place of its mark."""

    indicatorIcon = stored(QIcon, "indicatorIcon", QIcon(), "update")
    indicatorIconSize = stored(QSize, "indicatorIconSize", QSize(0, 0), "update")


class ctkPushButton(QPushButton):
    """A push button whose text and icon can be aligned."""

    buttonTextAlignment = stored(int, "buttonTextAlignment", 132, "update")
    iconAlignment = stored(int, "iconAlignment", 129, "update")
    elideMode = stored(int, "elideMode", 3, "update")


class ctkCheckablePushButton(ctkPushButton):
    """A push button with a check box inside."""

    checkBoxToggled = Signal(bool)
    checkStateChanged = Signal("Qt::CheckState")

    buttonTextAlignment = stored(int, "buttonTextAlignment", 132, "update")
    indicatorAlignment = stored(int, "indicatorAlignment", 129, "update")
    checkBoxControlsButtonToggleState = stored(bool, "checkBoxControlsButtonToggleState", False)
    checkBoxUserCheckable = stored(bool, "checkBoxUserCheckable", True)
    checkBoxControlsButton = stored(bool, "checkBoxControlsButton", True, "_follow")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._state = Qt.CheckState.Unchecked

    def _getState(self) -> int:
        return self._state.value

    def _setState(self, state: Any) -> None:
        state = Qt.CheckState(plain(state))
        if state == self._state:
            return
        before, self._state = self._state, state
        self._follow()
        self.checkStateChanged.emit(state)
        if (before == Qt.CheckState.Unchecked) != (state == Qt.CheckState.Unchecked):
            self.checkBoxToggled.emit(state != Qt.CheckState.Unchecked)
        self.update()

    checkState = Property(int, _getState, _setState)

    def _follow(self) -> None:
        on = self._state != Qt.CheckState.Unchecked
        if self.checkBoxControlsButton:
            self.setCheckable(on)
        if self.checkBoxControlsButtonToggleState and self.isCheckable():
            self.setChecked(on)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.checkBoxUserCheckable and event.position().x() < 26:
            on = self._state == Qt.CheckState.Checked
            self.checkState = Qt.CheckState.Unchecked if on else Qt.CheckState.Checked
            event.accept()
            return
        super().mousePressEvent(event)

    def sizeHint(self) -> QSize:
        return super().sizeHint() + QSize(22, 0)

    def paintEvent(self, event: Any) -> None:
        super().paintEvent(event)
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect.setRect(6, (self.height() - 14) // 2, 14, 14)
        on = self._state == Qt.CheckState.Checked
        option.state |= QStyle.StateFlag.State_On if on else QStyle.StateFlag.State_Off
        painter = QPainter(self)
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_IndicatorCheckBox, option, painter, self)


class ctkMenuButton(QPushButton):
    """A push button with an arrow at its side that opens the menu; a click elsewhere is a normal click."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.menu() is not None and event.position().x() >= self.width() - 20:
            self.showMenu()
            return
        menu = self.menu()
        if menu is not None:  # QPushButton would open the menu wherever it is clicked
            self.setMenu(None)
        super().mousePressEvent(event)
        if menu is not None:
            self.setMenu(menu)


class ctkExpandButton(QToolButton):
    """A tool button with double arrows that turn when it is checked."""

    mirrorOnExpand = stored(bool, "mirrorOnExpand", False, "updateIcon")
    orientation = stored(int, "orientation", 1, "updateIcon")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAutoRaise(True)
        self.setCheckable(True)
        self.toggled.connect(self.updateIcon)
        self.updateIcon()

    @Slot()
    def updateIcon(self, *_: Any) -> None:
        turned = self.mirrorOnExpand and self.isChecked()
        kinds = QStyle.StandardPixmap
        horizontal = kinds.SP_ToolBarHorizontalExtensionButton
        kind = horizontal if self.orientation == 1 else kinds.SP_ToolBarVerticalExtensionButton
        pixmap = self.style().standardPixmap(kind)
        if turned:
            pixmap = QPixmap.fromImage(
                pixmap.toImage().mirrored(self.orientation == 1, self.orientation != 1)
            )
        self.setIcon(QIcon(pixmap))


class ctkColorPickerButton(QPushButton):
    """A button that shows a colour and asks for another one."""

    class ColorDialogOption(enum.IntFlag):
        """Options of the colour dialog."""

        ShowAlphaChannel = 1
        NoButtons = 2
        DontUseNativeDialog = 4
        UseCTKColorDialog = 12

    ColorDialogOptions = ColorDialogOption
    ShowAlphaChannel = ColorDialogOption.ShowAlphaChannel
    NoButtons = ColorDialogOption.NoButtons
    DontUseNativeDialog = ColorDialogOption.DontUseNativeDialog
    UseCTKColorDialog = ColorDialogOption.UseCTKColorDialog

    colorChanged = Signal(QColor)
    colorNameChanged = Signal(str)

    dialogOptions = stored(int, "dialogOptions", 0)
    displayColorName = stored(bool, "displayColorName", True, "_showColor")
    setDisplayColorName = Slot(bool)(setterOf("displayColorName"))

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[item for item in arguments if isinstance(item, (QWidget, str))])
        self._color = next((item for item in arguments if isinstance(item, QColor)), QColor(0, 0, 0))
        self._name = ""
        self.setCheckable(True)
        self.toggled.connect(self.onToggled)
        self._showColor()

    def _getColor(self) -> QColor:
        return QColor(self._color)

    @Slot(QColor)
    def setColor(self, color: QColor) -> None:
        if color == self._color:
            return
        self._color = QColor(color)
        self._showColor()
        self.colorChanged.emit(self._color)

    color = Property(QColor, _getColor, setColor)

    def _getName(self) -> str:
        return self._name

    def _setName(self, name: str) -> None:
        if name != self._name:
            self._name = name
            self._showColor()
            self.colorNameChanged.emit(name)

    colorName = Property(str, _getName, _setName)

    def _showColor(self) -> None:
        swatch = QPixmap(16, 16)
        swatch.fill(self._color)
        self.setIcon(QIcon(swatch))
        self.update()

    def sizeHint(self) -> QSize:
        return super().sizeHint() + QSize(self.fontMetrics().horizontalAdvance("#00AA00"), 0)

    def paintEvent(self, _event: Any) -> None:
        # The name of the colour is painted and is not the text of the button.
        option = QStyleOptionButton()
        self.initStyleOption(option)
        if self.displayColorName:
            option.text = self._name or self._color.name()
        painter = QPainter(self)
        self.style().drawControl(QStyle.ControlElement.CE_PushButton, option, painter, self)

    @Slot()
    def changeColor(self) -> None:
        color = QColorDialog.getColor(self._color, self)
        if color.isValid():
            self.setColor(color)

    @Slot()
    @Slot(bool)
    def onToggled(self, checked: bool = True) -> None:
        if checked:
            self.changeColor()
            self.setChecked(False)


class ctkDirectoryButton(QWidget):
    """A button that shows a folder and asks for another one."""

    class Option(enum.IntFlag):
        """Options of the folder dialog."""

        ShowDirsOnly = 1
        DontResolveSymlinks = 2
        DontConfirmOverwrite = 4
        DontUseSheet = 8
        DontUseNativeDialog = 16
        ReadOnly = 32
        HideNameFilterDetails = 64

    Options = Option
    ShowDirsOnly = Option.ShowDirsOnly
    DontResolveSymlinks = Option.DontResolveSymlinks
    DontConfirmOverwrite = Option.DontConfirmOverwrite
    DontUseSheet = Option.DontUseSheet
    DontUseNativeDialog = Option.DontUseNativeDialog
    ReadOnly = Option.ReadOnly
    HideNameFilterDetails = Option.HideNameFilterDetails

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    acceptMode = stored(int, "acceptMode", 0)
    caption = stored(str, "caption", "")
    elideMode = stored(int, "elideMode", 2, "_show")
    options = stored(int, "options", 1)
    text = stored(str, "text", "", "_show")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[item for item in arguments if isinstance(item, QWidget)])
        self._directory = next((item for item in arguments if isinstance(item, str)), ".")
        self._button = QPushButton(self)
        self._button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._button.setIcon(self.style().standardIcon(QStyle.StandardPixmap.SP_DirIcon))
        self._button.clicked.connect(self.browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        self._show()

    def _getDirectory(self) -> str:
        return self._directory

    def _setDirectory(self, directory: str) -> None:
        if directory != self._directory:
            self._directory = str(directory)
            self._show()
            self.directoryChanged.emit(self._directory)

    directory = Property(str, _getDirectory, _setDirectory)

    def _getIcon(self) -> QIcon:
        return self._button.icon()

    def _setIcon(self, icon: QIcon) -> None:
        self._button.setIcon(icon)

    icon = Property(QIcon, _getIcon, _setIcon)

    def _show(self) -> None:
        self._button.setText(self.text or str(Path(self._directory).absolute()))

    @Slot()
    def browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.caption or "Select directory", self._directory)
        if folder:
            self._setDirectory(folder)
            self.directorySelected.emit(folder)
