"""What may be asked of a value before it is stored. They raise ValueError, IsInstance raises TypeError."""

from __future__ import annotations

import abc
from typing import Any


class Validator(abc.ABC):
    """Base of all; an annotation of a parameter."""

    @abc.abstractmethod
    def validate(self, value: Any) -> None:
        """Raise if the value is not valid."""


def extractValidators(annotations: list) -> tuple[list, list]:
    """(validators, the other annotations)."""
    validators = [each for each in annotations if isinstance(each, Validator)]
    return validators, [each for each in annotations if not isinstance(each, Validator)]


class IsNone(Validator):
    def validate(self, value: Any) -> None:
        if value is not None:
            raise ValueError("Value must be None")


class NotNone(Validator):
    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


class IsInstance(Validator):
    """None passes: NotNone is for that."""

    def __init__(self, classtype: Any):
        self.classtype = classtype

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"Value must be of type '{self.classtype}', is '{type(value)}': {value!r}")


class WithinRange(Validator):
    """Bounds included."""

    def __init__(self, minimum: Any, maximum: Any):
        self.minimum = minimum
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Minimum(Validator):
    def __init__(self, minimum: Any):
        self.minimum = minimum

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, is {value}")


class Maximum(Validator):
    def __init__(self, maximum: Any):
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, is {value}")


class Choice(Validator):
    def __init__(self, choices: Any):
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value!r}, but must be one of {self.choices}")


class Exclude(Validator):
    def __init__(self, excludedValues: Any):
        self.excludedValues = excludedValues

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value is {value!r}, which is excluded")


class RangeBounds(Validator):
    """For FloatRange: the whole range lies within the bounds."""

    def __init__(self, minimum: Any, maximum: Any):
        self.minimum = minimum
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value.minimum < self.minimum or value.maximum > self.maximum:
            raise ValueError(f"Range must be within [{self.minimum}, {self.maximum}], is {value}")
