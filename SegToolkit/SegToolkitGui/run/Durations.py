"""Times for a person."""

from __future__ import annotations

from slicer.i18n import tr as _


def duration(seconds: float) -> str:
    """A duration for a person: "0.4 s", "12 s", "3 min"."""
    if seconds < 10:
        return _("{value:.1f} s").format(value=seconds)
    if seconds < 120:
        return _("{value:.0f} s").format(value=seconds)
    return _("{value:.0f} min").format(value=seconds / 60)
