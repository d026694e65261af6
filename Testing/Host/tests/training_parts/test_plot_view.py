"""The stand-in for the plot widget shows no more than the real one would."""

from __future__ import annotations

import pytest
import vtk


@pytest.fixture
def chart(scene):
    """A chart with one series over the columns x, y and name."""
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    for name in ("x", "y"):
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        for value in (1.0, 2.0, 4.0):
            column.InsertNextValue(value)
        table.GetTable().AddColumn(column)
    words = vtk.vtkStringArray()
    words.SetName("name")
    words.SetNumberOfValues(3)
    table.GetTable().AddColumn(words)
    series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "series")
    series.SetPlotType(series.PlotTypeScatter)
    series.SetXColumnName("x")
    series.SetYColumnName("y")
    series.SetAndObserveTableNodeID(table.GetID())
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return chart


@pytest.fixture
def view(scene, chart):
    from host.widgets import CLASSES

    widget = CLASSES["qMRMLPlotWidget"]()
    widget.setMRMLScene(scene)
    node = scene.AddNewNodeByClass("vtkMRMLPlotViewNode")
    node.SetPlotChartNodeID(chart.GetID())
    widget.setMRMLPlotViewNode(node)
    return widget.plotView(), widget  # the widget has to live


def shown(view):
    return [one.points for one in view[0]._shown()]


def test_a_scatter_series_is_drawn_over_its_x_column(view) -> None:
    assert shown(view) == [[(1.0, 1.0), (2.0, 2.0), (4.0, 4.0)]]


@pytest.mark.parametrize(
    ("member", "column"),
    [
        ("SetXColumnName", ""),
        ("SetXColumnName", "none"),
        ("SetYColumnName", "none"),
        ("SetYColumnName", "name"),
    ],
)
def test_a_series_without_its_columns_is_not_drawn(view, chart, member, column) -> None:
    getattr(chart.GetNthPlotSeriesNode(0), member)(column)
    assert shown(view) == []


def test_a_line_series_counts_rows_whatever_its_x_column(view, chart) -> None:
    series = chart.GetNthPlotSeriesNode(0)
    series.SetPlotType(series.PlotTypeLine)
    assert shown(view) == [[(0, 1.0), (1, 2.0), (2, 4.0)]]


def test_changes_of_the_table_reach_the_view_once_they_are_told(view, chart, application) -> None:
    widget = view[1]
    widget.show()
    application.processEvents(0.05)
    before = view[0]._paints
    table = chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    table.GetColumnByName("y").SetValue(0, 9.0)
    application.processEvents(0.05)
    assert view[0]._paints == before
    table.Modified()
    application.processEvents(0.05)
    assert view[0]._paints > before
    widget.close()


def test_without_a_scene_or_after_its_end_nothing_is_drawn(view, scene, application) -> None:
    view[1].setMRMLScene(None)
    assert shown(view) == []
    assert view[1].mrmlPlotViewNode() is None
    view[1].setMRMLScene(scene)
    node = scene.GetFirstNodeByClass("vtkMRMLPlotViewNode")
    view[1].setMRMLPlotViewNode(node)
    assert len(shown(view)) == 1
    application.closeScene()
    assert shown(view) == []
    assert view[1].mrmlPlotViewNode() is None


def test_bars_stand_over_their_labels(chart):
    from host.widgets.plotdrawing import drawnSeries, rangeOf

    series = chart.GetNthPlotSeriesNode(0)
    words = series.GetTableNode().GetTable().GetColumnByName("name")
    for number, word in enumerate(("liver", "spleen", "aorta")):
        words.SetValue(number, word)
    series.SetPlotType(series.PlotTypeBar)
    series.SetLabelColumnName("name")
    (drawn,) = drawnSeries(chart)
    assert drawn.bars
    assert drawn.labels == ["liver", "spleen", "aorta"]
    assert drawn.points == [(0, 1.0), (1, 2.0), (2, 4.0)]
    assert rangeOf(chart, 0, [drawn]) == (-0.5, 2.5)
    assert rangeOf(chart, 1, [drawn]) == (0.0, 4.0)  # bars begin at nothing
