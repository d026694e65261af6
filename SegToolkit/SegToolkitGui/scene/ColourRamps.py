"""Colour tables for values from 0 to 1, told apart also by those who do not see red and green."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

Colour = tuple[float, float, float]

_ATTRIBUTE = "SegToolkit.ColourRamp"
_STEPS = 256


@dataclass(frozen=True)
class Ramp:
    """Colours from 0 to 1.

    Attributes:
        key: tells the ramp's table in a scene from others.
        title: name of that table.
        colours: at equal distances, blended between.
        clear: values below this let what is under them shine through, the more the lower; 0 for none.
    """

    key: str
    title: str
    colours: tuple[Colour, ...]
    clear: float = 0.0

    def at(self, value: float) -> tuple[float, float, float, float]:
        """Red, green, blue and opacity of a value."""
        place = value * (len(self.colours) - 1)
        below = min(int(place), len(self.colours) - 2)
        pair = zip(self.colours[below], self.colours[below + 1], strict=True)
        red, green, blue = (a + (place - below) * (b - a) for a, b in pair)
        return red, green, blue, min(1.0, value / self.clear) if self.clear else 1.0


# From unsure to sure: dark blue, teal, yellow.
CONFIDENCE = Ramp("confidence", _("Confidence"), ((0.05, 0.03, 0.30), (0.13, 0.57, 0.55), (0.99, 0.91, 0.14)))
# Overlays of a model: where there is nothing to see, the image shines through. Each begins with a hue of its
# own and ends bright, so that two of them are told apart, and low from high.
_CLEAR = 0.25
MAPS = (
    Ramp("map-1", _("Map, blue to yellow"), CONFIDENCE.colours, _CLEAR),
    Ramp(
        "map-2",
        _("Map, purple to orange"),
        ((0.20, 0.02, 0.35), (0.80, 0.25, 0.33), (0.99, 0.75, 0.30)),
        _CLEAR,
    ),
    Ramp(
        "map-3", _("Map, blue to white"), ((0.03, 0.15, 0.45), (0.10, 0.55, 0.85), (0.90, 0.98, 1.00)), _CLEAR
    ),
    Ramp("map-4", _("Map, grey"), ((0.20, 0.20, 0.20), (0.60, 0.60, 0.60), (1.00, 1.00, 1.00)), _CLEAR),
)


def rampOfMap(number: int) -> Ramp:
    """The ramp of a model's map, by its place among them."""
    return MAPS[number % len(MAPS)]


def table(scene, ramp: Ramp):
    """The scene's colour table of a ramp; made at the first call."""
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")):
        node = scene.GetNthNodeByClass(number, "vtkMRMLColorTableNode")
        if node.GetAttribute(_ATTRIBUTE) == ramp.key:
            return node
    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", scene.GenerateUniqueName(ramp.title))
    node.SetTypeToUser()
    node.SetNumberOfColors(_STEPS)
    for number in range(_STEPS):
        value = number / (_STEPS - 1)
        node.SetColor(number, f"{value:.2f}", *ramp.at(value))
    node.SetAttribute(_ATTRIBUTE, ramp.key)
    return node
