"""Stand-in for the selector of segments of a segmentation."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import logging
from typing import Any

from PySide6.QtCore import Property, Signal, Slot
from PySide6.QtWidgets import QBoxLayout, QComboBox, QLabel, QVBoxLayout, QWidget
from slicer import vtkSegmentation

from .base import qMRMLWidget
from .combos import ctkCheckableComboBox
from .declare import vtkSignatures
from .nodecombo import qMRMLNodeComboBox
from .observe import Observations

_NONE = "None"


@vtkSignatures(
    "currentNodeChanged(vtkMRMLNode*)",
    "nodeAboutToBeEdited(vtkMRMLNode*)",
    "setCurrentNode(vtkMRMLNode*)",
    "onCurrentNodeChanged(vtkMRMLNode*)",
)
class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """Choose a segmentation and one or several of its segments."""

    currentNodeChanged = Signal((object,), (bool,))
    nodeAboutToBeEdited = Signal(object)
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal("QStringList")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._segmentation: Any = None
        self._current = ""
        self._selected: list[str] = []
        self._multi = False
        self._horizontal = False
        self._filling = False
        self._observations = Observations(self)
        self._build()
        self._nodeBox.currentNodeChanged[object].connect(self.onCurrentNodeChanged)
        self._nodeBox.currentNodeChanged[object].connect(self.currentNodeChanged[object])
        self._nodeBox.currentNodeChanged[bool].connect(self.currentNodeChanged[bool])
        self._nodeBox.nodeAboutToBeEdited.connect(self.nodeAboutToBeEdited)
        self._single.currentIndexChanged.connect(self.onCurrentSegmentChanged)
        self._several.checkedIndexesChanged.connect(self.onSegmentMultiSelectionChanged)
        self.populateSegmentCombobox()

    def _build(self) -> None:
        self._nodeBox = qMRMLNodeComboBox(self)
        self._nodeBox.setObjectName("MRMLNodeComboBox_Segmentation")
        self._nodeBox.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodeBox.addEnabled = False
        self._nodeBox.removeEnabled = False
        self._message = QLabel(self)
        self._label = QLabel("Segment:", self)
        self._label.hide()
        self._single = QComboBox(self)
        self._single.setObjectName("comboBox_Segment")
        self._several = ctkCheckableComboBox(self)
        self._several.setObjectName("CheckableComboBox_Segment")
        self._several.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self._nodeBox, self._message, self._single, self._several):
            layout.addWidget(part)

    # -- properties ----

    def _getNone(self) -> bool:
        return self._nodeBox.noneEnabled

    def _setNone(self, enabled: bool) -> None:
        self._nodeBox.noneEnabled = enabled
        self.populateSegmentCombobox()

    def _getMulti(self) -> bool:
        return self._multi

    def _setMulti(self, enabled: bool) -> None:
        self._multi = bool(enabled)
        self._single.setVisible(not self._multi)
        self._several.setVisible(self._multi)
        self.populateSegmentCombobox()

    def _getHorizontal(self) -> bool:
        return self._horizontal

    def _setHorizontal(self, horizontal: bool) -> None:
        self._horizontal = bool(horizontal)
        direction = QBoxLayout.Direction.LeftToRight if horizontal else QBoxLayout.Direction.TopToBottom
        self.layout().setDirection(direction)

    def _getSelectorVisible(self) -> bool:
        return self._nodeBox.isVisible()  # as the real one: False until the widget is on the screen

    def _setSelectorVisible(self, visible: bool) -> None:
        self._nodeBox.setVisible(bool(visible))

    def _getEdit(self) -> bool:
        return self._nodeBox.editEnabled

    def _setEdit(self, enabled: bool) -> None:
        self._nodeBox.editEnabled = enabled

    def _getSelectNew(self) -> bool:
        return self._nodeBox.selectNodeUponCreation

    def _setSelectNew(self, enabled: bool) -> None:
        self._nodeBox.selectNodeUponCreation = enabled

    noneEnabled = Property(bool, _getNone, _setNone)
    multiSelection = Property(bool, _getMulti, _setMulti)
    horizontalLayout = Property(bool, _getHorizontal, _setHorizontal)
    segmentationNodeSelectorVisible = Property(bool, _getSelectorVisible, _setSelectorVisible)
    editEnabled = Property(bool, _getEdit, _setEdit)
    selectNodeUponCreation = Property(bool, _getSelectNew, _setSelectNew)

    # -- segmentation ----

    def _sceneWasSet(self) -> None:
        self._nodeBox.setMRMLScene(self._scene)

    def currentNode(self) -> Any:
        return self._nodeBox.currentNode()

    def currentNodeID(self) -> str:
        return self._nodeBox.currentNodeID

    @Slot(object)
    def setCurrentNode(self, node: Any) -> None:
        self._nodeBox.setCurrentNode(node)

    @Slot(str)
    def setCurrentNodeID(self, nodeID: str) -> None:
        self._nodeBox.setCurrentNodeID(nodeID)

    @Slot(object)
    def onCurrentNodeChanged(self, node: Any) -> None:
        if node is not None and not node.IsA("vtkMRMLSegmentationNode"):
            node = None
        if node is self._segmentation:
            return
        self._observations.clear()
        self._segmentation = node
        for event in (
            vtkSegmentation.SegmentAdded,
            vtkSegmentation.SegmentRemoved,
            vtkSegmentation.SegmentModified,
            vtkSegmentation.SegmentsOrderModified,
        ):
            self._observations.add(node, event, self.populateSegmentCombobox)
        self.populateSegmentCombobox()

    # -- segments ----

    @Slot()
    def populateSegmentCombobox(self) -> None:
        segmentation = self._segmentation.GetSegmentation() if self._segmentation is not None else None
        ids = list(segmentation.GetSegmentIDs()) if segmentation is not None else []
        self._filling = True
        self._single.clear()
        self._several.clear()
        if not ids:
            text = "No segments in segmentation" if self._segmentation is not None else "No node is selected"
            self._message.setText(text + " ")
            self._message.show()
            self._single.hide()
            self._several.hide()
            self._filling = False
            return
        self._message.setText("")
        self._message.hide()
        box = self._several if self._multi else self._single
        box.show()
        if self.noneEnabled and not self._multi:
            box.addItem(_NONE, _NONE)
        for segmentID in ids:
            box.addItem(segmentation.GetSegment(segmentID).GetName(), segmentID)
        self._filling = False
        if self._multi:
            self.setSelectedSegmentIDs(self._selected)
        else:
            self._restoreCurrent(ids)

    def _restoreCurrent(self, ids: list[str]) -> None:
        self._filling = True
        keep = (self.noneEnabled and not self._current) or self._current in ids
        self._single.setCurrentIndex(-1)
        if keep:
            self.setCurrentSegmentID(self._current)
        self._filling = False
        if not keep:  # the first segment is selected, and that is announced
            self._single.setCurrentIndex(1 if self.noneEnabled else 0)

    @Slot(int)
    def onCurrentSegmentChanged(self, index: int) -> None:
        if self._filling or self._segmentation is None:
            return
        data = self._single.itemData(index)
        self._current = data if data and data != _NONE else ""
        self.currentSegmentChanged.emit(self._current)

    @Slot()
    def onSegmentMultiSelectionChanged(self) -> None:
        if self._filling or self._segmentation is None:
            return
        self._selected = [self._several.itemData(index.row()) for index in self._several.checkedIndexes()]
        self.segmentSelectionChanged.emit(self._selected)

    def currentSegmentID(self) -> str:
        if self._multi:
            logging.error("Multi-selection is on, use selectedSegmentIDs instead")
            return ""
        return self._current

    @Slot(str)
    def setCurrentSegmentID(self, segmentID: str) -> None:
        if self._multi:
            logging.error("Multi-selection is on, use setSelectedSegmentIDs instead")
        elif not segmentID and self.noneEnabled:
            self._single.setCurrentIndex(0)
        else:
            index = self._single.findData(segmentID)
            if index != -1:
                self._single.setCurrentIndex(index)

    def selectedSegmentIDs(self) -> list[str]:
        if not self._multi:
            logging.error("Multi-selection is off, use currentSegmentID instead")
            return []
        return list(self._selected)

    @Slot("QStringList")
    def setSelectedSegmentIDs(self, segmentIDs: list[str]) -> None:
        if not self._multi:
            logging.error("Multi-selection is off, use setCurrentSegmentID instead")
            return
        if self._segmentation is None:
            return
        known = list(self._segmentation.GetSegmentation().GetSegmentIDs())
        wanted = [segmentID for segmentID in segmentIDs if segmentID in known]
        changed = wanted != self._selected
        self._selected = wanted
        self._filling = True
        for row in range(self._several.count()):
            state = 2 if self._several.itemData(row) in wanted else 0
            self._several.setCheckState(self._several.model().index(row, 0), state)
        self._filling = False
        if changed:
            self.onSegmentMultiSelectionChanged()

    def segmentIDs(self) -> list[str]:
        # As in the application: only the list of the multiple selection is asked.
        return [self._several.itemData(row) for row in range(self._several.count())]
