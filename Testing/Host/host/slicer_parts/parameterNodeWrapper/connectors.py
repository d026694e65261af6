"""The connectors of the application, and no others."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

import enum
import logging
from typing import Any

from . import guiConnectors as base
from . import parameterPack as packs
from .serializers import PATH_TYPES
from .types import FloatRange
from .util import findFirstAnnotation, getNodeTypes, isNodeOrUnionOfNodes, splitAnnotations, unannotatedType
from .validators import Choice, Maximum, Minimum, RangeBounds, WithinRange

__all__ = [
    "QCheckBoxToBoolConnector",
    "QCheckablePushButtonToBoolConnector",
    "QComboBoxToEnumConnector",
    "QComboBoxToStringableConnector",
    "QDoubleSpinBoxCtkSliderWidgetToFloatIntConnector",
    "QLabelToStrConnector",
    "QLineEditToStrConnector",
    "QSliderOrSpinBoxToIntConnector",
    "QTextEditPlainTextToStrConnector",
    "WidgetChildrenToParameterPackConnector",
    "ctkCheckablePushButtonToBoolConnector",
    "ctkDirectoryButtonToPathConnector",
    "ctkPathLineEditToPathConnector",
    "ctkRangeWidgetToRangeConnector",
    "qMRMLNodeComboBoxToNodeConnector",
]


def isExactly(widget: Any, *classNames: str) -> bool:
    """Whether the widget's class is one of these, not a subclass."""
    return type(widget).__name__ in classNames


class _Connector(base.GuiConnector):
    """`_classes` and `_types` say what fits."""

    _classes: tuple[str, ...] = ()
    _types: tuple[Any, ...] = ()

    @classmethod
    def canRepresent(cls, widget: Any, datatype: Any) -> bool:  # type: ignore[override]
        return isExactly(widget, *cls._classes) and unannotatedType(datatype) in cls._types

    @classmethod
    def create(cls, widget: Any, datatype: Any) -> Any:  # type: ignore[override]
        return cls(widget, datatype)

    def __init__(self, widget: Any, datatype: Any = None):
        super().__init__()
        self._widget = widget

    def widget(self) -> Any:
        return self._widget


class _Checkable(_Connector):
    _types = (bool,)
    _signal = "toggled(bool)"

    def read(self) -> bool:
        return self._widget.isChecked()

    def write(self, value: bool) -> None:
        self._widget.setChecked(value)


@base.parameterNodeGuiConnector
class QCheckBoxToBoolConnector(_Checkable):
    _classes = ("QCheckBox", "ctkCheckBox")


@base.parameterNodeGuiConnector
class QCheckablePushButtonToBoolConnector(_Checkable):
    _classes = ("QPushButton",)

    def __init__(self, widget: Any, datatype: Any = None):
        super().__init__(widget)
        if not widget.isCheckable():
            logging.warning("Making push button checkable for conversion to bool: %s", widget.objectName())
            widget.setCheckable(True)


@base.parameterNodeGuiConnector
class ctkCheckablePushButtonToBoolConnector(_Checkable):
    _classes = ("ctkCheckablePushButton",)


class _Number(_Connector):
    """The widget takes its range, decimals and step from the annotations."""

    _signal = "valueChanged(double)"
    _needsBounds: tuple[str, ...] = ()
    _unbounded: tuple[float, float] = (-1e300, 1e300)

    def __init__(self, widget: Any, datatype: Any):
        super().__init__(widget)
        annotations = splitAnnotations(datatype)[1]
        decimals = findFirstAnnotation(annotations, base.Decimals)
        if decimals is not None and hasattr(widget, "setDecimals"):
            widget.setDecimals(decimals.value)
        step = findFirstAnnotation(annotations, base.SingleStep)
        if step is not None:
            widget.setSingleStep(step.value)
        self._setRange(annotations)

    def _setRange(self, annotations: list) -> None:
        within = findFirstAnnotation(annotations, WithinRange)
        minimum = findFirstAnnotation(annotations, Minimum)
        maximum = findFirstAnnotation(annotations, Maximum)
        low = within.minimum if within else minimum.minimum if minimum else None
        high = within.maximum if within else maximum.maximum if maximum else None
        if (low is None or high is None) and isExactly(self._widget, *self._needsBounds):
            raise RuntimeError(
                f"Cannot have a connection to {type(self._widget).__name__} where the type is unbounded."
            )
        self._widget.setMinimum(self._unbounded[0] if low is None else low)
        self._widget.setMaximum(self._unbounded[1] if high is None else high)

    def read(self) -> Any:
        return self._widget.value()

    def write(self, value: Any) -> None:
        self._widget.setValue(value)


