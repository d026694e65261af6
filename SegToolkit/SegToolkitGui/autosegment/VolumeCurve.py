"""The volume of each organ by frame: a table node, and a chart of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.scene import Placement, TableNodes
from SegToolkitGui.scene.SequenceFrames import indexValues

FRAME = _("Frame")
# Of the largest volume that the chart shows.
HEADROOM = 1.5


@dataclass
class VolumeCurve:
    """Filled frame by frame; a frame without a result has no value.

    Attributes:
        frames: how many there are.
        ml: organ -> its volume in each frame, None where that is not known.
        colours: organ -> red, green, blue from 0 to 1.
        terminology: organ -> Slicer's string of codes.
        tableId, chartId: MRML IDs, "" before the first frame.
        seriesIds: of the lines of the chart.
    """

    frames: int
    ml: dict[str, list[float | None]] = field(default_factory=dict)
    colours: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    terminology: dict[str, str] = field(default_factory=dict)
    tableId: str = ""
    chartId: str = ""
    seriesIds: list[str] = field(default_factory=list)

    def put(self, frame: int, outputs: dict) -> None:
        """Take over what the worker found in a frame, from 0."""
        for one in outputs["structures"]:
            self.ml.setdefault(one["name"], [None] * self.frames)
            self.terminology[one["name"]] = one["terminology"] or ""
            if one["colour"]:
                self.colours[one["name"]] = tuple(one["colour"])
        for row in outputs["table"]:
            self.ml[row["name"]][frame] = row["ml"]

    def show(self, volumeNode) -> list:
        """Bring table and chart up to date; returns the nodes that were made."""
        scene = slicer.mrmlScene
        table = scene.GetNodeByID(self.tableId) if self.tableId else None
        if table is not None:
            TableNodes.fill(table, self._columns(volumeNode))
            self._setRange(scene.GetNodeByID(self.chartId))
            return []
        self._removeChart()  # of a table that was deleted meanwhile
        name = _("{name} volume curve").format(name=volumeNode.GetName())
        table = TableNodes.makeTable(name, self._columns(volumeNode), _("Volumes by frame, by SegToolkit"))
        Placement.underSamePatient(table, volumeNode)
        chart, series = self._chart(table, volumeNode)
        self.tableId, self.chartId = table.GetID(), chart.GetID()
        self.seriesIds = [one.GetID() for one in series]
        return [table, chart, *series]

    def _removeChart(self) -> None:
        """A chart without its table shows nothing, and the next one would stand beside it."""
        for nodeId in (self.chartId, *self.seriesIds):
            node = slicer.mrmlScene.GetNodeByID(nodeId) if nodeId else None
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
        self.chartId, self.seriesIds = "", []

    def _columns(self, volumeNode) -> list[TableNodes.Column]:
        title, values = indexValues(volumeNode)
        return [
            (FRAME, list(range(1, self.frames + 1))),
            *([(title, values)] if len(values) == self.frames else []),
            *((_("{name} ml").format(name=name), values) for name, values in self.ml.items()),
        ]

    def _chart(self, table, volumeNode):
        scene, columns = slicer.mrmlScene, table.GetTable()
        first = columns.GetNumberOfColumns() - len(self.ml)
        title = table.GetName()
        chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", scene.GenerateUniqueName(title))
        made = []
        with slicer.util.NodeModify(chart):
            chart.SetTitle(title)
            chart.SetTitleVisibility(False)
            chart.SetXAxisTitle(columns.GetColumnName(first - 1))
            chart.SetYAxisTitle(_("ml"))
            chart.SetLegendFontSize(12)
            chart.SetAxisTitleFontSize(12)
            chart.SetAxisLabelFontSize(11)
            chart.SetEnablePointMoveAlongX(False)  # dragging a point would change the table
            chart.SetEnablePointMoveAlongY(False)
            for number, name in enumerate(self.ml):
                made.append(self._series(table, first + number, first - 1, name))
                chart.AddAndObservePlotSeriesNodeID(made[-1].GetID())
            self._setRange(chart)
        return chart, made

    def _setRange(self, chart) -> None:
        """From 0, with room for the legend above the curves."""
        known = [value for values in self.ml.values() for value in values if value]
        if chart is not None and known:
            chart.SetYAxisRangeAuto(False)
            chart.SetYAxisRange(0.0, HEADROOM * max(known))

    def _series(self, table, column: int, x: int, name: str):
        columns, kind = table.GetTable(), slicer.vtkMRMLPlotSeriesNode
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
        series.SetPlotType(kind.PlotTypeScatter)  # the type that has an x column
        series.SetLineStyle(kind.LineStyleSolid)
        markers = (
            kind.MarkerStyleCircle,
            kind.MarkerStyleSquare,
            kind.MarkerStyleDiamond,
            kind.MarkerStylePlus,
        )
        # Organs of one kind have colours of one kind.
        series.SetMarkerStyle(markers[(column - x - 1) % len(markers)])
        series.SetMarkerSize(6)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(columns.GetColumnName(x))
        series.SetYColumnName(columns.GetColumnName(column))
        series.SetColor(*_dark(self.colours.get(name, (0.0, 0.45, 0.70))))
        return series


def _dark(colour) -> tuple[float, ...]:
    """An organ's colour, dark enough for a line on white."""
    brightness = math.sqrt(
        sum(weight * part**2 for weight, part in zip((0.3, 0.59, 0.11), colour, strict=True))
    )
    return tuple(part * min(1.0, 0.6 / max(brightness, 1e-6)) for part in colour)
