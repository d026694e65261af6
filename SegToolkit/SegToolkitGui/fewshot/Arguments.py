"""What scripts hand to the logic, checked: a mistake is told in a sentence."""

from __future__ import annotations

import operator

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.Supports import SupportExample

VOLUME, SEGMENTATION = "vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode"


def node(value, className: str, argument: str):
    """A node of that class that is in the scene.

    Raises:
        UserError: "bad-argument", as everywhere here.
    """
    if not isinstance(value, slicer.vtkMRMLNode) or not value.IsA(className) or value.GetScene() is None:
        raise _wrong(argument, _("a {kind} of the scene").format(kind=className), value)
    return value


def volumes(value) -> list:
    """One volume node or several, each once."""
    several = list(value) if isinstance(value, (list, tuple)) else [value]
    return list(dict.fromkeys(node(one, VOLUME, "inputVolume") for one in several))


def whole(value, argument: str) -> int:
    """A whole number, numpy's as well."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        raise _wrong(argument, _("a whole number"), value) from None


def axis(value) -> int:
    """0, 1 or 2."""
    number = whole(value, "axis")
    if number not in (0, 1, 2):
        raise _wrong("axis", _("0, 1 or 2"), value)
    return number


def texts(value, argument: str) -> list[str]:
    """One text or several."""
    several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    if not all(isinstance(one, str) for one in several):
        raise _wrong(argument, _("a list of texts"), value)
    return several


def text(value, argument: str) -> str:
    """One text; "" for None."""
    if value is not None and not isinstance(value, str):
        raise _wrong(argument, _("a text"), value)
    return value or ""


def sliceRange(value) -> tuple[int, int]:
    """First and last slice."""
    try:
        first, last = value
    except (TypeError, ValueError):
        raise _wrong("slices", _("a first and a last slice"), value) from None
    return whole(first, "slices"), whole(last, "slices")


def examples(value) -> list[SupportExample]:
    """One example or several."""
    several = list(value) if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(one, SupportExample) for one in several):
        raise _wrong("supports", _("a list of what example() returns"), value)
    return several


def callback(value):
    """Something to call, or None."""
    if value is not None and not callable(value):
        raise _wrong("eventCallback", _("a function"), value)
    return value


def _wrong(argument: str, wanted: str, value) -> UserError:
    found = value.GetName() if isinstance(value, slicer.vtkMRMLNode) else repr(value)
    return UserError(
        "bad-argument",
        _("{argument} must be {wanted}; it is {found}.").format(
            argument=argument, wanted=wanted, found=str(found)[:80]
        ),
        _("See help(logic)."),
    )
