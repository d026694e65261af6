"""What scripts hand to the logic, checked: organs, beside what every module takes."""

from __future__ import annotations

import operator

from slicer.i18n import tr as _

from SegToolkitGui.run.Arguments import (
    SEGMENTATION,
    VOLUME,
    callback,
    node,
    number,
    text,
    texts,
    volumes,
    wrong,
)

__all__ = [
    "SEGMENTATION",
    "VOLUME",
    "callback",
    "maps",
    "node",
    "number",
    "organs",
    "text",
    "texts",
    "volumes",
]


def organs(value) -> list[str | int]:
    """Names or label values, one or several.

    Raises:
        UserError: "bad-argument", as everywhere here.
    """
    several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    if any(isinstance(one, bool) for one in several):
        raise wrong("organs", _("a list of names or label values"), value)
    try:
        return [one if isinstance(one, str) else operator.index(one) for one in several]  # numpy's as well
    except TypeError:
        raise wrong("organs", _("a list of names or label values"), value) from None


def maps(value, uncertainty=False) -> list[str]:
    """Names of maps, one or several, each once; ``uncertainty`` is short for the one of that name."""
    names = texts(value, "maps") if value is not None else []
    return list(dict.fromkeys([*names, *(["uncertainty"] if uncertainty else [])]))
