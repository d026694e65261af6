"""Stand-ins for the ctk sliders of real numbers."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QPoint, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QMouseEvent, QPainter
from PySide6.QtWidgets import QHBoxLayout, QSlider, QStyle, QStyleOptionSlider, QWidget

from .declare import plain, stored


class ctkDoubleSlider(QWidget):
    """A slider of real numbers: a slider of whole steps inside."""

    valueChanged = Signal(float)
    sliderMoved = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(float, float)

    handleToolTip = stored(str, "handleToolTip", "")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[item for item in arguments if isinstance(item, QWidget)])
        self._minimum, self._maximum, self._value, self._step, self._page = 0.0, 99.0, 0.0, 1.0, 10.0
        self._tick = 0.0
        self._busy = False
        orientation = next((a for a in arguments if isinstance(a, Qt.Orientation)), Qt.Orientation.Vertical)
        self._slider = QSlider(orientation, self)
        self._slider.setObjectName("Slider")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self._slider.valueChanged.connect(self.onValueChanged)
        self._slider.sliderMoved.connect(self.onSliderMoved)
        self._slider.sliderPressed.connect(self.sliderPressed)
        self._slider.sliderReleased.connect(self.sliderReleased)

    def _resize(self) -> None:
        """Give the inner slider as many steps as fit into the range and put its handle at the value."""
        self._busy = True
        self._slider.setRange(0, max(0, round((self._maximum - self._minimum) / self._step)))
        self._slider.setSingleStep(1)
        self._slider.setPageStep(max(1, round(self._page / self._step)))
        self._slider.setTickInterval(round(self._tick / self._step))
        self._slider.setValue(round((self._value - self._minimum) / self._step))
        self._busy = False

    def _setRange(self, minimum: float, maximum: float) -> None:
        if (minimum, maximum) == (self._minimum, self._maximum):
            return
        self._minimum, self._maximum = float(minimum), max(float(minimum), float(maximum))
        before = self._value
        self._value = min(max(self._value, self._minimum), self._maximum)
        self._resize()
        self.rangeChanged.emit(self._minimum, self._maximum)
        if self._value != before:
            self.valueChanged.emit(self._value)

    @Slot(float)
    def setValue(self, value: float) -> None:
        value = min(max(float(value), self._minimum), self._maximum)
        if value != self._value:
            self._value = value
            self._resize()
            self.valueChanged.emit(value)

    @Slot(int)
    def onValueChanged(self, step: int) -> None:
        if not self._busy:
            self._value = min(self._minimum + step * self._step, self._maximum)
            self.valueChanged.emit(self._value)

    @Slot(int)
    def onSliderMoved(self, step: int) -> None:
        self.sliderMoved.emit(self._minimum + step * self._step)

    @Slot(Qt.Orientation)
    def setOrientation(self, orientation: Any) -> None:
        self._slider.setOrientation(Qt.Orientation(plain(orientation)))

    def _position(self) -> float:
        return self._minimum + self._slider.sliderPosition() * self._step

    def _setPosition(self, value: float) -> None:
        self._slider.setSliderPosition(round((value - self._minimum) / self._step))

    def _keep(self, name: str, value: float) -> None:
        setattr(self, name, float(value))
        self._resize()

    value = Property(float, lambda self: self._value, setValue)
    sliderPosition = Property(float, _position, _setPosition)
    minimum = Property(float, lambda s: s._minimum, lambda s, v: s._setRange(v, max(v, s._maximum)))
    maximum = Property(float, lambda s: s._maximum, lambda s, v: s._setRange(min(v, s._minimum), v))
    singleStep = Property(float, lambda s: s._step, lambda s, v: s._keep("_step", v) if v > 0 else None)
    pageStep = Property(float, lambda s: s._page, lambda s, v: s._keep("_page", v))
    tickInterval = Property(float, lambda s: s._tick, lambda s, v: s._keep("_tick", v))
    orientation = Property(int, lambda s: plain(s._slider.orientation()), setOrientation)
    tickPosition = Property(
        int,
        lambda s: plain(s._slider.tickPosition()),
        lambda s, v: s._slider.setTickPosition(QSlider.TickPosition(plain(v))),
    )
    tracking = Property(bool, lambda s: s._slider.hasTracking(), lambda s, v: s._slider.setTracking(v))
    invertedAppearance = Property(
        bool, lambda s: s._slider.invertedAppearance(), lambda s, v: s._slider.setInvertedAppearance(v)
    )
    invertedControls = Property(
        bool, lambda s: s._slider.invertedControls(), lambda s, v: s._slider.setInvertedControls(v)
    )


class ctkDoubleRangeSlider(QWidget):
    """Two handles on one groove."""

    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    valuesChanged = Signal(float, float)
    minimumPositionChanged = Signal(float)
    maximumPositionChanged = Signal(float)
    positionsChanged = Signal(float, float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(float, float)

    singleStep = stored(float, "singleStep", 1.0)
    symmetricMoves = stored(bool, "symmetricMoves", False)
    tickInterval = stored(float, "tickInterval", 0.0, "update")
    tickPosition = stored(int, "tickPosition", 0, "update")
    tracking = stored(bool, "tracking", True)
    orientation = stored(int, "orientation", 2, "updateGeometry")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[item for item in arguments if isinstance(item, QWidget)])
        self._minimum, self._maximum, self._low, self._high = 0.0, 99.0, 0.0, 99.0
        self._dragged = ""
        for orientation in (item for item in arguments if isinstance(item, Qt.Orientation)):
            self.orientation = orientation

    @Slot(float, float)
    def setRange(self, minimum: float, maximum: float) -> None:
        minimum, maximum = float(minimum), max(float(minimum), float(maximum))
        if (minimum, maximum) == (self._minimum, self._maximum):
            return
        self._minimum, self._maximum = minimum, maximum
        self.rangeChanged.emit(minimum, maximum)
        self.setValues(self._low, self._high)

    @Slot(float, float)
    def setValues(self, low: float, high: float) -> None:
        low = min(max(float(low), self._minimum), self._maximum)
        high = min(max(float(high), self._minimum), self._maximum)
        low, high = min(low, high), max(low, high)
        lowChanged, highChanged = low != self._low, high != self._high
        if not (lowChanged or highChanged):
            return
        self._low, self._high = low, high
        self.update()
        for signal, changed, value in (
            (self.minimumPositionChanged, lowChanged, low),
            (self.maximumPositionChanged, highChanged, high),
        ):
            if changed:
                signal.emit(value)
        self.positionsChanged.emit(low, high)
        if lowChanged:
            self.minimumValueChanged.emit(low)
        if highChanged:
            self.maximumValueChanged.emit(high)
        self.valuesChanged.emit(low, high)

    @Slot(float)
    def setMinimumValue(self, value: float) -> None:
        self.setValues(min(value, self._high), self._high)

    @Slot(float)
    def setMaximumValue(self, value: float) -> None:
        self.setValues(self._low, max(value, self._low))

    minimum = Property(float, lambda s: s._minimum, lambda s, v: s.setRange(v, max(v, s._maximum)))
    maximum = Property(float, lambda s: s._maximum, lambda s, v: s.setRange(min(v, s._minimum), v))
    minimumValue = Property(float, lambda s: s._low, setMinimumValue)
    maximumValue = Property(float, lambda s: s._high, setMaximumValue)
    minimumPosition = Property(float, lambda s: s._low, setMinimumValue)
    maximumPosition = Property(float, lambda s: s._high, setMaximumValue)

    def sizeHint(self) -> QSize:
        return QSize(160, 22) if self.orientation == 1 else QSize(22, 160)

    def _fraction(self, value: float) -> float:
        span = self._maximum - self._minimum
        return (value - self._minimum) / span if span > 0 else 0.0

    def _handle(self, value: float) -> QRect:
        if self.orientation == 1:
            return QRect(round(self._fraction(value) * (self.width() - 13)), self.height() // 2 - 8, 12, 16)
        return QRect(self.width() // 2 - 8, round((1 - self._fraction(value)) * (self.height() - 13)), 16, 12)

    def _valueAt(self, position: QPoint) -> float:
        if self.orientation == 1:
            fraction = (position.x() - 6) / max(1, self.width() - 13)
        else:
            fraction = 1 - (position.y() - 6) / max(1, self.height() - 13)
        value = self._minimum + fraction * (self._maximum - self._minimum)
        step = self.singleStep or 1.0
        return self._minimum + round((value - self._minimum) / step) * step

    def mousePressEvent(self, event: QMouseEvent) -> None:
        value = self._valueAt(event.position().toPoint())
        self._dragged = "low" if abs(value - self._low) <= abs(value - self._high) else "high"
        self.sliderPressed.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        value = self._valueAt(event.position().toPoint())
        if self._dragged == "low":
            self.setMinimumValue(value)
        elif self._dragged == "high":
            self.setMaximumValue(value)

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        self._dragged = ""
        self.sliderReleased.emit()

    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        option = QStyleOptionSlider()
        option.initFrom(self)
        horizontal = self.orientation == 1
        option.orientation = Qt.Orientation.Horizontal if horizontal else Qt.Orientation.Vertical
        option.subControls = QStyle.SubControl.SC_SliderGroove
        option.maximum = 100
        option.sliderPosition = option.sliderValue = 0
        self.style().drawComplexControl(QStyle.ComplexControl.CC_Slider, option, painter, self)
        low, high = self._handle(self._low), self._handle(self._high)
        if horizontal:
            between = QRect(low.center().x(), self.height() // 2 - 2, high.center().x() - low.center().x(), 4)
        else:
            between = QRect(self.width() // 2 - 2, high.center().y(), 4, low.center().y() - high.center().y())
        painter.fillRect(between, self.palette().highlight())
        painter.setPen(self.palette().dark().color())
        painter.setBrush(self.palette().button())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for rect in (low, high):
            painter.drawRoundedRect(rect, 3, 3)
