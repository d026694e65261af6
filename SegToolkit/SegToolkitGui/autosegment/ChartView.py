"""Charts in the panel: a box that chooses one, and the plot."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

PLOT_HEIGHT = 220


class ChartView:
    """Shows one of some chart nodes of the scene; the view's own node is hidden and not saved.

    Args:
        layout: a box layout; the widgets are added at its end.
        titles: name of a chart -> what it is called; the box is hidden where there is one alone.
        name: tells its widgets and its view from those of others.
    """

    def __init__(self, layout, titles: dict[str, str], name: str) -> None:
        self._name = name
        self._charts: dict[str, str] = {}
        self._viewNode: Any = None
        self.combo = qt.QComboBox()
        self.combo.objectName = f"{name}ChartCombo"
        self.combo.setToolTip(_("Which values are drawn."))
        for name, title in titles.items():
            self.combo.addItem(title, name)
        self.plot = slicer.qMRMLPlotWidget()
        self.plot.objectName = f"{name}PlotWidget"
        self.plot.setMinimumHeight(PLOT_HEIGHT)
        # The bar offers charts of the whole scene, which these need not be.
        self.plot.plotController().setVisible(False)
        layout.addWidget(self.combo)
        self.combo.setVisible(len(titles) > 1)
        layout.addWidget(self.plot)
        self.combo.connect("currentIndexChanged(int)", self._onChart)
        scene = slicer.mrmlScene
        self._scene = scene
        self._tags = [
            scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._onStartClose),
            scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, self._onEndClose),
        ]
        self._makeNode()

    def cleanup(self) -> None:
        """Let go of widgets and nodes; the charts stay in the scene."""
        self.combo.disconnect("currentIndexChanged(int)", self._onChart)
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []
        self._onStartClose()
        self.plot.setMRMLScene(None)

    def show(self, charts: dict[str, str]) -> None:
        """Show these charts: name -> MRML ID; {} shows nothing."""
        self._charts = dict(charts)
        self._onChart()

    def _makeNode(self) -> None:
        node = slicer.vtkMRMLPlotViewNode()
        node.SetName(f"SegToolkit {self._name}")
        node.SetLayoutName(f"SegToolkitAutoSegment-{self._name}")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        # Else the view follows whatever chart is shown elsewhere.
        node.SetDoPropagatePlotChartSelection(False)
        self._viewNode = slicer.mrmlScene.AddNode(node)
        # A view with an owner is left alone by the layout manager; the owner may be any node.
        node.SetAndObserveParentLayoutNodeID(node.GetID())
        self.plot.setMRMLScene(slicer.mrmlScene)
        self.plot.setMRMLPlotViewNode(self._viewNode)

    def _onStartClose(self, *_arguments) -> None:
        self.plot.setMRMLPlotViewNode(None)
        if self._viewNode is not None and self._viewNode.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self._viewNode)
        self._viewNode, self._charts = None, {}

    def _onEndClose(self, *_arguments) -> None:
        self._makeNode()

    def _onChart(self, _index: int = 0) -> None:
        if self._viewNode is None:  # while the scene is being closed
            return
        chart = self._charts.get(str(self.combo.currentData or ""), "")
        if slicer.mrmlScene.GetNodeByID(chart) is None:
            chart = ""
        if (self._viewNode.GetPlotChartNodeID() or "") != chart:
            self._viewNode.SetPlotChartNodeID(chart or None)
            self.plot.plotView().fitToContent()
