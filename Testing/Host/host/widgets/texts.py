"""Stand-ins for the ctk widgets of text and for the dialogs."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QSettings, QSize, Signal, Slot
from PySide6.QtGui import QIcon, QResizeEvent, Qt, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QFileDialog,
    QLineEdit,
    QListView,
    QMessageBox,
    QSizePolicy,
    QStyle,
    QTextBrowser,
    QTreeView,
    QWidget,
)

from .declare import plain, stored

_TEASER, _TEXT, _HTML, _PLAIN = range(4)


class ctkSearchBox(QLineEdit):
    """A line edit with a cross that clears it."""

    clearIcon = stored(QIcon, "clearIcon", QIcon())
    searchIcon = stored(QIcon, "searchIcon", QIcon())
    showSearchIcon = stored(bool, "showSearchIcon", False, "_applyIcon")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._searchAction: Any = None
        self.setPlaceholderText("Search...")
        icon = self.style().standardIcon(QStyle.StandardPixmap.SP_LineEditClearButton)
        self._clearAction = self.addAction(icon, QLineEdit.ActionPosition.TrailingPosition)
        self._clearAction.triggered.connect(self.clear)
        self.textChanged.connect(self.updateClearButtonState)
        self.updateClearButtonState()

    def _applyIcon(self) -> None:
        if self._searchAction is None:
            icon = self.style().standardIcon(QStyle.StandardPixmap.SP_FileDialogContentsView)
            self._searchAction = self.addAction(icon, QLineEdit.ActionPosition.LeadingPosition)
        self._searchAction.setVisible(self.showSearchIcon)

    @Slot()
    def updateClearButtonState(self, *_: Any) -> None:
        self._clearAction.setVisible(bool(self.text()))


class ctkFittedTextBrowser(QTextBrowser):
    """A text browser as high as its text, with a link that shows the rest of a long one."""

    hideDetailsText = stored(str, "hideDetailsText", "Hide details.", "_render")
    showDetailsText = stored(str, "showDetailsText", "Show details...", "_render")
    disableMouseScroll = stored(bool, "disableMouseScroll", False)
    collapsed = stored(bool, "collapsed", True, "_render")
    tabStopWidth = Property(
        int, lambda self: int(self.tabStopDistance()), lambda self, width: self.setTabStopDistance(width)
    )

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._full = ""
        self._kind = _TEASER
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.textChanged.connect(self.heightForWidthMayHaveChanged)
        self.anchorClicked.connect(self._onAnchor)

    @Slot(str)
    def setCollapsibleText(self, text: str) -> None:
        self._show(text, _TEXT)

    @Slot(str)
    def setCollapsibleHtml(self, text: str) -> None:
        self._show(text, _HTML)

    @Slot(str)
    def setCollapsiblePlainText(self, text: str) -> None:
        self._show(text, _PLAIN)

    def collapsibleText(self) -> str:
        return self._full

    def _show(self, text: str, kind: int) -> None:
        self._full, self._kind = text, kind
        self._render()

    def _render(self) -> None:
        if self._kind == _TEASER:
            return
        html = self._kind == _HTML or (self._kind == _TEXT and Qt.mightBeRichText(self._full))
        separator = "<br>" if html else "\n"
        teaser, found, rest = self._full.partition(separator)
        text = teaser if self.collapsed else self._full
        if not html:
            text = text.replace("<", "&lt;").replace("\n", "<br>")
        if found and rest.strip():
            text += f' <a href="#">{self.showDetailsText if self.collapsed else self.hideDetailsText}</a>'
        self.setOpenLinks(False)
        self.setHtml(text)

    def _onAnchor(self, url: Any) -> None:
        if url.toString() == "#":
            self.collapsed = not self.collapsed

    @Slot()
    def heightForWidthMayHaveChanged(self) -> None:
        self.updateGeometry()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        document = self.document().clone()
        document.setTextWidth(max(60, self.viewport().width()))
        return QSize(200, int(document.size().height()) + 2 * self.frameWidth() + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.sizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.disableMouseScroll:
            event.ignore()
        else:
            super().wheelEvent(event)


class ctkMessageBox(QMessageBox):
    """A message box that need not come again."""

    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "", "_read")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._check = QCheckBox("Don't show this message again", self)
        self._roles: list[int] = []
        self._visible = False
        self.finished.connect(self.onFinished)

    def _read(self) -> None:
        saved = QSettings().value(self.dontShowAgainSettingsKey)
        self._check.setChecked(str(saved).lower() in ("true", "1", "2"))

    @Slot(bool)
    def setDontShowAgain(self, on: bool) -> None:
        self._check.setChecked(bool(on))

    dontShowAgain = Property(bool, lambda self: self._check.isChecked(), setDontShowAgain)

    def _setVisibleCheck(self, visible: bool) -> None:
        self._visible = bool(visible)
        self.setCheckBox(self._check if visible else None)

    dontShowAgainVisible = Property(bool, lambda self: self._visible, _setVisibleCheck)

    def _setRoles(self, roles: Any) -> None:
        self._roles = [plain(role) for role in roles or []]

    dontShowAgainButtonRoles = Property("QVariant", lambda self: list(self._roles) or None, _setRoles)

    def addDontShowAgainButtonRole(self, role: Any) -> None:
        self._roles.append(plain(role))

    @Slot(int)
    def onFinished(self, _result: int) -> None:
        button = self.clickedButton()
        counts = button is not None and (not self._roles or plain(self.buttonRole(button)) in self._roles)
        if self.dontShowAgainSettingsKey and self._check.isChecked() and counts:
            QSettings().setValue(self.dontShowAgainSettingsKey, True)

    def exec(self) -> int:
        if self.dontShowAgainSettingsKey and self._check.isChecked():
            return int(plain(QMessageBox.StandardButton.Ok))
        return super().exec()


class ctkFileDialog(QFileDialog):
    """A file dialog of Qt with a few handles more."""

    fileSelectionChanged = Signal("QStringList")

    # Properties of QFileDialog in Qt 5, options in Qt 6.
    confirmOverwrite = stored(bool, "confirmOverwrite", True, "_applyOptions")
    nameFilterDetailsVisible = stored(bool, "nameFilterDetailsVisible", True, "_applyOptions")
    readOnly = stored(bool, "readOnly", False, "_applyOptions")
    resolveSymlinks = stored(bool, "resolveSymlinks", True, "_applyOptions")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._bottom: QWidget | None = None
        self._mode = 0

    def _applyOptions(self) -> None:
        options = QFileDialog.Option
        self.setOption(options.DontConfirmOverwrite, not self.confirmOverwrite)
        self.setOption(options.HideNameFilterDetails, not self.nameFilterDetailsVisible)
        self.setOption(options.ReadOnly, self.readOnly)
        self.setOption(options.DontResolveSymlinks, not self.resolveSymlinks)

    def _view(self) -> QAbstractItemView | None:
        return self.findChild(QListView, "listView") or self.findChild(QTreeView, "treeView")

    def _setMode(self, mode: Any) -> None:
        self._mode = plain(mode)
        for view in (self.findChild(QListView, "listView"), self.findChild(QTreeView, "treeView")):
            if view is not None:
                view.setSelectionMode(QAbstractItemView.SelectionMode(self._mode))

    SelectionMode = Property(int, lambda self: self._mode, _setMode)

    def bottomWidget(self) -> QWidget | None:
        return self._bottom

    def setBottomWidget(self, widget: QWidget, label: str = "") -> None:
        self._bottom = widget
        self.layout().addWidget(widget, self.layout().rowCount(), 1)

    @Slot(bool)
    def setAcceptButtonEnable(self, enabled: bool) -> None:
        for button in self.findChildren(QWidget):
            if button.metaObject().className() == "QDialogButtonBox":
                button.buttons()[0].setEnabled(enabled)

    @Slot()
    def clearSelection(self) -> None:
        view = self._view()
        if view is not None:
            view.clearSelection()

    @Slot()
    def onSelectionChanged(self) -> None:
        self.fileSelectionChanged.emit(self.selectedFiles())
