"""Stand-ins for the number widgets that know the units of the scene, and for the threshold widget."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import enum
from typing import Any

from PySide6.QtCore import Property, Qt, Signal, Slot
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from slicer import vtkMRMLVolumeNode

from .declare import plain, setterOf, stored, vtkSignatures
from .observe import Observations
from .sliderwidgets import ctkRangeWidget, ctkSliderWidget
from .spin import ctkDoubleSpinBox


class _Units(enum.IntFlag):
    """What is taken from the unit of a quantity; the numbers differ a little between the real widgets."""

    NoProperty = 0
    Prefix = 1
    Suffix = 2
    Precision = 4
    MinimumValue = 8
    MaximumValue = 16
    Scaling = 32


def _unitOf(scene: Any, quantity: str) -> Any:
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton") if scene is not None else None
    return selection.GetUnitNode(quantity) if selection is not None and quantity else None


def _applyUnit(widget: Any) -> None:
    """Take prefix, suffix and digits from the unit of the widget's quantity, if the scene has one."""
    unit = _unitOf(widget._scene, widget.quantity)
    if unit is None:
        return
    wanted = widget.unitAwareProperties if hasattr(widget, "unitAwareProperties") else 7
    if wanted & _Units.Prefix:
        widget.prefix = unit.GetPrefix() or ""
    if wanted & _Units.Suffix:
        widget.suffix = f" {unit.GetSuffix()}" if unit.GetSuffix() else ""
    if wanted & _Units.Precision:
        widget.setDecimals(unit.GetPrecision())


@vtkSignatures("setMRMLScene(vtkMRMLScene*)")
class qMRMLSliderWidget(ctkSliderWidget):
    """A slider in the unit of a quantity."""

    quantity = stored(str, "quantity", "", "updateWidgetFromUnitNode")
    unitAwareProperties = stored(int, "unitAwareProperties", 39, "updateWidgetFromUnitNode")
    setQuantity = Slot(str)(setterOf("quantity"))
    setUnitAwareProperties = Slot(int)(setterOf("unitAwareProperties"))

    Prefix, Suffix, Precision = _Units.Prefix, _Units.Suffix, _Units.Precision
    MinimumValue, MaximumValue, Scaling = _Units.MinimumValue, _Units.MaximumValue, _Units.Scaling

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._scene: Any = None

    @Slot(Qt.Orientation)
    def setOrientation(self, orientation: Any) -> None:
        self._slider.setOrientation(orientation)

    orientation = Property(int, lambda self: self._slider.orientation, setOrientation)

    def mrmlScene(self) -> Any:
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.setEnabled(scene is not None)
        self.updateWidgetFromUnitNode()

    @Slot()
    def updateWidgetFromUnitNode(self) -> None:
        _applyUnit(self)


@vtkSignatures("setMRMLScene(vtkMRMLScene*)")
class qMRMLSpinBox(ctkDoubleSpinBox):
    """A spin box in the unit of a quantity."""

    quantity = stored(str, "quantity", "", "updateWidgetFromUnitNode")
    unitAwareProperties = stored(int, "unitAwareProperties", 31, "updateWidgetFromUnitNode")
    setQuantity = Slot(str)(setterOf("quantity"))
    setUnitAwareProperties = Slot(int)(setterOf("unitAwareProperties"))

    Prefix, Suffix, Precision = _Units.Prefix, _Units.Suffix, _Units.Precision
    MinimumValue, MaximumValue, Scaling = _Units.MinimumValue, _Units.MaximumValue, _Units.Scaling

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.setEnabled(scene is not None)
        self.updateWidgetFromUnitNode()

    @Slot()
    def updateWidgetFromUnitNode(self) -> None:
        _applyUnit(self)


@vtkSignatures("setMRMLScene(vtkMRMLScene*)")
class qMRMLRangeWidget(ctkRangeWidget):
    """A range in the unit of a quantity."""

    quantity = stored(str, "quantity", "", "_updateUnit")
    setQuantity = Slot(str)(setterOf("quantity"))
    minimumHandlePalette = stored(QPalette, "minimumHandlePalette", QPalette())
    maximumHandlePalette = stored(QPalette, "maximumHandlePalette", QPalette())
    setMinimumHandlePalette = Slot(QPalette)(setterOf("minimumHandlePalette"))
    setMaximumHandlePalette = Slot(QPalette)(setterOf("maximumHandlePalette"))

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._scene: Any = None

    def _updateUnit(self) -> None:
        _applyUnit(self)

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._updateUnit()

    mrmlScene = Property(object, lambda self: self._scene, setMRMLScene)

    @Slot()
    def updateRange(self) -> None:
        self.rangeChanged.emit(self.minimum, self.maximum)

    @Slot(bool)
    def updateSymmetricMoves(self, symmetric: bool) -> None:
        self.symmetricMoves = symmetric


