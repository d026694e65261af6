"""The four labelled organs, with their vessels and fluid.

Positions and intensities as in ``SegToolkitLib.phantom.anatomy``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SegToolkitLib.phantom.canvas import Canvas
from SegToolkitLib.phantom.dice import Dice
from SegToolkitLib.phantom.shapes import Point, Shape, ellipsoid, tube
from SegToolkitLib.phantom.surroundings import FAR, Torso

LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPLEEN = 1, 2, 3, 4

_SPINE_CLEARANCE = ellipsoid((0, -34, 0), (31, 33, FAR))


def paint_liver(canvas: Canvas, dice: Dice, torso: Torso) -> None:
    """Paint the liver, portal and hepatic veins in it, and the gallbladder under it."""
    right = ellipsoid(dice.near((-56, 5, 24), 2.5), dice.sized((71, 80, 75), 0.04))
    left = ellipsoid(
        dice.near((4, 40, 44), 4), dice.sized((72, 33, 34), 0.1), turn=-6, tilt=dice.between(-4, 12)
    )
    below = ellipsoid(dice.near((24, -12, -22), 4), dice.sized((62, 60, 72)))
    liver = right.joined(left, 14).without(below, blend=10).without(_SPINE_CLEARANCE, blend=8)
    liver = liver.within(torso.cavity, 3, blend=6)
    value = dice.between(0.3, 0.47)
    canvas.paint(liver, value, label=LIVER, rough=1.6, coarse=0.035, fine=0.07, soft=1.3)
    brightness = dice.between(0.6, 0.85)
    hilum = dice.near((-22, 14, 18), 3)
    for target in ((-75, -20, 30), (-80, 30, 20), (-70, 5, 0), (-20, 45, 45), (-60, -30, 55)):
        direction = np.asarray(dice.near(target, 8)) - np.asarray(hilum)
        _grow_vessel(canvas, dice, hilum, direction * 0.5, 3.4, brightness, 4)
    confluence = (-18.0, 2.0, 70.0)
    for target in ((-85, -10, 60), (-55, 50, 55), (15, 45, 60)):
        direction = np.asarray(dice.near(target, 8)) - np.asarray(confluence)
        _grow_vessel(canvas, dice, confluence, direction * 0.45, 3.6, brightness * 0.9, 4)
    gallbladder = ellipsoid(
        dice.near((-50, 50, -6), 5), dice.sized((12, 22, 22), 0.15), turn=dice.between(10, 40)
    )
    canvas.paint(gallbladder.grown(1.5), 0.4, label=0)
    canvas.paint(gallbladder, dice.between(0.9, 1.15), soft=1.5)


def _grow_vessel(
    canvas: Canvas, dice: Dice, start: Point, step: np.ndarray, radius: float, value: float, depth: int
) -> None:
    """One branch of a vessel tree inside the liver, then its two or three children."""
    if depth == 0:
        return
    x, y, z = np.asarray(start) + step
    end = (float(x), float(y), float(z))
    canvas.paint(tube([start, end], radius), value, only=LIVER, opacity=0.85)
    for _ in range(dice.rng.integers(2, 4)):
        bent = step + dice.rng.normal(0, 0.55, 3) * np.linalg.norm(step) * np.array([1, 1, 0.6])
        shorter = bent * 0.72 * np.linalg.norm(step) / np.linalg.norm(bent)
        _grow_vessel(canvas, dice, end, shorter, radius * 0.76, value, depth - 1)


@dataclass(frozen=True)
class Kidney:
    """Where one kidney is: the solid, the fatty sinus cut out of it, and the renal pelvis in the sinus."""

    code: int
    solid: Shape
    sinus: Shape
    pelvis: Shape


def place_kidneys(dice: Dice, torso: Torso, back: Shape) -> list[Kidney]:
    """Decide where both kidneys lie, before the spleen makes room for the left one."""
    kidneys = []
    size = dice.sized((33, 24, 55), 0.06)
    for code, side, centre in ((RIGHT_KIDNEY, -1, (-66, -33, -14)), (LEFT_KIDNEY, 1, (66, -33, 4))):
        x, y, z = dice.near((float(centre[0]), float(centre[1]), float(centre[2])), 3)
        radii = dice.sized(size, 0.04)
        turn = -side * dice.between(25, 48)
        solid = ellipsoid((x, y, z), radii, turn=turn, tilt=side * dice.between(2, 10))
        # The hilum opens forwards and towards the spine, at the inner end of the in-plane long axis.
        inwards = -side * np.array([np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))])
        hx, hy = np.array([x, y]) + inwards * radii[0]
        sinus = ellipsoid((float(hx), float(hy), z), (18, 8, 19), turn=turn)
        px, py = np.array([x, y]) + inwards * radii[0] * 0.95
        pelvis = ellipsoid((float(px), float(py), z), (13, 4, 12), turn=turn)
        solid = (
            solid.within(torso.cavity, 3, blend=8)
            .without(back, 1, blend=8)
            .without(_SPINE_CLEARANCE, blend=6)
        )
        kidneys.append(Kidney(code, solid, sinus, pelvis))
    return kidneys


def paint_spleen(canvas: Canvas, dice: Dice, torso: Torso, kidneys: list[Kidney]) -> None:
    """Paint the spleen: a crescent along the wall, hollowed by stomach and kidney."""
    spleen = ellipsoid(
        dice.near((83, -28, 46), 3),
        dice.sized((34, 53, 46), 0.08),
        turn=dice.between(-42, -28),
        tilt=dice.between(-8, 8),
    )
    stomach_bed = ellipsoid(dice.near((42, 2, 46), 3), (40, 40, 56))
    spleen = spleen.without(stomach_bed, blend=8).within(torso.cavity, 3, blend=8).without(_SPINE_CLEARANCE)
    for kidney in kidneys:
        spleen = spleen.without(kidney.solid, 3, blend=6)
    canvas.paint(spleen.grown(2), 0.06, rough=1.0)
    canvas.paint(spleen, dice.between(0.62, 0.85), label=SPLEEN, rough=1.0, coarse=0.03, fine=0.05)


def paint_kidneys(canvas: Canvas, dice: Dice, kidneys: list[Kidney]) -> None:
    """Paint both kidneys in their fat: cortex, brighter medulla, dark sinus, bright pelvis."""
    cortex = dice.between(0.66, 0.85)
    medulla = cortex * dice.between(1.04, 1.2)
    for kidney in kidneys:
        canvas.paint(kidney.solid.grown(3), 0.06, label=0, rough=0.7)
        canvas.paint(kidney.solid, cortex, label=kidney.code, rough=0.7, fine=0.05, coarse=0.04)
        canvas.paint(kidney.solid.grown(-7), medulla, rough=1.5, coarse=0.09, fine=0.08, soft=2)
        canvas.paint(kidney.sinus, 0.2, label=0, rough=1.5, fine=0.3)
        canvas.paint(kidney.pelvis, dice.between(0.5, 1.0), rough=1, soft=1.5)
