"""Loss and metrics of runs as curves: table, series, chart and view nodes, and an embedded plot widget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from SegToolkitGui.training.CurveData import STEP, CurveData, valuesOf

PLOT_HEIGHT = 240
TRAINING, VALIDATION = "training", "validation"
KIND_OF_EVENT = {"metric": TRAINING, "validation": VALIDATION}
# Told apart by people with any kind of colour vision (Okabe and Ito).
COLOURS = (
    (0.00, 0.45, 0.70), (0.84, 0.37, 0.00), (0.00, 0.62, 0.45), (0.80, 0.47, 0.65),
    (0.34, 0.71, 0.91), (0.90, 0.62, 0.00), (0.35, 0.35, 0.35), (0.60, 0.10, 0.10),
)  # fmt: skip
LINES = ("LineStyleSolid", "LineStyleDash", "LineStyleDot", "LineStyleDashDot", "LineStyleDashDotDot")
LOSS, METRICS, RATE, TIME, OTHER = "loss", "metrics", "rate", "time", "other"
CHARTS = {
    LOSS: _("Loss"),
    METRICS: _("Metrics, 0 to 1"),
    OTHER: _("Other values"),
    RATE: _("Learning rate"),
    TIME: _("Seconds per step"),
}


@dataclass
class Curve:
    """One kind of values of a run, with the nodes that show them."""

    data: CurveData = field(default_factory=CurveData)
    table: Any = None
    rows: int = 0  # of the data, that stand in the table
    changes: int = -1  # of the data, when the table was made
    series: dict[str, Any] = field(default_factory=dict)


class Curves:
    """Shows the curves of one run, or of several laid over each other.

    A chart has one y axis, so loss, metrics and the rest have a chart each, chosen by a combo box. The nodes
    are hidden, not saved, and made anew after the scene was closed.

    Args:
        parentLayout: a box layout; combo box and plot are added at its end.
    """

    def __init__(self, parentLayout: Any) -> None:
        self._runs: dict[str, dict[str, Curve]] = {}
        self._name = ""
        self._charts: dict[str, Any] = {}
        self._viewNode: Any = None
        self._build(parentLayout)
        scene = slicer.mrmlScene
        self._scene = scene
        self._tags = [
            scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._onStartClose),
            scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, self._onEndClose),
        ]
        self._makeNodes()

    def cleanup(self) -> None:
        """Remove the nodes and let go of the widgets."""
        self.chartComboBox.disconnect("currentIndexChanged(int)", self._onChart)
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []
        self.plotWidget.setMRMLPlotViewNode(None)
        self._removeNodes()
        self.plotWidget.setMRMLScene(None)

    @property
    def runNames(self) -> list[str]:
        """The runs that are shown, in their order."""
        return list(self._runs)

    @property
    def chartName(self) -> str:
        """Which chart is shown, a key of CHARTS."""
        return str(self.chartComboBox.currentData or LOSS)

    def show(self, runName: str) -> None:
        """Show this run and no other; its rows come by ``addEvents``. A run already shown keeps its rows."""
        for name in [name for name in self._runs if name != runName]:
            self._drop(name)
        self._name = runName
        self._runs.setdefault(runName, {})
        self._refresh()

    def addEvents(self, events: list[dict], runName: str = "") -> None:
        """Add the "metric" and "validation" events among these; others are ignored.

        Args:
            runName: another run, which is laid over the one of ``show``; "" is that one.
        """
        name = runName or self._name
        curves = self._runs.setdefault(name, {})
        for event in events:
            step = event.get(STEP)
            kind = KIND_OF_EVENT.get(event.get("t", ""))
            if not isinstance(step, int | float):
                continue
            if event.get("t") == "start":
                for curve in curves.values():  # resumed from a checkpoint: what came after it is made again
                    curve.data.cutFrom(step + 1)
            elif kind is not None:
                values = valuesOf(event)
                if values:
                    curves.setdefault(kind, Curve()).data.add(step, values)
        self._refresh()

    def remove(self, runName: str) -> None:
        """Take one run out of the comparison."""
        self._drop(runName)
        self._refresh()

    def clear(self) -> None:
        """No run, no curve."""
        for name in list(self._runs):
            self._drop(name)
        self._name = ""
        self._refresh()

    def showChart(self, name: str) -> None:
        """Show another chart, one of CHARTS; ignored while it has no curve."""
        index = self.chartComboBox.findData(name)
        if index >= 0:
            self.chartComboBox.setCurrentIndex(index)

    # Widgets

    def _build(self, parentLayout: Any) -> None:
        self.chartComboBox = qt.QComboBox()
        self.chartComboBox.objectName = "curvesChartComboBox"
        self.chartComboBox.setToolTip(_("Which values are drawn."))
        self.noCurveLabel = qt.QLabel(_("No values yet."))
        self.noCurveLabel.objectName = "curvesNoCurveLabel"
        row = qt.QHBoxLayout()
        row.addWidget(self.chartComboBox)
        row.addWidget(self.noCurveLabel, 1)
        self.plotWidget = slicer.qMRMLPlotWidget()
        self.plotWidget.objectName = "curvesPlotWidget"
        self.plotWidget.setMinimumHeight(PLOT_HEIGHT)
        # The bar offers charts and series of the whole scene, which these are not.
        self.plotWidget.plotController().setVisible(False)
        parentLayout.addLayout(row)
        parentLayout.addWidget(self.plotWidget)
        self._fillCombo()
        self.chartComboBox.connect("currentIndexChanged(int)", self._onChart)

    def _fillCombo(self) -> None:
        """Offer the charts that have curves; loss and metrics always."""
        used = {one for name in self._runs for one in self._chartsOf(name)}
        wanted = [name for name in CHARTS if name in used or name in (LOSS, METRICS)]
        combo = self.chartComboBox
        if wanted == [combo.itemData(row) for row in range(combo.count)]:
            return
        chosen = self.chartName
        blocked = combo.blockSignals(True)
        combo.clear()
        for name in wanted:
            combo.addItem(CHARTS[name], name)
        combo.setCurrentIndex(max(0, combo.findData(chosen)))
        combo.blockSignals(blocked)

    def _chartsOf(self, runName: str) -> set[str]:
        curves = self._runs[runName].values()
        return {chartOf(name, curve.data) for curve in curves for name in curve.data.names}

    def _onChart(self, _index: int = 0) -> None:
        self._refresh()

    # Nodes

    def _onStartClose(self, _caller, _event) -> None:
        self.plotWidget.setMRMLPlotViewNode(None)
        self._removeNodes()

    def _onEndClose(self, _caller, _event) -> None:
        self._makeNodes()

    def _makeNodes(self) -> None:
        for name, title in CHARTS.items():
            chart = self._hidden("vtkMRMLPlotChartNode", title)
            chart.SetTitleVisibility(False)
            chart.SetXAxisTitle(_("step"))
            chart.SetYAxisTitle(title)
            chart.SetLegendFontSize(12)
            chart.SetAxisTitleFontSize(12)
            chart.SetAxisLabelFontSize(11)
            chart.SetEnablePointMoveAlongX(False)  # dragging a point would change the table
            chart.SetEnablePointMoveAlongY(False)
            if name == METRICS:
                chart.SetYAxisRangeAuto(False)
                chart.SetYAxisRange(0.0, 1.0)
            self._charts[name] = slicer.mrmlScene.AddNode(chart)
        node = slicer.vtkMRMLPlotViewNode()
        node.SetLayoutName("SegToolkitTraining")
        node.SetLayoutLabel(_("Training"))
        # Else the view follows whatever chart is shown elsewhere.
        node.SetDoPropagatePlotChartSelection(False)
        # A view with an owner is left alone by the layout manager; the owner may be any node.
        node.SetAndObserveParentLayoutNodeID(self._charts[LOSS].GetID())
        self._viewNode = slicer.mrmlScene.AddNode(self._hidden(node, _("Training curves")))
        self.plotWidget.setMRMLScene(slicer.mrmlScene)
        self.plotWidget.setMRMLPlotViewNode(self._viewNode)
        self._refresh()

    def _hidden(self, what: Any, name: str) -> Any:
        """A node that nobody but this object is to see; ``what`` is a class name or the view's node.

        It is set up before it goes into the scene: afterwards each setter would be an event for every node
        selector of the application.
        """
        node = what
        if isinstance(what, str):
            node = slicer.mrmlScene.CreateNodeByClass(what)
            node.UnRegister(None)
        node.SetName(name)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        return node

    def _nodes(self) -> list[Any]:
        """Every node that is to be in the scene."""
        curves = [curve for run in self._runs.values() for curve in run.values() if curve.table is not None]
        inner = [node for curve in curves for node in (curve.table, *curve.series.values())]
        return [self._viewNode, *self._charts.values(), *inner]

    def _removeNodes(self) -> None:
        for curves in self._runs.values():
            for curve in curves.values():
                self._removeCurve(curve)
        for node in (self._viewNode, *self._charts.values()):
            self._removeNode(node)
        self._viewNode, self._charts = None, {}

    def _removeCurve(self, curve: Curve) -> None:
        for series in curve.series.values():
            self._removeNode(series)
        self._removeNode(curve.table)
        curve.table, curve.series, curve.rows, curve.changes = None, {}, 0, -1

    @staticmethod
    def _removeNode(node: Any) -> None:
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)

    def _drop(self, runName: str) -> None:
        for curve in self._runs.pop(runName, {}).values():
            self._removeCurve(curve)

    # From rows to curves

    def _refresh(self) -> None:
        """Bring tables, series and charts in line with the rows."""
        self._fillCombo()
        if self._viewNode is None:  # while the scene is being closed
            return
        if any(node.GetScene() is None for node in self._nodes()):  # somebody removed what is ours
            self._removeNodes()
            self._makeNodes()
            return
        held = [(chart, chart.StartModify()) for chart in self._charts.values()]  # one event for all changes
        try:
            for runName, curves in self._runs.items():
                for kind, curve in curves.items():
                    self._fillTable(curve, f"{runName} {kind}")
            shown = self._showSeries()
        finally:
            for chart, state in held:
                chart.EndModify(state)
        self.noCurveLabel.setVisible(not shown)
        chart = self._charts[self.chartName]
        if self._viewNode.GetPlotChartNodeID() != chart.GetID():
            self._viewNode.SetPlotChartNodeID(chart.GetID())
        self.plotWidget.plotView().fitToContent()

    def _fillTable(self, curve: Curve, name: str) -> None:
        """Append the new rows, or fill the table anew where rows were thinned out or dropped."""
        data = curve.data
        if curve.table is None:
            curve.table = slicer.mrmlScene.AddNode(self._hidden("vtkMRMLTableNode", name))
        table = curve.table.GetTable()
        if curve.changes == data.changes and curve.rows == len(data):
            return
        if curve.changes != data.changes:
            table.Initialize()
            for name in data.columns:
                column = vtk.vtkDoubleArray()
                column.SetName(name)
                table.AddColumn(column)
            curve.rows = 0
        for name, values in data.columns.items():
            column = table.GetColumnByName(name)
            for value in values[curve.rows :]:
                column.InsertNextValue(value)
        curve.rows, curve.changes = len(data), data.changes
        table.Modified()

    def _showSeries(self) -> int:
        """Put the series into their charts; returns how many the chosen chart has."""
        wanted: dict[str, list[str]] = {name: [] for name in CHARTS}
        for number, (runName, curves) in enumerate(self._runs.items()):
            before = {name: len(ids) for name, ids in wanted.items()}
            for kind in (TRAINING, VALIDATION):
                curve = curves.get(kind)
                for name in self._drawn(curve.data) if curve is not None else ():
                    chart = chartOf(name, curve.data)
                    node = self._seriesOf(curve, name)
                    node.SetName(self._legend(runName, kind, name))
                    self._style(node, number, len(wanted[chart]) - before[chart], kind)
                    wanted[chart].append(node.GetID())
        for name, ids in wanted.items():
            chart = self._charts[name]
            present = [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
            if present != ids:
                chart.RemoveAllPlotSeriesNodeIDs()
                for one in ids:
                    chart.AddAndObservePlotSeriesNodeID(one)
        return len(wanted[self.chartName])

    def _drawn(self, data: CurveData) -> list[str]:
        """The values that have a curve; of several runs not the parts of the loss: too many."""
        names = [name for name in data.names if data.hasValues(name)]
        if len(self._runs) > 1 and LOSS in names:
            names = [name for name in names if name == LOSS or chartOf(name, data) != LOSS]
        return names

    def _seriesOf(self, curve: Curve, name: str) -> Any:
        node = curve.series.get(name)
        if node is None:
            node = self._hidden("vtkMRMLPlotSeriesNode", name)
            node.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)  # the type that has an x column
            node.SetXColumnName(STEP)
            node.SetYColumnName(name)
            node.SetAndObserveTableNodeID(curve.table.GetID())
            node = curve.series[name] = slicer.mrmlScene.AddNode(node)
        return node

    def _style(self, node: Any, runNumber: int, number: int, kind: str) -> None:
        """One run: a colour for each curve. Several: a colour for each run, a line style for each curve."""
        several = len(self._runs) > 1
        styles = slicer.vtkMRMLPlotSeriesNode
        colour, line = (runNumber, LINES[number % len(LINES)]) if several else (number, LINES[0])
        node.SetColor(*COLOURS[colour % len(COLOURS)])
        node.SetLineStyle(getattr(styles, line))
        # Validations are few: their points are worth marking.
        node.SetMarkerStyle(styles.MarkerStyleCircle if kind == VALIDATION else styles.MarkerStyleNone)
        node.SetMarkerSize(6)

    def _legend(self, runName: str, kind: str, name: str) -> str:
        what = name.replace("_", " ")
        if len(self._runs) > 1:
            ending = _("validation") if kind == VALIDATION else ""
            return ", ".join(part for part in (runName, ending if name == LOSS else what) if part)
        return _("{value} at validation").format(value=what) if kind == VALIDATION and LOSS in name else what


def chartOf(name: str, data: CurveData) -> str:
    """In which of CHARTS a value belongs."""
    if "loss" in name.lower():
        return LOSS
    if name == "learning_rate":
        return RATE
    if name.startswith("seconds"):
        return TIME
    return METRICS if data.isFraction(name) else OTHER