@base.parameterNodeGuiConnector
class QSliderOrSpinBoxToIntConnector(_Number):
    _classes = ("QSlider", "QSpinBox")
    _types = (int,)
    _signal = "valueChanged(int)"
    _needsBounds = ("QSlider",)
    _unbounded = (-(2**31), 2**31 - 1)


@base.parameterNodeGuiConnector
class QDoubleSpinBoxCtkSliderWidgetToFloatIntConnector(_Number):
    _classes = (
        "QDoubleSpinBox",
        "ctkSliderWidget",
        "ctkDoubleSlider",
        "ctkDoubleSpinBox",
        "qMRMLSliderWidget",
        "qMRMLSpinBox",
    )
    _types = (float, int)
    _needsBounds = ("ctkSliderWidget", "ctkDoubleSlider", "qMRMLSliderWidget")

    def __init__(self, widget: Any, datatype: Any):
        self._type = unannotatedType(datatype)
        super().__init__(widget, datatype)

    def read(self) -> Any:
        return self._type(self._widget.value())


class _Combo(_Connector):
    """Items of the combo box are replaced by the possible values."""

    _classes = ("QComboBox", "ctkComboBox")
    _signal = "currentIndexChanged(int)"

    def _fill(self, labels: list[str], values: list) -> None:
        self._values = values
        self._widget.clear()
        for label in labels:
            self._widget.addItem(label)

    def read(self) -> Any:
        return self._values[self._widget.currentIndex()]

    def write(self, value: Any) -> None:
        if value not in self._values:
            raise ValueError(f"Unable to find value {value} in choices {self._values}")
        self._widget.setCurrentIndex(self._values.index(value))


@base.parameterNodeGuiConnector
class QComboBoxToStringableConnector(_Combo):
    _types = (int, float, str, bool)

    def __init__(self, widget: Any, datatype: Any):
        super().__init__(widget)
        choice = findFirstAnnotation(splitAnnotations(datatype)[1], Choice)
        if choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        self._fill([str(each) for each in choice.choices], list(choice.choices))


@base.parameterNodeGuiConnector
class QComboBoxToEnumConnector(_Combo):
    @classmethod
    def canRepresent(cls, widget: Any, datatype: Any) -> bool:
        actual = unannotatedType(datatype)
        return isExactly(widget, *cls._classes) and isinstance(actual, type) and issubclass(actual, enum.Enum)

    def __init__(self, widget: Any, datatype: Any):
        super().__init__(widget)
        members = list(unannotatedType(datatype))
        self._fill([m.label() if callable(getattr(m, "label", None)) else m.name for m in members], members)


@base.parameterNodeGuiConnector
class QLineEditToStrConnector(_Connector):
    _classes = ("QLineEdit",)
    _types = (str,)
    _signal = "textChanged(QString)"

    def read(self) -> str:
        return self._widget.text()

    def write(self, value: str) -> None:
        if value != self._widget.text():  # setting the same text would move the cursor
            self._widget.setText(value)


@base.parameterNodeGuiConnector
class QLabelToStrConnector(_Connector):
    """One way: a label is never changed by the person."""

    _classes = ("QLabel",)
    _types = (str,)

    def _connect(self) -> None:
        """Nothing to connect."""

    def _disconnect(self) -> None:
        """Nothing to disconnect."""

    def read(self) -> str:
        return self._widget.text()

    def write(self, value: str) -> None:
        self._widget.setText(value)


@base.parameterNodeGuiConnector
class QTextEditPlainTextToStrConnector(_Connector):
    _classes = ("QTextEdit",)
    _types = (str,)
    _signal = "textChanged()"

    def read(self) -> str:
        return self._widget.toPlainText()

    def write(self, value: str) -> None:
        if value != self._widget.toPlainText():
            self._widget.setPlainText(value)


