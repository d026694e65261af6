"""What scripts hand to the logic, checked: what only few-shot takes, beside what every module does."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.fewshot.Supports import SupportExample
from SegToolkitGui.run.Arguments import (
    SEGMENTATION,
    VOLUME,
    callback,
    node,
    text,
    texts,
    volumes,
    whole,
    wrong,
)

__all__ = [
    "SEGMENTATION",
    "VOLUME",
    "axis",
    "callback",
    "examples",
    "node",
    "sliceRange",
    "text",
    "texts",
    "volumes",
    "whole",
]


def axis(value) -> int:
    """0, 1 or 2.

    Raises:
        UserError: "bad-argument", as everywhere here.
    """
    number = whole(value, "axis")
    if number not in (0, 1, 2):
        raise wrong("axis", _("0, 1 or 2"), value)
    return number


def sliceRange(value) -> tuple[int, int]:
    """First and last slice."""
    try:
        first, last = value
    except (TypeError, ValueError):
        raise wrong("slices", _("a first and a last slice"), value) from None
    return whole(first, "slices"), whole(last, "slices")


def examples(value) -> list[SupportExample]:
    """One example or several."""
    several = list(value) if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(one, SupportExample) for one in several):
        raise wrong("supports", _("a list of what example() returns"), value)
    return several
