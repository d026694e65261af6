"""Stand-in for the path line edit."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

from PySide6.QtCore import Property, QSettings, Signal, Slot
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from .declare import plain, stored


class ctkPathLineEdit(QWidget):
    """Type, choose or recall the path of a file or folder."""

    class Filters(enum.IntFlag):
        """What may be chosen, the values of QDir::Filter."""

        Dirs = 0x1
        Files = 0x2
        Drives = 0x4
        NoSymLinks = 0x8
        AllEntries = 0x7
        TypeMask = 0xF
        Readable = 0x10
        Writable = 0x20
        Executable = 0x40
        PermissionMask = 0x70
        Modified = 0x80
        Hidden = 0x100
        System = 0x200
        AccessMask = 0x3F0
        AllDirs = 0x400
        CaseSensitive = 0x800
        NoDot = 0x2000
        NoDotDot = 0x4000
        NoDotAndDotDot = 0x6000
        NoFilter = -1

    class Option(enum.IntFlag):
        """Options of the file dialog."""

        ShowDirsOnly = 1
        DontResolveSymlinks = 2
        DontConfirmOverwrite = 4
        DontUseSheet = 8
        DontUseNativeDialog = 16
        ReadOnly = 32
        HideNameFilterDetails = 64

    class SizeAdjustPolicy(enum.IntEnum):
        """What the width follows."""

        AdjustToContents = 0
        AdjustToContentsOnFirstShow = 1
        AdjustToMinimumContentsLength = 2

    Options = Option
    for _kind in (Filters, Option, SizeAdjustPolicy):
        for _name, _member in _kind.__members__.items():
            locals()[_name] = _member
    del _kind, _name, _member

    validInputChanged = Signal(bool)
    currentPathChanged = Signal(str)

    filters = stored(int, "filters", 24663, "updateHasValidInput")
    label = stored(str, "label", "")
    nameFilters = stored("QStringList", "nameFilters", [])
    options = stored(int, "options", 0)
    settingKey = stored(str, "settingKey", "", "retrieveHistory")
    showBrowseButton = stored(bool, "showBrowseButton", True, "_applyButtons")
    showHistoryButton = stored(bool, "showHistoryButton", True, "_applyButtons")
    sizeAdjustPolicy = stored(int, "sizeAdjustPolicy", 2)
    minimumContentsLength = stored(int, "minimumContentsLength", 0, "_applyLength")

    def __init__(self, parent: QWidget | None = None, *_: Any) -> None:
        super().__init__(parent)
        self._valid = False
        self._box = QComboBox(self)
        self._box.setEditable(True)
        self._box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self._box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._browse = QToolButton(self)
        self._browse.setText("...")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._box)
        layout.addWidget(self._browse)
        self.setFocusProxy(self._box)
        self._box.editTextChanged.connect(self._onText)
        self._browse.clicked.connect(self.browse)

    def _applyButtons(self) -> None:
        self._browse.setVisible(self.showBrowseButton)

    def _applyLength(self) -> None:
        self._box.setMinimumContentsLength(self.minimumContentsLength)

    @Slot(str)
    def _onText(self, text: str) -> None:
        self.updateHasValidInput()
        self.currentPathChanged.emit(text)

    @Slot()
    def updateHasValidInput(self) -> None:
        path = Path(self._box.currentText()) if self._box.currentText() else None
        wanted = plain(self.filters)
        valid = path is not None and (
            (bool(wanted & 0x1) and path.is_dir()) or (bool(wanted & 0x2) and path.is_file())
        )
        if valid != self._valid:
            self._valid = valid
            self.validInputChanged.emit(valid)

    @Slot(str)
    def setCurrentPath(self, path: str) -> None:
        path = str(path)
        if path != self._box.currentText():
            self._box.setEditText(path)

    currentPath = Property(str, lambda self: self._box.currentText(), setCurrentPath)

    @Slot(str)
    def setCurrentDirectory(self, folder: str) -> None:
        name = Path(self._box.currentText()).name
        self.setCurrentPath(str(Path(folder) / name))

    @Slot()
    def browse(self) -> None:
        start, filters = self._box.currentText(), ";;".join(self.nameFilters)
        if not plain(self.filters) & 0x2:
            path = QFileDialog.getExistingDirectory(self, self.label or "Select folder", start)
        elif plain(self.filters) & 0x20:
            path = QFileDialog.getSaveFileName(self, self.label or "Save as", start, filters)[0]
        else:
            path = QFileDialog.getOpenFileName(self, self.label or "Open", start, filters)[0]
        if path:
            self.setCurrentPath(path)

    def comboBox(self) -> QComboBox:
        return self._box

    # -- history ----

    def _key(self) -> str:
        return f"PathLineEdit/{self.settingKey}"

    @Slot()
    def addCurrentPathToHistory(self) -> None:
        path = self._box.currentText()
        if not path:
            return
        known = [path, *[self._box.itemText(row) for row in range(self._box.count())]]
        unique = list(dict.fromkeys(known))
        self._fill(unique, path)
        if self.settingKey:
            QSettings().setValue(self._key(), unique)

    @Slot()
    def retrieveHistory(self) -> None:
        saved = QSettings().value(self._key()) if self.settingKey else None
        if saved:
            paths = [saved] if isinstance(saved, str) else list(saved)
            self._fill(paths, paths[0])

    def _fill(self, paths: list[str], current: str) -> None:
        before = self._box.currentText()
        blocked = self._box.blockSignals(True)
        self._box.clear()
        self._box.addItems(paths)
        self._box.setEditText(current)
        self._box.blockSignals(blocked)
        if current != before:
            self._onText(current)
