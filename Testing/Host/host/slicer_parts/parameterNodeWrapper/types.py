"""Types of values that Python does not have itself."""

from __future__ import annotations

from typing import Any

from .serializers import Serializer, ValidatedSerializer, parameterNodeSerializer
from .validators import IsInstance, NotNone


class FloatRange:
    """Two numbers in order."""

    @staticmethod
    def checkRange(minimum: float, maximum: float) -> None:
        if minimum > maximum:
            raise ValueError(f"minimum {minimum} is greater than maximum {maximum}")

    def __init__(self, minimum: float = 0, maximum: float = 0):
        self.setRange(minimum, maximum)

    @property
    def minimum(self) -> float:
        return self._minimum

    @minimum.setter
    def minimum(self, value: float) -> None:
        self.setRange(value, self._maximum)

    @property
    def maximum(self) -> float:
        return self._maximum

    @maximum.setter
    def maximum(self, value: float) -> None:
        self.setRange(self._minimum, value)

    def setRange(self, minimum: float, maximum: float) -> None:
        self.checkRange(minimum, maximum)
        self._minimum, self._maximum = float(minimum), float(maximum)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FloatRange):
            return NotImplemented
        return (self.minimum, self.maximum) == (other.minimum, other.maximum)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"FloatRange({self.minimum}, {self.maximum})"


@parameterNodeSerializer
class _FloatRangeSerializer(Serializer):
    """Stored as "minimum,maximum"; what is read is a copy, so that it has to be assigned back."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is FloatRange

    @staticmethod
    def create(type_: Any) -> Serializer:
        return ValidatedSerializer(_FloatRangeSerializer(), [NotNone(), IsInstance(FloatRange)])

    def default(self) -> FloatRange:
        return FloatRange()

    def write(self, parameterNode: Any, name: str, value: FloatRange) -> None:
        parameterNode.SetParameter(name, f"{value.minimum!r},{value.maximum!r}")

    def read(self, parameterNode: Any, name: str) -> FloatRange:
        return FloatRange(*(float(text) for text in parameterNode.GetParameter(name).split(",")))
