"""Stand-ins for the plot widget, its view and its bar. The view draws the chart of its node with QPainter."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Property, QRectF, QSize, Signal, Slot
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from slicer import vtkMRMLPlotChartNode, vtkMRMLScene

from . import plotdrawing
from .base import qMRMLWidget
from .declare import stored, vtkSignatures
from .observe import Observations


@vtkSignatures(
    "mrmlSceneChanged(vtkMRMLScene*)",
    "dataSelected(vtkStringArray*,vtkCollection*)",
    "setMRMLScene(vtkMRMLScene*)",
    "setMRMLPlotViewNode(vtkMRMLPlotViewNode*)",
)
class qMRMLPlotView(QWidget):
    """The area of a chart. Like the real one it shows nothing without a scene and a view node of that scene,
    and it keeps no chart that left the scene.
    """

    mrmlSceneChanged = Signal(object)
    dataSelected = Signal(object, object)

    title = stored(str, "title", "")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._node: Any = None
        self._paints = 0
        self._sceneEvents = Observations(self)
        self._events = Observations(self)
        self._chartEvents = Observations(self)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setEnabled(False)

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._sceneEvents.clear()
        self._scene = scene
        for event in (vtkMRMLScene.EndCloseEvent, vtkMRMLScene.EndBatchProcessEvent):
            self._sceneEvents.add(scene, event, self._onScene)
        if self._node is not None and self._node.GetScene() is not scene:
            self.setMRMLPlotViewNode(None)
        self.mrmlSceneChanged.emit(scene)

    @Slot(object)
    def setMRMLPlotViewNode(self, node: Any) -> None:
        if node is self._node:
            return
        self._events.clear()
        self._node = node
        self._events.add(node, "ModifiedEvent", self._onNode)
        self.setEnabled(node is not None)
        self._onNode()

    def _chart(self) -> Any:
        """The chart that is drawn, or None."""
        if self._scene is None or self._node is None or self._node.GetScene() is not self._scene:
            return None
        return self._node.GetPlotChartNode()

    def _onScene(self) -> None:
        if self._node is not None and self._node.GetScene() is None:
            self.setMRMLPlotViewNode(None)
        self.update()

    def _onNode(self) -> None:
        self._chartEvents.clear()
        chart = self._chart()
        for event in ("ModifiedEvent", vtkMRMLPlotChartNode.PlotModifiedEvent):
            self._chartEvents.add(chart, event, self._redraw)
        self.update()

    def _redraw(self) -> None:
        self.update()

    def _shown(self) -> list[plotdrawing.Drawn]:
        """The series that are drawn, for tests."""
        chart = self._chart()
        return plotdrawing.drawnSeries(chart) if chart is not None else []

    @Slot()
    def fitToContent(self) -> None:
        self.update()

    @Slot()
    def RemovePlotSelections(self) -> None:
        """Nothing can be selected in the stand-in."""

    @Slot(str)
    def saveAsSVG(self, path: str) -> None:
        Path(path).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")

    def sizeHint(self) -> QSize:
        return QSize(300, 200)

    def paintEvent(self, _event: Any) -> None:
        self._paints += 1
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(255, 255, 255))
        chart = self._chart()
        if chart is not None:
            plotdrawing.draw(painter, QRectF(self.rect()), chart)
        painter.end()


@vtkSignatures("setMRMLPlotViewNode(vtkMRMLPlotViewNode*)")
class qMRMLPlotViewControllerWidget(qMRMLWidget):
    """The bar above a plot view: only the label of the view."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._view: Any = None
        self._label = QLabel(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.addWidget(self._label)
        self.setStyleSheet("background: #b1b1b1")

    def mrmlPlotViewNode(self) -> Any:
        return self._node

    @Slot(object)
    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._node = node
        self._label.setText(node.GetLayoutLabel() or "" if node is not None else "")

    def setPlotView(self, view: Any) -> None:
        self._view = view

    @Slot()
    def fitPlotToAxes(self) -> None:
        if self._view is not None:
            self._view.fitToContent()


@vtkSignatures(
    "setMRMLPlotViewNode(vtkMRMLPlotViewNode*)", "setMRMLAbstractViewNode(vtkMRMLAbstractViewNode*)"
)
class qMRMLPlotWidget(qMRMLWidget):
    """A plot view with its bar."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = qMRMLPlotView(self)
        self._bar = qMRMLPlotViewControllerWidget(self)
        self._bar.setPlotView(self._view)
        self._color = QColor()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self._view)

    def _sceneWasSet(self) -> None:
        self._bar.setMRMLScene(self._scene)
        self._view.setMRMLScene(self._scene)

    def plotView(self) -> Any:
        return self._view

    def viewWidget(self) -> Any:
        return self._view

    def plotController(self) -> Any:
        return self._bar

    def controllerWidget(self) -> Any:
        return self._bar

    def mrmlPlotViewNode(self) -> Any:
        return self._view._node

    def mrmlAbstractViewNode(self) -> Any:
        return self._view._node

    @Slot(object)
    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._view.setMRMLPlotViewNode(node)
        self._bar.setMRMLPlotViewNode(node)

    @Slot(object)
    def setMRMLAbstractViewNode(self, node: Any) -> None:
        self.setMRMLPlotViewNode(node)

    @Slot(str)
    def setViewLabel(self, label: str) -> None:
        if self._view._node is not None:
            self._view._node.SetLayoutLabel(str(label))
            self._bar.setMRMLPlotViewNode(self._view._node)

    def _viewLabel(self) -> str:
        return self._view._node.GetLayoutLabel() or "" if self._view._node is not None else ""

    viewLabel = Property(str, _viewLabel, setViewLabel)

    @Slot(QColor)
    def setViewColor(self, color: QColor) -> None:
        self._color = QColor(color)

    viewColor = Property(QColor, lambda self: self._color, setViewColor)

    @Slot(bool)
    def setRenderPaused(self, pause: bool) -> None:
        self._view.setUpdatesEnabled(not pause)

    @Slot()
    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    @Slot()
    def resumeRender(self) -> None:
        self.setRenderPaused(False)