@base.parameterNodeGuiConnector
class ctkRangeWidgetToRangeConnector(_Connector):
    _classes = ("ctkRangeWidget", "ctkDoubleRangeSlider", "qMRMLRangeWidget")
    _types = (FloatRange,)
    _signal = "valuesChanged(double,double)"

    def __init__(self, widget: Any, datatype: Any):
        super().__init__(widget)
        bounds = findFirstAnnotation(splitAnnotations(datatype)[1], RangeBounds)
        if bounds is None:
            raise RuntimeError("a range widget requires the RangeBounds annotation")
        widget.setMinimum(bounds.minimum)
        widget.setMaximum(bounds.maximum)

    def read(self) -> FloatRange:
        suffix = "Value" if hasattr(self._widget, "minimumValue") else "Position"
        return FloatRange(
            getattr(self._widget, f"minimum{suffix}")(), getattr(self._widget, f"maximum{suffix}")()
        )

    def write(self, value: FloatRange) -> None:
        self._widget.setValues(value.minimum, value.maximum)


class _PathConnector(_Connector):
    _types = PATH_TYPES

    def __init__(self, widget: Any, datatype: Any):
        super().__init__(widget)
        self._type = unannotatedType(datatype)


@base.parameterNodeGuiConnector
class ctkPathLineEditToPathConnector(_PathConnector):
    _classes = ("ctkPathLineEdit",)
    _signal = "currentPathChanged(QString)"

    def read(self) -> Any:
        return self._type(self._widget.property("currentPath"))

    def write(self, value: Any) -> None:
        self._widget.setCurrentPath(str(value))


@base.parameterNodeGuiConnector
class ctkDirectoryButtonToPathConnector(_PathConnector):
    _classes = ("ctkDirectoryButton",)
    _signal = "directoryChanged(QString)"

    def read(self) -> Any:
        return self._type(self._widget.property("directory"))

    def write(self, value: Any) -> None:
        self._widget.setDirectory(str(value))


@base.parameterNodeGuiConnector
class qMRMLNodeComboBoxToNodeConnector(_Connector):
    """Overwrites the combo box's nodeTypes."""

    _classes = ("qMRMLNodeComboBox",)
    _signal = "currentNodeChanged(vtkMRMLNode*)"

    @classmethod
    def canRepresent(cls, widget: Any, datatype: Any) -> bool:
        return isExactly(widget, *cls._classes) and isNodeOrUnionOfNodes(datatype)

    def __init__(self, widget: Any, datatype: Any):
        super().__init__(widget)
        widget.setProperty("nodeTypes", getNodeTypes(datatype))

    def read(self) -> Any:
        return self._widget.currentNode()

    def write(self, value: Any) -> None:
        self._widget.setCurrentNode(value)


@base.parameterNodeGuiConnector
class WidgetChildrenToParameterPackConnector(base.GuiConnector):
    """A widget whose children carry SlicerPackParameterName."""

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        if not packs.isParameterPack(unannotatedType(datatype)):
            return False
        return set(packs.nestedParameterNames(datatype)) <= set(base.packWidgets(widget))

    @staticmethod
    def create(widget: Any, datatype: Any) -> Any:
        return WidgetChildrenToParameterPackConnector(widget, datatype)

    def __init__(self, widget: Any, datatype: Any):
        super().__init__()
        self._pack = unannotatedType(datatype)
        self._widget = widget
        widgets = base.packWidgets(widget)
        self._members = {
            name: base.createGuiConnector(widgets[name], self._pack.dataType(name))
            for name in packs.nestedParameterNames(self._pack)
        }

    def widget(self) -> Any:
        return self._widget

    def _connect(self) -> None:
        for connector in self._members.values():
            connector.onChanged(self.changed)

    def _disconnect(self) -> None:
        for connector in self._members.values():
            connector.onChanged(None)

    def read(self) -> Any:
        value = self._pack()
        for name, connector in self._members.items():
            value.setValue(name, connector.read())
        return value

    def write(self, value: Any) -> None:
        for name, connector in self._members.items():
            connector.write(value.getValue(name))
