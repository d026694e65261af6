"""How the stand-in plot view draws: the series of a chart node, their axes and the legend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPolygonF
from slicer import vtkMRMLPlotSeriesNode
from vtk import vtkStringArray
from vtk.util.numpy_support import vtk_to_numpy

_LINES = {
    vtkMRMLPlotSeriesNode.LineStyleSolid: Qt.PenStyle.SolidLine,
    vtkMRMLPlotSeriesNode.LineStyleDash: Qt.PenStyle.DashLine,
    vtkMRMLPlotSeriesNode.LineStyleDot: Qt.PenStyle.DotLine,
    vtkMRMLPlotSeriesNode.LineStyleDashDot: Qt.PenStyle.DashDotLine,
    vtkMRMLPlotSeriesNode.LineStyleDashDotDot: Qt.PenStyle.DashDotDotLine,
}
_POINTS_TO_PIXELS = 0.75  # font sizes of charts are larger than Qt's
_TICKS = 5


@dataclass
class Drawn:
    """One series as it is drawn.

    Attributes:
        node: the series node.
        pieces: runs of finite points [(x, y), ...]; NaN breaks a line.
        labels: texts of a bar series below its bars, "" elsewhere.
    """

    node: Any
    pieces: list[list[tuple[float, float]]]
    labels: list[str]

    @property
    def bars(self) -> bool:
        """Whether they are bars."""
        return self.node.GetPlotType() == vtkMRMLPlotSeriesNode.PlotTypeBar

    @property
    def points(self) -> list[tuple[float, float]]:
        """All points."""
        return [point for piece in self.pieces for point in piece]


def drawnSeries(chart: Any) -> list[Drawn]:
    """The series that the real view would draw: those whose table has the columns, which hold numbers."""
    found = []
    for number in range(chart.GetNumberOfPlotSeriesNodes()):
        node = chart.GetNthPlotSeriesNode(number)
        drawn = _series(node) if node is not None else None
        if drawn is not None:
            found.append(drawn)
    return found


def _series(node: Any) -> Drawn | None:
    table = node.GetTableNode().GetTable() if node.GetTableNode() is not None else None
    y = table.GetColumnByName(node.GetYColumnName() or "") if table is not None else None
    if y is None or not y.IsNumeric():
        return None
    scatter = node.GetPlotType() == vtkMRMLPlotSeriesNode.PlotTypeScatter
    x = table.GetColumnByName(node.GetXColumnName() or "") if scatter else None
    if scatter and (x is None or not x.IsNumeric()):
        return None
    values = vtk_to_numpy(y).tolist()
    places = vtk_to_numpy(x).tolist() if x is not None else list(range(len(values)))
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in zip(places, values, strict=False):
        if all(math.isfinite(value) for value in point):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    labels = table.GetColumnByName(node.GetLabelColumnName() or "") if not scatter else None
    texts = [labels.GetValue(n) for n in range(len(values))] if isinstance(labels, vtkStringArray) else []
    return Drawn(node, [piece for piece in pieces if piece], texts)


def rangeOf(chart: Any, axis: int, series: list[Drawn]) -> tuple[float, float]:
    """The range of an axis (0: x, 1: y): the chart's own, or that of the data."""
    if not (chart.GetXAxisRangeAuto, chart.GetYAxisRangeAuto)[axis]():
        return tuple((chart.GetXAxisRange, chart.GetYAxisRange)[axis]())
    values = [point[axis] for one in series for point in one.points]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if series[0].bars:
        return (low - 0.5, high + 0.5) if axis == 0 else (min(0.0, low), max(high, 1e-6))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range."""
    raw = (high - low) / _TICKS
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def draw(painter: QPainter, rect: QRectF, chart: Any) -> None:
    """Draw a chart node into a rectangle."""
    series = drawnSeries(chart)
    ranges = [rangeOf(chart, axis, series) for axis in (0, 1)]
    if any(not high > low for low, high in ranges):
        return
    area = rect.adjusted(72, 26 if chart.GetTitleVisibility() and chart.GetTitle() else 10, -24, -40)
    _axes(painter, rect, area, chart, ranges, series[0].labels if series else [])
    painter.save()
    painter.setClipRect(area)
    bars = [one for one in series if one.bars]
    for one in series:
        if one.bars:
            _bars(painter, area, one, ranges, bars.index(one), len(bars))
        else:
            _curve(painter, area, one, ranges)
    painter.restore()
    if chart.GetLegendVisibility():
        _legend(painter, area, chart, series)


def _place(area: QRectF, ranges: list[tuple[float, float]], point: tuple[float, float]) -> QPointF:
    (x0, x1), (y0, y1) = ranges
    return QPointF(
        area.left() + (point[0] - x0) / (x1 - x0) * area.width(),
        area.bottom() - (point[1] - y0) / (y1 - y0) * area.height(),
    )


def _font(size: float) -> QFont:
    font = QFont()
    font.setPointSizeF(max(4.0, size * _POINTS_TO_PIXELS))
    return font


def _axes(painter: QPainter, rect: QRectF, area: QRectF, chart: Any, ranges: Any, labels: list[str]) -> None:
    black, grid = QColor(0, 0, 0), QColor(225, 225, 225)
    painter.setFont(_font(chart.GetAxisLabelFontSize()))
    for x in range(len(labels)) if labels else ticks(*ranges[0]):
        at = _place(area, ranges, (x, ranges[1][0])).x()
        painter.setPen(grid)
        if chart.GetGridVisibility():
            painter.drawLine(QPointF(at, area.top()), QPointF(at, area.bottom()))
        painter.setPen(black)
        painter.drawText(
            QRectF(at - 40, area.bottom() + 2, 80, 16),
            Qt.AlignmentFlag.AlignCenter,
            labels[x] if labels else f"{x:g}",
        )
    for y in ticks(*ranges[1]):
        at = _place(area, ranges, (ranges[0][0], y)).y()
        painter.setPen(grid)
        if chart.GetGridVisibility():
            painter.drawLine(QPointF(area.left(), at), QPointF(area.right(), at))
        painter.setPen(black)
        where = QRectF(rect.left() + 16, at - 8, area.left() - rect.left() - 20, 16)
        painter.drawText(where, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{y:.4g}")
    painter.setPen(black)
    painter.drawRect(area)
    painter.setFont(_font(chart.GetAxisTitleFontSize()))
    if chart.GetXAxisTitleVisibility() and chart.GetXAxisTitle():
        below = QRectF(area.left(), area.bottom() + 18, area.width(), 20)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, chart.GetXAxisTitle())
    if chart.GetYAxisTitleVisibility() and chart.GetYAxisTitle():
        painter.save()
        painter.translate(rect.left() + 10, area.center().y())
        painter.rotate(-90)
        painter.drawText(QRectF(-90, -10, 180, 20), Qt.AlignmentFlag.AlignCenter, chart.GetYAxisTitle())
        painter.restore()
    if chart.GetTitleVisibility() and chart.GetTitle():
        painter.setFont(_font(chart.GetTitleFontSize()))
        top = QRectF(area.left(), rect.top() + 2, area.width(), 24)
        painter.drawText(top, Qt.AlignmentFlag.AlignCenter, chart.GetTitle())


def _pen(node: Any) -> QPen:
    color = QColor.fromRgbF(*node.GetColor(), node.GetOpacity())
    pen = QPen(color, node.GetLineWidth())
    pen.setStyle(_LINES.get(node.GetLineStyle(), Qt.PenStyle.NoPen))
    return pen


def _bars(painter: QPainter, area: QRectF, one: Drawn, ranges: Any, number: int, count: int) -> None:
    """Bars of several series stand side by side."""
    width = 0.8 / count
    for x, y in one.points:
        left = x - 0.4 + number * width
        corners = [
            _place(area, ranges, point) for point in ((left, y), (left + width, max(0.0, ranges[1][0])))
        ]
        painter.fillRect(QRectF(*corners), QColor.fromRgbF(*one.node.GetColor()))


def _curve(painter: QPainter, area: QRectF, one: Drawn, ranges: Any) -> None:
    node = one.node
    for piece in one.pieces:
        points = [_place(area, ranges, point) for point in piece]
        painter.setPen(_pen(node))
        painter.drawPolyline(QPolygonF(points))
        if node.GetMarkerStyle() != vtkMRMLPlotSeriesNode.MarkerStyleNone:
            _markers(painter, node, points)


def _markers(painter: QPainter, node: Any, points: list[QPointF]) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor.fromRgbF(*node.GetColor()))
    radius = node.GetMarkerSize() / 2
    for point in points:
        painter.drawEllipse(point, radius, radius)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _legend(painter: QPainter, area: QRectF, chart: Any, series: list[Drawn]) -> None:
    painter.setFont(_font(chart.GetLegendFontSize()))
    metrics = painter.fontMetrics()
    names = [one.node.GetName() for one in series]
    if not names:
        return
    width = max(metrics.horizontalAdvance(name) for name in names) + 34
    height = metrics.height() + 2
    box = QRectF(area.right() - width - 4, area.top() + 4, width, height * len(names) + 4)
    painter.fillRect(box, QColor(255, 255, 255, 220))
    painter.setPen(QColor(120, 120, 120))
    painter.drawRect(box)
    for number, one in enumerate(series):
        middle = box.top() + 2 + height * (number + 0.5)
        painter.setPen(_pen(one.node))
        painter.drawLine(QPointF(box.left() + 4, middle), QPointF(box.left() + 24, middle))
        if one.node.GetMarkerStyle() != vtkMRMLPlotSeriesNode.MarkerStyleNone:
            _markers(painter, one.node, [QPointF(box.left() + 14, middle)])
        painter.setPen(QColor(0, 0, 0))
        where = QRectF(box.left() + 28, middle - height / 2, width - 30, height)
        painter.drawText(where, Qt.AlignmentFlag.AlignVCenter, names[number])
