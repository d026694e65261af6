"""Stand-in for the ctk spin box of real numbers."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import enum
from typing import Any

from PySide6.QtCore import Property, Qt, Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QWidget

from .declare import inner, plain, stored


class ctkDoubleSpinBox(QWidget):
    """A spin box of real numbers that can grow digits."""

    class DecimalsOption(enum.IntFlag):
        """How the number of digits changes."""

        FixedDecimals = 0
        DecimalsByShortcuts = 1
        DecimalsByKey = 2
        DecimalsByValue = 4
        InsertDecimals = 8
        ReplaceDecimals = 16
        DecimalsAsMax = 32
        DecimalsAsMin = 64
        DecimalPointAlwaysVisible = 128

    class SetMode(enum.IntEnum):
        """Whether setting the same value again does something."""

        SetAlways = 0
        SetIfDifferent = 1

    class SizeHintPolicy(enum.IntEnum):
        """What the width follows."""

        SizeHintByMinMax = 0
        SizeHintByValue = 1

    DecimalsOptions = DecimalsOption
    FixedDecimals = DecimalsOption.FixedDecimals
    DecimalsByShortcuts = DecimalsOption.DecimalsByShortcuts
    DecimalsByKey = DecimalsOption.DecimalsByKey
    DecimalsByValue = DecimalsOption.DecimalsByValue
    InsertDecimals = DecimalsOption.InsertDecimals
    ReplaceDecimals = DecimalsOption.ReplaceDecimals
    DecimalsAsMax = DecimalsOption.DecimalsAsMax
    DecimalsAsMin = DecimalsOption.DecimalsAsMin
    DecimalPointAlwaysVisible = DecimalsOption.DecimalPointAlwaysVisible
    SetAlways, SetIfDifferent = SetMode
    SizeHintByMinMax, SizeHintByValue = SizeHintPolicy

    valueChanged = Signal((float,), (str,))
    editingFinished = Signal()
    decimalsChanged = Signal(int)

    decimalsOption = stored(int, "decimalsOption", 9)
    setMode = stored(int, "setMode", 1)
    sizeHintPolicy = stored(int, "sizeHintPolicy", 0)
    invertedControls = stored(bool, "invertedControls", False)
    alignment = inner(int, "_box", "alignment", "setAlignment", Qt.AlignmentFlag)
    frame = inner(bool, "_box", "hasFrame", "setFrame")
    maximum = inner(float, "_box", "maximum", "setMaximum")
    minimum = inner(float, "_box", "minimum", "setMinimum")
    prefix = inner(str, "_box", "prefix", "setPrefix")
    suffix = inner(str, "_box", "suffix", "setSuffix")
    singleStep = inner(float, "_box", "singleStep", "setSingleStep")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[item for item in arguments if isinstance(item, QWidget)])
        self._setting = False
        self._box = QDoubleSpinBox(self)
        self._box.setObjectName("SpinBox")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self.setFocusProxy(self._box)
        self._box.valueChanged.connect(self._announce)
        self._box.editingFinished.connect(self.editingFinished)

    @Slot(float)
    def _announce(self, value: float) -> None:
        self.valueChanged[float].emit(value)
        self.valueChanged[str].emit(self._box.textFromValue(value))

    def _cleanText(self) -> str:
        # The real one gives an empty text until a value was set.
        return self._box.cleanText() if self._box.value() else ""

    cleanText = Property(str, _cleanText)
    isSettingValue = Property(bool, lambda self: self._setting)

    @Slot(float)
    def setValue(self, value: float) -> None:
        (self.setValueIfDifferent if self.setMode == 1 else self.setValueAlways)(value)

    @Slot(float)
    def setValueIfDifferent(self, value: float) -> None:
        if value != self._box.value():
            self.setValueAlways(value)

    @Slot(float)
    def setValueAlways(self, value: float) -> None:
        self._setting = True
        before = self._box.value()
        self._box.setValue(value)
        self._setting = False
        if self._box.value() == before and self.setMode == 0:
            self._announce(before)

    value = Property(float, lambda self: self._box.value(), setValue)

    @Slot()
    def stepUp(self) -> None:
        self._box.stepUp()

    @Slot()
    def stepDown(self) -> None:
        self._box.stepDown()

    @Slot(int)
    def setDecimals(self, decimals: int) -> None:
        decimals = max(0, int(decimals))
        if decimals != self._box.decimals():
            self._box.setDecimals(decimals)
            self.decimalsChanged.emit(decimals)

    decimals = Property(int, lambda self: self._box.decimals(), setDecimals)

    @Slot(bool)
    def setReadOnly(self, readOnly: bool) -> None:
        self._box.setReadOnly(bool(plain(readOnly)))

    readOnly = Property(bool, lambda self: self._box.isReadOnly(), setReadOnly)
