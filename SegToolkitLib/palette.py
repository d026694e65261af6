"""Colours of structures, told apart by people with any common colour blindness.

Source: M. Okabe, K. Ito, "Color Universal Design", 2008 (black left out).
"""

from __future__ import annotations

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def label_colour(value: int) -> Colour:
    """Colour of label ``value`` (1, 2, ...) as red, green, blue in 0..255; colours repeat after seven."""
    return PALETTE[(value - 1) % len(PALETTE)]


def label_colour_fraction(value: int) -> tuple[float, float, float]:
    """The same in 0..1, as segmentations keep it."""
    red, green, blue = label_colour(value)
    return red / 255, green / 255, blue / 255
