"""The abdomen: which solids lie where, how bright they are, and how both vary between patients.

Positions are those of the reference patient, in mm from the middle of the field of view: x to the patient's
left, y to the front, z to the head. Intensities are relative to the brightest fluid (1), after the look of
T2-weighted spectrally fat-suppressed MR: fluid bright, kidneys and spleen bright, liver middling, muscle and
fat dark, flowing blood and air black.
"""

from __future__ import annotations

import numpy as np

from SegToolkitLib.phantom.canvas import Canvas
from SegToolkitLib.phantom.dice import Dice
from SegToolkitLib.phantom.organs import paint_kidneys, paint_liver, paint_spleen, place_kidneys
from SegToolkitLib.phantom.surroundings import (
    paint_back,
    paint_bowel,
    paint_chest,
    paint_great_vessels,
    paint_walls,
)


def paint_abdomen(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint one patient's abdomen; the patient is decided by ``rng`` alone."""
    dice = Dice(rng)
    torso = paint_walls(canvas, dice)
    paint_chest(canvas, dice, torso)
    paint_bowel(canvas, dice, torso)
    back = paint_back(canvas, dice)
    paint_liver(canvas, dice, torso)
    kidneys = place_kidneys(dice, torso, back)
    paint_spleen(canvas, dice, torso, kidneys)
    paint_kidneys(canvas, dice, kidneys)
    paint_great_vessels(canvas, dice)
