"""How well things agree, as a colour behind a number."""

from __future__ import annotations

import math

# From poor to good: orange, sand, light blue; told apart also by those who do not see red and green.
AGREEMENT = ((0.91, 0.48, 0.19), (0.97, 0.89, 0.70), (0.66, 0.82, 0.95))
# From absent to present: white to blue.
PROBABILITY = ((1.0, 1.0, 1.0), (0.83, 0.90, 0.97), (0.62, 0.78, 0.93))
# Of maps: below this they lie at different places (soft Dice).
POOR = 0.3


def colourOf(value: float | None, ramp=AGREEMENT) -> tuple[int, int, int] | None:
    """Red, green and blue (0 to 255) of a value from 0 to 1; None where there is no value."""
    if value is None or math.isnan(value):
        return None
    place = min(max(value, 0.0), 1.0) * (len(ramp) - 1)
    below = min(int(place), len(ramp) - 2)
    pair = zip(ramp[below], ramp[below + 1], strict=True)
    red, green, blue = (round(255 * (a + (place - below) * (b - a))) for a, b in pair)
    return red, green, blue
