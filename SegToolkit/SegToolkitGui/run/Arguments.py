"""What scripts hand to a module's logic, checked: a mistake is told in a sentence."""

from __future__ import annotations

import math
import operator

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError

VOLUME, SEGMENTATION = "vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode"


def node(value, className: str, argument: str):
    """A node of that class that is in the scene.

    Raises:
        UserError: "bad-argument", as everywhere here.
    """
    if not isinstance(value, slicer.vtkMRMLNode) or not value.IsA(className) or value.GetScene() is None:
        raise wrong(argument, _("a {kind} of the scene").format(kind=className), value)
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
        raise wrong(argument, _("a whole number"), value) from None


def number(value, argument: str) -> float:
    """A finite number."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise wrong(argument, _("a number"), value)
    return found


def texts(value, argument: str) -> list[str]:
    """One text or several."""
    several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    if not all(isinstance(one, str) for one in several):
        raise wrong(argument, _("a list of texts"), value)
    return several


def text(value, argument: str) -> str:
    """One text; "" for None."""
    if value is not None and not isinstance(value, str):
        raise wrong(argument, _("a text"), value)
    return value or ""


def callback(value):
    """Something to call, or None."""
    if value is not None and not callable(value):
        raise wrong("eventCallback", _("a function"), value)
    return value


def wrong(argument: str, wanted: str, value) -> UserError:
    """What to raise for an argument that is not what it must be."""
    found = value.GetName() if isinstance(value, slicer.vtkMRMLNode) else repr(value)
    return UserError(
        "bad-argument",
        _("{argument} must be {wanted}; it is {found}.").format(
            argument=argument, wanted=wanted, found=str(found)[:80]
        ),
        _("See help(logic)."),
    )