@vtkSignatures("setMRMLVolumeNode(vtkMRMLNode*)", "setMRMLVolumeNode(vtkMRMLScalarVolumeNode*)")
class qMRMLVolumeThresholdWidget(QWidget):
    """The threshold of a volume's display."""

    class ControlMode(enum.IntEnum):
        """Who sets the threshold."""

        Auto = 0
        Manual = 1
        Off = 2

    Auto, Manual, Off = ControlMode

    thresholdValuesChanged = Signal(float, float)
    autoThresholdValueChanged = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._volume: Any = None
        self._mode = 0
        self._busy = False
        self._observations = Observations(self)
        self._modeBox = QComboBox(self)
        self._modeBox.addItems(["Auto", "Manual", "Off"])
        self._range = ctkRangeWidget(self)
        row = QHBoxLayout()
        row.addWidget(QLabel("Threshold:", self))
        row.addWidget(self._modeBox, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self._range)
        self._modeBox.activated.connect(self.setAutoThreshold)
        self._range.valuesChanged.connect(self._onValues)
        self.setEnabled(False)

    def mrmlVolumeNode(self) -> Any:
        return self._volume

    def _display(self) -> Any:
        return self._volume.GetDisplayNode() if self._volume is not None else None

    @Slot(object)
    def setMRMLVolumeNode(self, node: Any) -> None:
        if node is self._volume:
            return
        self._observations.clear()
        self._volume = node
        self._observations.add(
            node, vtkMRMLVolumeNode.DisplayModifiedEvent, self.updateWidgetFromMRMLDisplayNode
        )
        self._observations.add(
            node, vtkMRMLVolumeNode.ImageDataModifiedEvent, self.updateWidgetFromMRMLVolumeNode
        )
        self.updateWidgetFromMRMLVolumeNode()

    @Slot()
    def updateWidgetFromMRMLVolumeNode(self) -> None:
        image = self._volume.GetImageData() if self._volume is not None else None
        self.setEnabled(image is not None)
        if image is not None:
            self._busy = True
            self._range.setRange(*image.GetScalarRange())
            self._busy = False
        self.updateWidgetFromMRMLDisplayNode()

    @Slot()
    def updateWidgetFromMRMLDisplayNode(self) -> None:
        display = self._display()
        if display is None:
            return
        self._busy = True
        self._range.setValues(display.GetLowerThreshold(), display.GetUpperThreshold())
        self._mode = 2 if not display.GetApplyThreshold() else 0 if display.GetAutoThreshold() else 1
        self._modeBox.setCurrentIndex(self._mode)
        self._busy = False

    @Slot(float, float)
    def _onValues(self, low: float, high: float) -> None:
        if self._busy:
            return
        if self._display() is not None:
            self._display().SetThreshold(low, high)
        self.thresholdValuesChanged.emit(low, high)

    @Slot(int)
    def setAutoThreshold(self, mode: int) -> None:
        mode = int(plain(mode))
        display = self._display()
        if display is not None:
            display.SetApplyThreshold(mode != 2)
            display.SetAutoThreshold(mode == 0)
        if mode != self._mode:
            self._mode = mode
            self._modeBox.setCurrentIndex(mode)
            self.autoThresholdValueChanged.emit(mode)

    @Slot(float, float)
    def setThreshold(self, low: float, high: float) -> None:
        self._range.setValues(low, high)

    @Slot(float, float)
    def setThresholdBounds(self, low: float, high: float) -> None:
        self._range.setRange(low, high)

    @Slot(float)
    def setLowerThreshold(self, value: float) -> None:
        self._range.minimumValue = value

    @Slot(float)
    def setUpperThreshold(self, value: float) -> None:
        self._range.maximumValue = value

    @Slot(float)
    def setLowerThresholdBound(self, value: float) -> None:
        self._range.minimum = value

    @Slot(float)
    def setUpperThresholdBound(self, value: float) -> None:
        self._range.maximum = value

    autoThreshold = Property(int, lambda self: self._mode, setAutoThreshold)
    lowerThreshold = Property(float, lambda self: self._range.minimumValue, setLowerThreshold)
    upperThreshold = Property(float, lambda self: self._range.maximumValue, setUpperThreshold)
    lowerThresholdBound = Property(float, lambda self: self._range.minimum, setLowerThresholdBound)
    upperThresholdBound = Property(float, lambda self: self._range.maximum, setUpperThresholdBound)
