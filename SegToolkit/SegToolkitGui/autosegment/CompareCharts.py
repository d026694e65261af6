"""Charts of a comparison: bars for each organ."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

# Blue and orange, told apart by people with any kind of colour vision (Okabe and Ito).
COLOURS = ((0.00, 0.45, 0.70), (0.90, 0.62, 0.00))
AGREEMENT, DISTANCE = "agreement", "distance"
TITLES = {AGREEMENT: _("DSC and NSD"), DISTANCE: _("HD95 (mm)")}
# Columns of the table that each chart shows, by their place.
COLUMNS = {AGREEMENT: (1, 2), DISTANCE: (3,)}


def make(table, title: str) -> dict[str, str]:
    """Chart nodes of a comparison's table; name -> MRML ID."""
    return {name: _chart(table, name, f"{title}: {TITLES[name]}") for name in TITLES}


def _chart(table, name: str, title: str) -> str:
    scene, columns = slicer.mrmlScene, table.GetTable()
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", scene.GenerateUniqueName(title))
    with slicer.util.NodeModify(chart):
        chart.SetTitle(title)
        chart.SetTitleVisibility(False)
        chart.SetYAxisTitle(TITLES[name])
        chart.SetXAxisTitle(_("organs, in the order of the table"))
        chart.SetLegendFontSize(12)
        chart.SetAxisTitleFontSize(12)
        chart.SetAxisLabelFontSize(11)
        chart.SetEnablePointMoveAlongX(False)  # dragging a bar would change the table
        chart.SetEnablePointMoveAlongY(False)
        if name == AGREEMENT:
            chart.SetYAxisRangeAuto(False)
            chart.SetYAxisRange(0.0, 1.0)
        for number in COLUMNS[name]:
            column = columns.GetColumnName(number)
            series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", column)
            series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeBar)
            series.SetAndObserveTableNodeID(table.GetID())
            series.SetYColumnName(column)
            series.SetLabelColumnName(columns.GetColumnName(0))
            series.SetColor(*COLOURS[number % len(COLOURS)])
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return chart.GetID()


def remove(chartIds) -> None:
    """Take charts and their series out of the scene."""
    scene = slicer.mrmlScene
    for chart in filter(None, (scene.GetNodeByID(one) for one in chartIds)):
        series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
        for node in [*filter(None, series), chart]:
            scene.RemoveNode(node)
