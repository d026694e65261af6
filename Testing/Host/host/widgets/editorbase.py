"""The base of the segment editor's stand-in: its properties and how it follows its node."""

from __future__ import annotations

import logging
from typing import Any

from PySide6.QtCore import Property, QSignalBlocker, Signal, Slot
from PySide6.QtWidgets import QWidget
from slicer import vtkMRMLDisplayableNode, vtkMRMLScene, vtkSegmentation, vtkSegmentationHistory

from .base import qMRMLWidget
from .declare import setterOf, stored, vtkSignatures
from .editorparts import EditorPanel
from .observe import Observations


def _visibility(part: str, label: str = "") -> Property:
    """Declare a property read from an inner widget, as the real one does: False until it is on the screen."""

    def read(self: Any) -> bool:
        return getattr(self._panel, part).isVisible()

    def write(self: Any, visible: bool) -> None:
        getattr(self._panel, part).setVisible(bool(visible))
        if label:
            getattr(self._panel, label).setVisible(bool(visible))

    return Property(bool, read, write)


@vtkSignatures(
    "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)",
    "masterVolumeNodeChanged(vtkMRMLVolumeNode*)",
    "segmentationNodeChanged(vtkMRMLSegmentationNode*)",
    "setMRMLSegmentEditorNode(vtkMRMLSegmentEditorNode*)",
    "setSegmentationNode(vtkMRMLNode*)",
    "setSourceVolumeNode(vtkMRMLNode*)",
    "setMasterVolumeNode(vtkMRMLNode*)",
    "onSegmentationNodeChanged(vtkMRMLNode*)",
    "onSourceVolumeNodeChanged(vtkMRMLNode*)",
)
class SegmentEditorBase(qMRMLWidget):
    """The nodes and properties of the segment editor; the class below it acts on them."""

    currentSegmentIDChanged = Signal(str)
    sourceVolumeNodeChanged = Signal(object)
    masterVolumeNodeChanged = Signal(object)
    segmentationNodeChanged = Signal(object)

    segmentationNodeSelectorVisible = _visibility("segmentationBox", "segmentationLabel")
    sourceVolumeNodeSelectorVisible = _visibility("sourceBox", "sourceLabel")
    masterVolumeNodeSelectorVisible = _visibility("sourceBox", "sourceLabel")
    addRemoveSegmentButtonsVisible = _visibility("addButton", "removeButton")
    show3DButtonVisible = _visibility("show3DButton")
    switchToSegmentationsButtonVisible = _visibility("switchButton")
    undoEnabled = _visibility("undoGroup")
    specifyGeometryButtonVisible = stored(bool, "specifyGeometryButtonVisible", True, "_applyOptions")
    maskingSectionVisible = stored(bool, "maskingSectionVisible", True, "_applyOptions")
    autoShowSourceVolumeNode = stored(bool, "autoShowSourceVolumeNode", True)
    autoShowMasterVolumeNode = stored(bool, "autoShowSourceVolumeNode", True)
    defaultTerminologyEntry = stored(str, "defaultTerminologyEntry", "")
    defaultTerminologyEntrySettingsKey = stored(
        str, "defaultTerminologyEntrySettingsKey", "Segmentations/DefaultTerminologyEntry"
    )
    effectButtonStyle = stored(int, "effectButtonStyle", 0, "updateEffectList")
    effectColumnCount = stored(int, "effectColumnCount", 2, "updateEffectList")
    unorderedEffectsVisible = stored(bool, "unorderedEffectsVisible", True, "updateEffectList")
    jumpToSelectedSegmentEnabled = stored(bool, "jumpToSelectedSegmentEnabled", False)
    readOnly = stored(bool, "readOnly", False, "updateWidgetFromMRML")

    setSegmentationNodeSelectorVisible = Slot(bool)(setterOf("segmentationNodeSelectorVisible"))
    setSourceVolumeNodeSelectorVisible = Slot(bool)(setterOf("sourceVolumeNodeSelectorVisible"))
    setMasterVolumeNodeSelectorVisible = Slot(bool)(setterOf("masterVolumeNodeSelectorVisible"))
    setAddRemoveSegmentButtonsVisible = Slot(bool)(setterOf("addRemoveSegmentButtonsVisible"))
    setShow3DButtonVisible = Slot(bool)(setterOf("show3DButtonVisible"))
    setSwitchToSegmentationsButtonVisible = Slot(bool)(setterOf("switchToSegmentationsButtonVisible"))
    setUndoEnabled = Slot(bool)(setterOf("undoEnabled"))
    setSpecifyGeometryButtonVisible = Slot(bool)(setterOf("specifyGeometryButtonVisible"))
    setMaskingSectionVisible = Slot(bool)(setterOf("maskingSectionVisible"))
    setAutoShowSourceVolumeNode = Slot(bool)(setterOf("autoShowSourceVolumeNode"))
    setAutoShowMasterVolumeNode = Slot(bool)(setterOf("autoShowMasterVolumeNode"))
    setMaximumNumberOfUndoStates = Slot(int)(setterOf("maximumNumberOfUndoStates"))
    setEffectButtonStyle = Slot(int)(setterOf("effectButtonStyle"))
    setEffectColumnCount = Slot(int)(setterOf("effectColumnCount"))
    setJumpToSelectedSegmentEnabled = Slot(bool)(setterOf("jumpToSelectedSegmentEnabled"))
    setReadOnly = Slot(bool)(setterOf("readOnly"))

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._segmentation: Any = None
        self._source: Any = None
        self._active = ""
        self._order: list[str] = []
        self._updating = False
        self._shortcuts: list[Any] = []
        self._interaction: Any = None
        self._history = vtkSegmentationHistory()
        self._history.SetMaximumNumberOfStates(5)
        self._ofNode = Observations(self)
        self._ofSegmentation = Observations(self)
        self._ofScene = Observations(self)
        self._ofHistory = Observations(self)
        self._ofHistory.add(self._history, "ModifiedEvent", self.updateUndoRedoButtonsState)
        panel = self._panel = EditorPanel(self)
        panel.segmentationBox.currentNodeChanged[object].connect(self.onSegmentationNodeChanged)
        panel.sourceBox.currentNodeChanged[object].connect(self.onSourceVolumeNodeChanged)
        panel.table.selectionChanged.connect(self.onSegmentSelectionChanged)
        panel.buttons.buttonClicked.connect(self.onEffectButtonClicked)
        panel.addButton.clicked.connect(self.onAddSegment)
        panel.removeButton.clicked.connect(self.onRemoveSegment)
        panel.undoButton.clicked.connect(self.undo)
        panel.redoButton.clicked.connect(self.redo)
        self.updateEffectList()
        self.updateUndoRedoButtonsState()
        self._setEnabledParts()

    def _getStates(self) -> int:
        return self._history.GetMaximumNumberOfStates()

    def _setStates(self, number: int) -> None:
        self._history.SetMaximumNumberOfStates(int(number))

    maximumNumberOfUndoStates = Property(int, _getStates, _setStates)

    def _applyOptions(self) -> None:
        self._panel.geometryButton.setVisible(self.specifyGeometryButtonVisible)
        self._panel.maskingGroup.setVisible(bool(self._active) and self.maskingSectionVisible)

    # -- scene and editor node ----

    def _sceneWasSet(self) -> None:
        with QSignalBlocker(self._panel.segmentationBox), QSignalBlocker(self._panel.sourceBox):
            for part in (self._panel.segmentationBox, self._panel.sourceBox, self._panel.table):
                part.setMRMLScene(self._scene)
        self._ofScene.clear()
        self._ofScene.add(self._scene, vtkMRMLScene.EndCloseEvent, self.updateWidgetFromMRML)
        self._ofScene.add(self._scene, vtkMRMLScene.EndBatchProcessEvent, self._onEndBatch)
        self.updateWidgetFromMRML()

    def _onEndBatch(self) -> None:
        if self._node is not None:
            self.setSegmentationNode(self._panel.segmentationBox.currentNode())
            self.setSourceVolumeNode(self._panel.sourceBox.currentNode())
        self.updateWidgetFromMRML()

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    @Slot(object)
    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        if node is self._node:
            return
        self._ofNode.clear()
        self._node = node
        self._ofNode.add(node, "ModifiedEvent", self.updateWidgetFromMRML)
        self.updateWidgetFromMRML()

    @Slot()
    def updateWidgetFromMRML(self) -> None:
        scene = self._scene
        if self._updating or scene is None or scene.IsClosing() or scene.IsBatchProcessing():
            return
        if self._node is None:
            self._setEnabledParts()
            return
        self._updating = True
        try:
            self._updateSegmentation()
            self._updateSource()
            self._updateSelection()
            self._updateEffect()
            self._setEnabledParts()
            self.updateUndoRedoButtonsState()
        finally:
            self._updating = False

    def _setEnabledParts(self) -> None:
        panel, node = self._panel, self._node
        ready = node is not None and self._segmentation is not None
        selected = bool(node.GetSelectedSegmentID()) if node is not None else False
        geometry = self._source is not None or (ready and bool(self._geometry()))
        panel.segmentationBox.setEnabled(node is not None)
        panel.sourceBox.setEnabled(ready)
        panel.addButton.setEnabled(ready and geometry and not self.readOnly)
        panel.removeButton.setEnabled(ready and selected and not self.readOnly)
        panel.show3DButton.setLocked(node is None or self.readOnly)
        panel.table.readOnly = self.readOnly
        panel.effectsGroup.setEnabled(ready and self._source is not None and not self.readOnly)
        for button in panel.buttons.buttons():
            effect = panel.effects.get(button.property("effectName"))
            segments = ready and self._segmentation.GetSegmentation().GetNumberOfSegments() > 0
            button.setEnabled(effect is None or (segments and (selected or not effect.perSegment)))

    def _geometry(self) -> str:
        parameter = "Reference image geometry"
        return self._segmentation.GetSegmentation().GetConversionParameter(parameter) or ""

    # -- segmentation ----

    def _updateSegmentation(self) -> None:
        node = self._node.GetSegmentationNode()
        if node is not self._panel.segmentationBox.currentNode():
            with QSignalBlocker(self._panel.segmentationBox):
                self._panel.segmentationBox.setCurrentNode(node)
        if node is self._segmentation:
            if node is not None and self._history.GetSegmentation() is not node.GetSegmentation():
                self._history.SetSegmentation(node.GetSegmentation())
            return
        self._ofSegmentation.clear()
        self._segmentation = node
        for event in (
            "ModifiedEvent",
            vtkSegmentation.ContainedRepresentationNamesModified,
            vtkSegmentation.SegmentAdded,
            vtkSegmentation.SegmentRemoved,
            vtkMRMLDisplayableNode.DisplayModifiedEvent,
        ):
            self._ofSegmentation.add(node, event, self.onSegmentAddedRemoved)
        with QSignalBlocker(self._panel.table):
            self._panel.table.setSegmentationNode(node)
        self._panel.show3DButton.setSegmentationNode(node)
        if node is not None:
            role = node.GetReferenceImageGeometryReferenceRole()
            reference = node.GetNodeReference(role)
            self._node.SetAndObserveSourceVolumeNode(reference)
            node.CreateDefaultDisplayNodes()
            ids = node.GetSegmentation().GetSegmentIDs()
            self._node.SetSelectedSegmentID(ids[0] if ids else "")
        self._history.SetSegmentation(node.GetSegmentation() if node is not None else None)
        self.segmentationNodeChanged.emit(node)

    @Slot()
    def onSegmentAddedRemoved(self) -> None:
        self.updateWidgetFromMRML()

    @Slot(object)
    def setSegmentationNode(self, node: Any) -> None:
        if self._node is None:
            if node is not None:
                logging.error("setSegmentationNode failed: need to set segment editor node first")
            return
        if self._node.GetSegmentationNode() is node:
            return
        self.setActiveEffect(None)
        self._node.SetAndObserveSegmentationNode(node)

    @Slot(str)
    def setSegmentationNodeID(self, nodeID: str) -> None:
        self.setSegmentationNode(self._nodeByID(nodeID))

    def _nodeByID(self, nodeID: str) -> Any:
        if self._scene is None:
            logging.error("failed: MRML scene is not set")
            return None
        return self._scene.GetNodeByID(nodeID) if nodeID else None

    @Slot(object)
    def onSegmentationNodeChanged(self, node: Any) -> None:
        if self._scene is not None and not self._scene.IsBatchProcessing() and self._node is not None:
            self.setSegmentationNode(node)

    def segmentationNode(self) -> Any:
        return self._panel.segmentationBox.currentNode()

    def segmentationNodeID(self) -> str:
        return self._panel.segmentationBox.currentNodeID

    # -- source volume ----

    def _updateSource(self) -> None:
        node = self._node.GetSourceVolumeNode()
        if node is not self._panel.sourceBox.currentNode():
            with QSignalBlocker(self._panel.sourceBox):
                self._panel.sourceBox.setCurrentNode(node)
        if node is not self._source and self._segmentation is not None:
            self._source = node
            self.sourceVolumeNodeChanged.emit(node)
            self.masterVolumeNodeChanged.emit(node)

    @Slot(object)
    def setSourceVolumeNode(self, node: Any) -> None:
        if self._node is None or self.segmentationNode() is None:
            if node is not None:
                logging.error(
                    "setSourceVolumeNode failed: need to set segment editor and segmentation nodes first"
                )
            return
        if self._node.GetSourceVolumeNode() is not node:
            self._node.SetAndObserveSourceVolumeNode(node)

    @Slot(str)
    def setSourceVolumeNodeID(self, nodeID: str) -> None:
        self.setSourceVolumeNode(self._nodeByID(nodeID))

    @Slot(object)
    def onSourceVolumeNodeChanged(self, node: Any) -> None:
        if self._scene is not None and not self._scene.IsBatchProcessing() and self._segmentation is not None:
            self.setSourceVolumeNode(node)

    def sourceVolumeNode(self) -> Any:
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    def sourceVolumeNodeID(self) -> str:
        node = self.sourceVolumeNode()
        return (node.GetID() or "") if node is not None else ""

    @Slot(object)
    def setMasterVolumeNode(self, node: Any) -> None:
        self.setSourceVolumeNode(node)

    @Slot(str)
    def setMasterVolumeNodeID(self, nodeID: str) -> None:
        self.setSourceVolumeNodeID(nodeID)

    def masterVolumeNode(self) -> Any:
        return self.sourceVolumeNode()

    def masterVolumeNodeID(self) -> str:
        return self.sourceVolumeNodeID()
