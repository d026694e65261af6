"""Stand-in for the button that shows a segmentation in 3D."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget
from slicer import vtkMRMLDisplayableNode, vtkSegmentation, vtkSegmentationConverter

from .buttons import ctkMenuButton
from .declare import vtkSignatures
from .observe import Observations


@vtkSignatures("setSegmentationNode(vtkMRMLSegmentationNode*)")
class qMRMLSegmentationShow3DButton(ctkMenuButton):
    """Make the closed surfaces of a segmentation and show them; released, remove them again."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[item for item in arguments if isinstance(item, QWidget)])
        self._segmentation: Any = None
        self._locked = False
        self._observations = Observations(self)
        self.setText("Show 3D")
        self.setCheckable(True)
        self.setEnabled(False)
        menu = QMenu(self)
        self._smoothing = QAction("Surface smoothing", menu)
        self._smoothing.setCheckable(True)
        self._smoothing.setChecked(True)
        self._smoothing.toggled.connect(self.onEnableSurfaceSmoothingToggled)
        menu.addAction(self._smoothing)
        self.setMenu(menu)
        self.toggled.connect(self.onToggled)

    def _getLocked(self) -> bool:
        return self._locked

    @Slot(bool)
    def setLocked(self, locked: bool) -> None:
        self._locked = bool(locked)
        self.updateWidgetFromMRML()

    locked = Property(bool, _getLocked, setLocked)

    def segmentationNode(self) -> Any:
        return self._segmentation

    @Slot(object)
    def setSegmentationNode(self, node: Any) -> None:
        if node is self._segmentation:
            return
        self._observations.clear()
        self._segmentation = node
        for event in (
            vtkSegmentation.SegmentAdded,
            vtkSegmentation.SegmentRemoved,
            vtkSegmentation.ContainedRepresentationNamesModified,
            vtkMRMLDisplayableNode.DisplayModifiedEvent,
        ):
            self._observations.add(node, event, self.updateWidgetFromMRML)
        self.updateWidgetFromMRML()

    @Slot()
    def updateWidgetFromMRML(self) -> None:
        node = self._segmentation
        segments = node.GetSegmentation().GetNumberOfSegments() if node is not None else 0
        self.setEnabled(segments > 0 and not self._locked)
        surface = vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        shown = False
        if segments and node.GetDisplayNode() is not None:
            display = node.GetDisplayNode()
            visible = display.GetVisibility3D() and display.GetDisplayRepresentationName3D() == surface
            shown = bool(visible and node.GetSegmentation().ContainsRepresentation(surface))
        blocked = self.blockSignals(True)
        self.setChecked(shown)
        self.blockSignals(blocked)

    @Slot()
    @Slot(bool)
    def onToggled(self, checked: bool | None = None) -> None:
        node = self._segmentation
        if node is None:
            return
        surface = vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        if self.isChecked() if checked is None else checked:
            node.CreateDefaultDisplayNodes()
            if node.GetSegmentation().CreateRepresentation(surface):
                display = node.GetDisplayNode()
                display.SetPreferredDisplayRepresentationName3D(surface)
                display.SetVisibility3D(True)
        elif node.GetSegmentation().GetSourceRepresentationName() != surface:
            node.GetSegmentation().RemoveRepresentation(surface)
        self.updateWidgetFromMRML()

    @Slot(bool)
    def onEnableSurfaceSmoothingToggled(self, enabled: bool) -> None:
        self._setParameter("Smoothing factor", 0.5 if enabled else -0.5)

    @Slot(float)
    def onSurfaceSmoothingFactorChanged(self, factor: float) -> None:
        self._setParameter("Smoothing factor", factor)

    def _setParameter(self, name: str, value: float) -> None:
        if self._segmentation is None:
            return
        self._segmentation.GetSegmentation().SetConversionParameter(name, str(value))
        if self.isChecked():
            surface = vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
            self._segmentation.GetSegmentation().RemoveRepresentation(surface)
            self.onToggled(True)
