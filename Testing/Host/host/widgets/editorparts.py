"""The parts of the segment editor's stand-in: effects, their buttons and the layout of the panel."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, QRect, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .nodecombo import qMRMLNodeComboBox
from .segmentstable import qMRMLSegmentsTableView
from .show3d import qMRMLSegmentationShow3DButton

EFFECTS = (
    "Threshold",
    "Paint",
    "Draw",
    "Erase",
    "Level tracing",
    "Grow from seeds",
    "Fill between slices",
    "Margin",
    "Hollow",
    "Smoothing",
    "Scissors",
    "Islands",
    "Logical operators",
    "Mask volume",
)
_NEEDS_NO_SEGMENT = {"Grow from seeds", "Fill between slices"}


class Effect(QObject):
    """An effect without the drawing: it has a name and keeps its parameters in the editor node."""

    def __init__(self, name: str, editor: Any) -> None:
        super().__init__(editor)
        self.setObjectName(name)
        self.name = name
        self.perSegment = name not in _NEEDS_NO_SEGMENT
        self._editor = editor

    def setParameter(self, name: str, value: Any) -> None:
        self._editor.mrmlSegmentEditorNode().SetAttribute(f"{self.name}.{name}", str(value))

    def parameter(self, name: str) -> str:
        return self._editor.mrmlSegmentEditorNode().GetAttribute(f"{self.name}.{name}") or ""


def letterIcon(text: str, color: str) -> QIcon:
    """Draw a small icon with letters; the real pictures are not ours to copy."""
    pixmap = QPixmap(24, 24)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(color))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(QRect(1, 1, 22, 22), 5, 5)
    painter.setPen(QColor("white"))
    font = painter.font()
    font.setPixelSize(11)
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(QRect(0, 0, 24, 24), Qt.AlignmentFlag.AlignCenter, text)
    painter.end()
    return QIcon(pixmap)


class EditorPanel:
    """The widgets inside the segment editor, laid out as in the application."""

    def __init__(self, owner: QWidget) -> None:
        self.segmentationBox = qMRMLNodeComboBox(owner)
        self.segmentationBox.setObjectName("SegmentationNodeComboBox")
        self.segmentationBox.nodeTypes = ["vtkMRMLSegmentationNode"]
        self.segmentationBox.renameEnabled = True
        self.sourceBox = qMRMLNodeComboBox(owner)
        self.sourceBox.setObjectName("SourceVolumeNodeComboBox")
        self.sourceBox.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        self.sourceBox.addEnabled = False
        self.sourceBox.removeEnabled = False
        self.segmentationLabel = QLabel("Segmentation:", owner)
        self.sourceLabel = QLabel("Source volume:", owner)
        self.geometryButton = QToolButton(owner)
        self.geometryButton.setIcon(letterIcon("G", "#607d8b"))
        self.geometryButton.setToolTip("Specify geometry")
        self.addButton = QPushButton(letterIcon("+", "#2e9e44"), "Add", owner)
        self.removeButton = QPushButton(letterIcon("\N{MINUS SIGN}", "#c0392b"), "Remove", owner)
        self.show3DButton = qMRMLSegmentationShow3DButton(owner)
        self.switchButton = QPushButton("Segmentations...", owner)
        self.table = qMRMLSegmentsTableView(owner)
        self.table.setObjectName("SegmentsTableView")
        self.table.selectionMode = 1
        self.table.setHeaderVisible(True)
        self.table.setMinimumHeight(110)
        self._makeEffects(owner)
        self._makeOptions(owner)
        self._layOut(owner)

    def _makeEffects(self, owner: QWidget) -> None:
        self.effectsGroup = QGroupBox("Effects", owner)
        self.effectsGrid = QGridLayout(self.effectsGroup)
        self.effectsGrid.setContentsMargins(4, 4, 4, 4)
        self.effectsGrid.setSpacing(3)
        self.effects = {name: Effect(name, owner) for name in EFFECTS}
        self.buttons = QButtonGroup(owner)
        for name in ("", *EFFECTS):
            button = QToolButton(self.effectsGroup)
            button.setObjectName(name or "NULL")
            button.setProperty("effectName", name)
            button.setCheckable(True)
            button.setIconSize(QSize(22, 22))
            letters = "".join(word[0].upper() for word in name.split())[:2]
            button.setIcon(letterIcon(letters or "\N{NORTH WEST ARROW}", "#4a7ebb" if name else "#888888"))
            button.setText(name or "None")
            button.setToolTip(name or "No editing")
            button.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Preferred)
            self.buttons.addButton(button)
        self.buttons.buttons()[0].setChecked(True)
        self.undoGroup = QGroupBox(owner)
        undoLayout = QHBoxLayout(self.undoGroup)
        undoLayout.setContentsMargins(4, 4, 4, 4)
        self.undoButton = QToolButton(self.undoGroup)
        self.undoButton.setIcon(letterIcon("\N{ANTICLOCKWISE OPEN CIRCLE ARROW}", "#7d6608"))
        self.undoButton.setToolTip("Undo")
        self.redoButton = QToolButton(self.undoGroup)
        self.redoButton.setIcon(letterIcon("\N{CLOCKWISE OPEN CIRCLE ARROW}", "#7d6608"))
        self.redoButton.setToolTip("Redo")
        undoLayout.addWidget(self.undoButton)
        undoLayout.addWidget(self.redoButton)
        undoLayout.addStretch(1)

    def _makeOptions(self, owner: QWidget) -> None:
        self.optionsGroup = QGroupBox(owner)
        optionsLayout = QVBoxLayout(self.optionsGroup)
        self.help = QLabel(self.optionsGroup)
        self.help.setWordWrap(True)
        optionsLayout.addWidget(self.help)
        self.optionsGroup.hide()
        self.maskingGroup = QGroupBox("Masking", owner)
        form = QFormLayout(self.maskingGroup)
        self.maskMode = QComboBox(self.maskingGroup)
        self.maskMode.addItems(["Everywhere", "Inside all segments", "Inside all visible segments"])
        self.overwriteMode = QComboBox(self.maskingGroup)
        self.overwriteMode.addItems(["Overwrite all", "Overwrite visible", "Allow overlap"])
        form.addRow("Editable area:", self.maskMode)
        form.addRow("Modify other segments:", self.overwriteMode)
        self.maskingGroup.hide()

    def _layOut(self, owner: QWidget) -> None:
        layout = QVBoxLayout(owner)
        layout.setContentsMargins(0, 0, 0, 0)
        nodes = QGridLayout()
        nodes.addWidget(self.segmentationLabel, 0, 0)
        nodes.addWidget(self.segmentationBox, 0, 1, 1, 2)
        nodes.addWidget(self.sourceLabel, 1, 0)
        nodes.addWidget(self.sourceBox, 1, 1)
        nodes.addWidget(self.geometryButton, 1, 2)
        nodes.setColumnStretch(1, 1)
        layout.addLayout(nodes)
        row = QHBoxLayout()
        for button in (self.addButton, self.removeButton, self.show3DButton, self.switchButton):
            row.addWidget(button)
        layout.addLayout(row)
        layout.addWidget(self.table, 1)
        lower = QHBoxLayout()
        left = QVBoxLayout()
        left.addWidget(self.effectsGroup)
        left.addWidget(self.undoGroup)
        left.addStretch(1)
        right = QVBoxLayout()
        right.addWidget(self.optionsGroup)
        right.addWidget(self.maskingGroup)
        right.addStretch(1)
        lower.addLayout(left)
        lower.addLayout(right, 1)
        layout.addLayout(lower)

    def arrangeEffects(self, order: list[str], unordered: bool, columns: int, style: int) -> list[str]:
        """Show the buttons in the wanted order and give the names of the effects that are shown."""
        names = [name for name in order if name in self.effects]
        if unordered:
            names += [name for name in EFFECTS if name not in names]
        byName = {button.property("effectName"): button for button in self.buttons.buttons()}
        for button in byName.values():
            self.effectsGrid.removeWidget(button)
            button.hide()
            button.setToolButtonStyle(Qt.ToolButtonStyle(style))
        for place, name in enumerate(["", *names]):
            self.effectsGrid.addWidget(byName[name], place // max(1, columns), place % max(1, columns))
            byName[name].show()
        return names
