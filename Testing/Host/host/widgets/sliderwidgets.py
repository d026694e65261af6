"""Stand-ins for the ctk sliders with spin boxes beside them."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import enum
from typing import Any

from PySide6.QtCore import Property, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QWidget

from .declare import inner, setterOf, stored
from .sliders import ctkDoubleRangeSlider, ctkDoubleSlider
from .spin import ctkDoubleSpinBox


class ctkSliderWidget(QWidget):
    """A slider and a spin box of the same value."""

    class SynchronizeSiblings(enum.IntFlag):
        """What neighbours share."""

        NoSynchronize = 0
        SynchronizeWidth = 1
        SynchronizeDecimals = 2

    NoSynchronize = SynchronizeSiblings.NoSynchronize
    SynchronizeWidth = SynchronizeSiblings.SynchronizeWidth
    SynchronizeDecimals = SynchronizeSiblings.SynchronizeDecimals

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    popupSlider = stored(bool, "popupSlider", False)
    synchronizeSiblings = stored(int, "synchronizeSiblings", 1)
    tracking = stored(bool, "tracking", True)
    spinBoxVisible = stored(bool, "spinBoxVisible", True, "_applyVisibility")
    setSpinBoxVisible = Slot(bool)(setterOf("spinBoxVisible"))
    invertedAppearance = inner(bool, "_slider._slider", "invertedAppearance", "setInvertedAppearance")
    invertedControls = inner(bool, "_slider._slider", "invertedControls", "setInvertedControls")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[item for item in arguments if isinstance(item, QWidget)])
        self._changing = False
        self._before = 0.0
        self._slider = ctkDoubleSlider(Qt.Orientation.Horizontal, self)
        self._spin = ctkDoubleSpinBox(self)
        self._slider.setObjectName("Slider")
        self._spin.setObjectName("SpinBox")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin)
        self._slider.maximum = 99.99
        self._slider.valueChanged.connect(self.setSpinBoxValue)
        self._spin.valueChanged[float].connect(self.setSliderValue)
        self._spin.decimalsChanged.connect(self.decimalsChanged)
        self._slider.sliderPressed.connect(self.startChanging)
        self._slider.sliderReleased.connect(self.stopChanging)

    def _applyVisibility(self) -> None:
        self._spin.setVisible(self.spinBoxVisible)

    def _get(self, name: str) -> Any:
        return getattr(self._spin, name)

    def _both(self, name: str, value: float) -> None:
        # The spin box first: it rounds, and the slider follows it.
        setattr(self._spin, name, value)
        setattr(self._slider, name, value)

    @Slot(float)
    def setSpinBoxValue(self, value: float) -> None:
        self._spin.setValue(value)

    @Slot(float)
    def setSliderValue(self, value: float) -> None:
        self._slider.setValue(value)
        if self._changing and not self.tracking:
            self.valueIsChanging.emit(value)
            return
        if self._changing:
            self.valueIsChanging.emit(value)
        self.valueChanged.emit(value)

    @Slot(float)
    def setValue(self, value: float) -> None:
        self._spin.setValue(value)

    @Slot()
    def startChanging(self) -> None:
        self._changing, self._before = True, self._spin.value

    @Slot()
    def stopChanging(self) -> None:
        self._changing = False
        if not self.tracking and self._spin.value != self._before:
            self.valueChanged.emit(self._spin.value)

    @Slot()
    def reset(self) -> None:
        self.setValue(self._spin.minimum)

    @Slot(int)
    def setDecimals(self, decimals: int) -> None:
        self._spin.setDecimals(decimals)

    value = Property(float, lambda s: s._spin.value, setValue)
    decimals = Property(int, lambda s: s._spin.decimals, setDecimals)
    minimum = Property(float, lambda s: s._get("minimum"), lambda s, v: s._both("minimum", v))
    maximum = Property(float, lambda s: s._get("maximum"), lambda s, v: s._both("maximum", v))
    singleStep = Property(float, lambda s: s._get("singleStep"), lambda s, v: s._both("singleStep", v))
    pageStep = Property(float, lambda s: s._slider.pageStep, lambda s, v: setattr(s._slider, "pageStep", v))
    tickInterval = Property(
        float, lambda s: s._slider.tickInterval, lambda s, v: setattr(s._slider, "tickInterval", v)
    )
    tickPosition = Property(
        int, lambda s: s._slider.tickPosition, lambda s, v: setattr(s._slider, "tickPosition", v)
    )
    prefix = Property(str, lambda s: s._get("prefix"), lambda s, v: setattr(s._spin, "prefix", v))
    suffix = Property(str, lambda s: s._get("suffix"), lambda s, v: setattr(s._spin, "suffix", v))
    spinBoxAlignment = Property(
        int, lambda s: s._get("alignment"), lambda s, v: setattr(s._spin, "alignment", v)
    )


class ctkRangeWidget(QWidget):
    """A range slider between two spin boxes."""

    minimumValueChanged = Signal(float)
    minimumValueIsChanging = Signal(float)
    maximumValueChanged = Signal(float)
    maximumValueIsChanging = Signal(float)
    valuesChanged = Signal(float, float)
    rangeChanged = Signal(float, float)

    autoSpinBoxWidth = stored(bool, "autoSpinBoxWidth", True)
    spinBoxAlignment = stored(int, "spinBoxAlignment", 128)
    tracking = stored(bool, "tracking", True)
    # Values of a living instance: no limits of their own were set.
    customSpinBoxesLimitsMin = Property(float, lambda self: 1.7976931348623157e308)
    customSpinBoxesLimitsMax = Property(float, lambda self: 2.2250738585072014e-308)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[item for item in arguments if isinstance(item, QWidget)])
        self._busy = False
        self._changing = False
        self._slider = ctkDoubleRangeSlider(Qt.Orientation.Horizontal, self)
        self._low, self._high = ctkDoubleSpinBox(self), ctkDoubleSpinBox(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._low)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._high)
        for box in (self._low, self._high):
            box.maximum = 99.0
        self._high.value = 99.0
        self._slider.valuesChanged.connect(self.changeValues)
        self._slider.rangeChanged.connect(self.onSliderRangeChanged)
        self._slider.sliderPressed.connect(self.startChanging)
        self._slider.sliderReleased.connect(self.stopChanging)
        self._low.valueChanged[float].connect(self._setLow)
        self._high.valueChanged[float].connect(self._setHigh)

    @Slot(float)
    def _setLow(self, value: float) -> None:
        if not self._busy:
            self._slider.setMinimumValue(value)
            self._showValues()

    @Slot(float)
    def _setHigh(self, value: float) -> None:
        if not self._busy:
            self._slider.setMaximumValue(value)
            self._showValues()

    def _showValues(self) -> None:
        self._busy = True
        self._low.value = self._slider.minimumValue
        self._high.value = self._slider.maximumValue
        self._busy = False

    @Slot(float, float)
    def onSliderRangeChanged(self, minimum: float, maximum: float) -> None:
        self._busy = True
        for box in (self._low, self._high):
            box.minimum, box.maximum = minimum, maximum
        self._busy = False
        self._showValues()
        self.rangeChanged.emit(minimum, maximum)

    @Slot(float, float)
    def changeValues(self, low: float, high: float) -> None:
        lowChanged, highChanged = low != self._shown[0], high != self._shown[1]
        self._showValues()
        if self._changing:
            if lowChanged:
                self.minimumValueIsChanging.emit(low)
            if highChanged:
                self.maximumValueIsChanging.emit(high)
            if not self.tracking:
                return
        self._shown = (low, high)
        if lowChanged:
            self.minimumValueChanged.emit(low)
        if highChanged:
            self.maximumValueChanged.emit(high)
        self.valuesChanged.emit(low, high)

    _shown = (0.0, 99.0)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._slider.setRange(minimum, maximum)

    @Slot(float, float)
    def setValues(self, low: float, high: float) -> None:
        self._slider.setValues(low, high)

    @Slot(float)
    def setMinimumValue(self, value: float) -> None:
        self._slider.setMinimumValue(value)

    @Slot(float)
    def setMaximumValue(self, value: float) -> None:
        self._slider.setMaximumValue(value)

    @Slot()
    def startChanging(self) -> None:
        self._changing = True

    @Slot()
    def stopChanging(self) -> None:
        self._changing = False
        if not self.tracking and self._shown != (self._slider.minimumValue, self._slider.maximumValue):
            self.changeValues(self._slider.minimumValue, self._slider.maximumValue)

    @Slot()
    def reset(self) -> None:
        self.setValues(self._slider.minimum, self._slider.maximum)

    @Slot(int)
    def setDecimals(self, decimals: int) -> None:
        self._low.setDecimals(decimals)
        self._high.setDecimals(decimals)

    def _boxes(self, name: str, value: Any) -> None:
        setattr(self._low, name, value)
        setattr(self._high, name, value)

    def _setStep(self, step: float) -> None:
        self._boxes("singleStep", step)
        self._slider.singleStep = step

    minimum = Property(float, lambda s: s._slider.minimum, lambda s, v: setattr(s._slider, "minimum", v))
    maximum = Property(float, lambda s: s._slider.maximum, lambda s, v: setattr(s._slider, "maximum", v))
    minimumValue = Property(float, lambda s: s._slider.minimumValue, setMinimumValue)
    maximumValue = Property(float, lambda s: s._slider.maximumValue, setMaximumValue)
    decimals = Property(int, lambda s: s._low.decimals, setDecimals)
    singleStep = Property(float, lambda s: s._slider.singleStep, _setStep)
    prefix = Property(str, lambda s: s._low.prefix, lambda s, v: s._boxes("prefix", v))
    suffix = Property(str, lambda s: s._low.suffix, lambda s, v: s._boxes("suffix", v))
    symmetricMoves = Property(
        bool, lambda s: s._slider.symmetricMoves, lambda s, v: setattr(s._slider, "symmetricMoves", v)
    )
    tickInterval = Property(
        float, lambda s: s._slider.tickInterval, lambda s, v: setattr(s._slider, "tickInterval", v)
    )
    spinBoxTextAlignment = Property(int, lambda s: s._low.alignment, lambda s, v: s._boxes("alignment", v))
