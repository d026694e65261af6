"""Stand-in for the segment editor: looks like it, keeps its node and its undo history, paints nothing."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import slicer
import vtk
from PySide6.QtCore import QItemSelection, QSignalBlocker, Qt, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractButton, QWidget
from vtk.util.numpy_support import numpy_to_vtk

from .declare import vtkSignatures
from .editorbase import SegmentEditorBase

_BINARY = "Binary labelmap"


def paint(segmentationNode: Any, segmentId: str, mask: np.ndarray, volumeNode: Any) -> None:
    """Write a mask as the new content of a segment, which is what a person does by drawing.

    `mask` is (k, j, i) on the grid of `volumeNode`; everything but 0 is inside.
    """
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    parent = segmentationNode.GetParentTransformNode()
    grid = logic.CreateOrientedImageDataFromVolumeNode(volumeNode, parent)
    grid.UnRegister(None)
    array = (np.asarray(mask) != 0).astype(np.uint8)
    if array.shape[::-1] != grid.GetDimensions():
        raise ValueError(f"The mask is {array.shape[::-1]} voxels, the volume {grid.GetDimensions()}.")
    toWorld = vtk.vtkMatrix4x4()
    grid.GetImageToWorldMatrix(toWorld)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(grid.GetExtent())
    labelmap.SetImageToWorldMatrix(toWorld)
    labelmap.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    segmentationNode.CreateDefaultDisplayNodes()
    if not logic.SetBinaryLabelmapToSegment(labelmap, segmentationNode, segmentId, logic.MODE_REPLACE):
        raise RuntimeError(f"Slicer could not write the segment {segmentId}.")


@vtkSignatures("setInteractionNode(vtkMRMLInteractionNode*)")
class qMRMLSegmentEditorWidget(SegmentEditorBase):
    """Segments of a segmentation with the effects that edit them."""

    # -- segments ----

    def _updateSelection(self) -> None:
        segmentation = self._segmentation.GetSegmentation() if self._segmentation is not None else None
        ids = list(segmentation.GetSegmentIDs()) if segmentation is not None else []
        selected = self._node.GetSelectedSegmentID() or ""
        if selected not in ids:
            selected = ids[0] if ids else ""
            self._node.SetSelectedSegmentID(selected)
        with QSignalBlocker(self._panel.table):
            self._panel.table.setSelectedSegmentIDs([selected] if selected else [])

    @Slot(QItemSelection, QItemSelection)
    def onSegmentSelectionChanged(self, *_: Any) -> None:
        if self._node is None or self._updating:
            return
        ids = self._panel.table.selectedSegmentIDs()
        selected = ids[0] if ids else ""
        if selected == (self._node.GetSelectedSegmentID() or ""):
            return
        self._node.SetSelectedSegmentID(selected)
        self.updateWidgetFromMRML()
        self.currentSegmentIDChanged.emit(selected)

    def currentSegmentID(self) -> str:
        if self._node is None:
            logging.error("Invalid segment editor parameter set node")
            return ""
        return self._node.GetSelectedSegmentID() or ""

    @Slot(str)
    def setCurrentSegmentID(self, segmentID: str) -> None:
        if self._node is not None:
            self._node.SetSelectedSegmentID(segmentID)

    @Slot()
    def onAddSegment(self) -> None:
        node = self._node.GetSegmentationNode() if self._node is not None else None
        if node is None:
            return
        self._history.SaveState()
        segmentation = node.GetSegmentation()
        segmentID = segmentation.AddEmptySegment(self._panel.table.textFilter)
        segment = segmentation.GetSegment(segmentID)
        if segment is not None and self.defaultTerminologyEntry:
            segment.SetTag(segment.GetTerminologyEntryTagName(), self.defaultTerminologyEntry)
        self._panel.table.setSelectedSegmentIDs([segmentID])

    @Slot()
    def onRemoveSegment(self) -> None:
        node = self._node.GetSegmentationNode() if self._node is not None else None
        selected = self.currentSegmentID() if node is not None else ""
        if not selected:
            return
        self._history.SaveState()
        ids = list(node.GetSegmentation().GetSegmentIDs())
        place = ids.index(selected)
        others = ids[place + 1 :] or ids[:place][-1:]
        if others:  # never a moment without a selected segment: it would end the effect
            self._panel.table.setSelectedSegmentIDs(others[:1])
        node.GetSegmentation().RemoveSegment(selected)

    @Slot()
    def selectNextSegment(self) -> None:
        self.selectSegmentAtOffset(1)

    @Slot()
    def selectPreviousSegment(self) -> None:
        self.selectSegmentAtOffset(-1)

    @Slot(int)
    def selectSegmentAtOffset(self, offset: int) -> None:
        ids = self._panel.table.displayedSegmentIDs()
        if self._node is None or not ids:
            return
        current = self._node.GetSelectedSegmentID()
        place = ids.index(current) + offset if current in ids else 0
        self._panel.table.setSelectedSegmentIDs([ids[max(0, min(place, len(ids) - 1))]])

    # -- effects ----

    def availableEffectNames(self) -> list[str]:
        return list(self._panel.effects)

    def effectNameOrder(self) -> list[str]:
        return list(self._order)

    def setEffectNameOrder(self, names: list[str]) -> None:
        self._order = list(names)
        self.updateEffectList()

    @Slot()
    def updateEffectList(self) -> None:
        self._displayed = self._panel.arrangeEffects(
            self._order, self.unorderedEffectsVisible, self.effectColumnCount, self.effectButtonStyle
        )

    def effectCount(self) -> int:
        return len(self._displayed)

    def effectByIndex(self, index: int) -> Any:
        return self._panel.effects[self._displayed[index]] if 0 <= index < len(self._displayed) else None

    def effectByName(self, name: str) -> Any:
        return self._panel.effects.get(name)

    def activeEffect(self) -> Any:
        return self._panel.effects.get(self._active)

    def setActiveEffect(self, effect: Any) -> None:
        if self._node is None:
            if effect is not None:
                logging.error("Invalid segment editor parameter set node")
            return
        self._node.SetActiveEffectName(effect.name if effect is not None else "")

    @Slot(str)
    def setActiveEffectByName(self, name: str) -> None:
        if self._node is None:
            if name:
                logging.error("Invalid segment editor parameter set node")
            return
        self.setActiveEffect(self.effectByName(name))

    @Slot(QAbstractButton)
    def onEffectButtonClicked(self, button: QAbstractButton) -> None:
        self.setActiveEffect(self.effectByName(button.property("effectName")))
        self._panel.buttons.buttons()[0].setChecked(not self._active)

    def _updateEffect(self) -> None:
        name = self._node.GetActiveEffectName() or ""
        effect = self._panel.effects.get(name)
        if effect is not None and not self._makeEditable():
            effect = None
        self._active = effect.name if effect is not None else ""
        panel = self._panel
        panel.optionsGroup.setVisible(effect is not None)
        panel.optionsGroup.setTitle(self._active)
        panel.help.setText(f"{self._active}: the stand-in does not edit." if effect is not None else "")
        self._applyOptions()
        for button in panel.buttons.buttons():
            button.setChecked(button.property("effectName") == self._active)

    def _makeEditable(self) -> bool:
        """Refuse effects on other sources than binary labelmaps; the real one asks and converts."""
        if self._segmentation is None:
            return False
        segmentation = self._segmentation.GetSegmentation()
        if segmentation.GetNumberOfSegments() == 0:
            segmentation.SetSourceRepresentationName(_BINARY)
        return segmentation.GetSourceRepresentationName() == _BINARY

    # -- undo ----

    @Slot()
    def saveStateForUndo(self) -> None:
        if self._node is None:
            logging.error("Invalid segment editor parameter set node")
        elif self._segmentation is not None:
            self._history.SaveState()

    @Slot()
    def undo(self) -> None:
        self._history.RestorePreviousState()

    @Slot()
    def redo(self) -> None:
        self._history.RestoreNextState()

    @Slot()
    def updateUndoRedoButtonsState(self) -> None:
        usable = self._segmentation is not None and not self.readOnly
        self._panel.undoButton.setEnabled(usable and bool(self._history.IsRestorePreviousStateAvailable()))
        self._panel.redoButton.setEnabled(usable and bool(self._history.IsRestoreNextStateAvailable()))

    # -- shortcuts and views ----

    @Slot()
    @Slot(QWidget)
    def installKeyboardShortcuts(self, parent: QWidget | None = None) -> None:
        self.uninstallKeyboardShortcuts()
        keys = {
            "Q": self.selectPreviousSegment,
            "W": self.selectNextSegment,
            "Z": self.undo,
            "Y": self.redo,
            "Esc": self._endEffect,
        }
        for key, action in keys.items():
            shortcut = QShortcut(QKeySequence(key), parent or self)
            shortcut.setContext(Qt.ShortcutContext.ApplicationShortcut)
            shortcut.activated.connect(action)
            self._shortcuts.append(shortcut)

    @Slot()
    def uninstallKeyboardShortcuts(self) -> None:
        while self._shortcuts:
            shortcut = self._shortcuts.pop()
            shortcut.setEnabled(False)
            shortcut.deleteLater()

    @Slot()
    def _endEffect(self) -> None:
        self.setActiveEffect(None)

    def interactionNode(self) -> Any:
        return self._interaction

    @Slot(object)
    def setInteractionNode(self, node: Any) -> None:
        self._interaction = node

    def setupViewObservations(self) -> None:
        """Do nothing: no effect listens to views here."""

    def removeViewObservations(self) -> None:
        """Do nothing: no effect listens to views here."""

    @Slot()
    def rotateSliceViewsToSegmentation(self) -> None:
        """Do nothing: the stand-in knows no views."""

    @Slot()
    def turnOffLightboxes(self) -> None:
        """Do nothing: the stand-in knows no views."""

    @Slot()
    def hideLabelLayer(self) -> None:
        """Do nothing: the stand-in knows no views."""

    @Slot()
    def toggleSourceVolumeIntensityMaskEnabled(self) -> None:
        if self._node is not None:
            self._node.SetSourceVolumeIntensityMask(not self._node.GetSourceVolumeIntensityMask())

    @Slot()
    def toggleMasterVolumeIntensityMaskEnabled(self) -> None:
        self.toggleSourceVolumeIntensityMaskEnabled()

    # -- which nodes the selectors offer ----

    def segmentationNodeSelectorAddAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        self._panel.segmentationBox.addAttribute(nodeType, name, value)

    def segmentationNodeSelectorRemoveAttribute(self, nodeType: str, name: str) -> None:
        self._panel.segmentationBox.removeAttribute(nodeType, name)

    def sourceVolumeNodeSelectorAddAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        self._panel.sourceBox.addAttribute(nodeType, name, value)

    def sourceVolumeNodeSelectorRemoveAttribute(self, nodeType: str, name: str) -> None:
        self._panel.sourceBox.removeAttribute(nodeType, name)

    def masterVolumeNodeSelectorAddAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        self._panel.sourceBox.addAttribute(nodeType, name, value)

    def masterVolumeNodeSelectorRemoveAttribute(self, nodeType: str, name: str) -> None:
        self._panel.sourceBox.removeAttribute(nodeType, name)
