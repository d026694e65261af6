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
        self._ownerNode: Any = None
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
        self._ownerNode = slicer.mrmlScene.AddNode(self._hidden(slicer.vtkMRMLScriptedModuleNode()))
        node = self._hidden(slicer.vtkMRMLPlotViewNode())
        node.SetLayoutName(f"SegToolkitAutoSegment-{self._name}")
        # Else the view follows whatever chart is shown elsewhere.
        node.SetDoPropagatePlotChartSelection(False)
        # A view that has an owner when it comes into the scene is left alone by the layout manager, which
        # would else make a view of its own for it; the owner may be any node.
        node.SetAndObserveParentLayoutNodeID(self._ownerNode.GetID())
        self._viewNode = slicer.mrmlScene.AddNode(node)
        self.plot.setMRMLScene(slicer.mrmlScene)
        self.plot.setMRMLPlotViewNode(self._viewNode)

    def _hidden(self, node: Any) -> Any:
        """The same node, for nobody else to see."""
        node.SetName(f"SegToolkit {self._name}")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        return node

    def _onStartClose(self, *_arguments) -> None:
        self.plot.setMRMLPlotViewNode(None)
        for node in (self._viewNode, self._ownerNode):
            if node is not None and node.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._ownerNode, self._viewNode, self._charts = None, None, {}

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
