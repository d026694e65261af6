"""What scripts hand to the logic, checked: a mistake is told in a sentence."""

from __future__ import annotations

import math

from slicer.i18n import tr as _

from SegToolkitGui.fewshot.Arguments import SEGMENTATION, VOLUME, callback, node, text, texts, volumes
from SegToolkitGui.fewshot.Arguments import _wrong as wrong

__all__ = ["SEGMENTATION", "VOLUME", "callback", "node", "number", "organs", "text", "texts", "volumes"]


def organs(value) -> list[str | int]:
    """Names or label values, one or several.

    Raises:
        UserError: "bad-argument", as everywhere here.
    """
    several = [value] if isinstance(value, (str, int)) or not hasattr(value, "__iter__") else list(value)
    if not all(isinstance(one, (str, int)) and not isinstance(one, bool) for one in several):
        raise wrong("organs", _("a list of names or label values"), value)
    return several


def number(value, argument: str) -> float:
    """A finite number."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise wrong(argument, _("a number"), value)
    return found
