"""The annotation that gives a parameter its first value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Default:
    """`Annotated[int, Default(3)]`; with `generator` the value is made anew each time."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None):
        if generator is not None and value is not None:
            raise ValueError("a default has a value or a generator, not both")
        self._value = value
        self._generator = generator

    def __repr__(self) -> str:
        return f"Default({self._value if self._generator is None else self._generator})"

    @property
    def value(self) -> Any:
        return self._generator() if self._generator is not None else self._value


def extractDefault(annotations: list) -> tuple[Default | None, list]:
    """(the default or None, the other annotations)."""
    defaults = [each for each in annotations if isinstance(each, Default)]
    if len(defaults) > 1:
        raise ValueError("a parameter has at most one default")
    return (defaults[0] if defaults else None), [
        each for each in annotations if not isinstance(each, Default)
    ]
