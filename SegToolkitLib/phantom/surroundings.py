"""What surrounds the labelled organs: walls, chest, bowel, back and great vessels. None of it is labelled.

Positions and intensities as in ``SegToolkitLib.phantom.anatomy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from SegToolkitLib.phantom.canvas import Canvas
from SegToolkitLib.phantom.dice import Dice
from SegToolkitLib.phantom.fields import FloatArray
from SegToolkitLib.phantom.shapes import Point, Shape, ellipsoid, tube

FAR = 1000.0  # mm, beyond every field of view
_RIGHT_DOME = ellipsoid((-57, 6, 26), (74, 86, 80))
_LEFT_DOME = ellipsoid((62, 0, 22), (66, 76, 76))


@dataclass(frozen=True)
class Torso:
    """The walls: body surface, outer surface of the muscle wall, and the cavity inside it."""

    body: Shape
    wall: Shape
    cavity: Shape


def paint_walls(canvas: Canvas, dice: Dice) -> Torso:
    """Paint skin, subcutaneous fat, muscle wall with ribs, and the fat that fills the cavity."""
    fat = dice.between(7, 17)
    wall = _superellipse(126, 85)
    # Fat is thicker at the flanks than in front; the superellipse's distance stretches with its width.
    body = _superellipse(126 + 1.35 * fat, 85 + fat)
    cavity = wall.grown(-9)
    fat_value = dice.between(0.09, 0.15)
    canvas.paint(body, 1.7 * fat_value, rough=1.0, fine=0.1)
    canvas.paint(body.grown(-2), fat_value, rough=1.0, coarse=0.18, fine=0.12, soft=1.5)
    canvas.paint(wall, 0.2, rough=0.8, fine=0.15, soft=0.8)
    canvas.paint(wall.grown(-1.5), 0.13, rough=0.8, coarse=0.2, fine=0.2, soft=0.8)
    canvas.paint(cavity.grown(1.2), 0.19, rough=0.8, fine=0.2, soft=0.8)
    canvas.paint(cavity, dice.between(0.09, 0.15), rough=0.8, coarse=0.4, fine=0.35)
    for side in (-1, 1):
        for top in np.arange(-10, 215, 27):
            _paint_rib(canvas, dice, side, float(top))
    return Torso(body, wall, cavity)


def _superellipse(half_x: float, half_y: float, power: float = 2.4) -> Shape:
    """A column along z whose cross-section is a rounded rectangle."""

    def distance(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        p = np.float32(power)
        radius = (np.abs(x / np.float32(half_x)) ** p + np.abs(y / np.float32(half_y)) ** p) ** (1 / p)
        return np.asarray((radius - 1) * np.float32(half_y))

    corner = np.array([half_x, half_y, FAR])
    return Shape(distance, -corner, corner)


def _above(height: float) -> Shape:
    corner = np.array([FAR, FAR, FAR])
    return Shape(lambda x, y, z: np.float32(height) - z, np.array([-FAR, -FAR, height]), corner)


def _paint_rib(canvas: Canvas, dice: Dice, side: int, top: float) -> None:
    """A rib in the wall, from the back (at height ``top``) sloping down towards the front."""
    angles = np.deg2rad(np.linspace(-65, 45, 9))
    half_x, half_y, power = 118.0, 80.0, 2.4
    c, s = np.cos(angles), np.sin(angles)
    radius = ((np.abs(c) / half_x) ** power + (np.abs(s) / half_y) ** power) ** (-1 / power)
    z = top - np.linspace(0, 75, len(angles)) + dice.between(-3, 3)
    points = [
        (side * float(r * a), float(r * b), float(h)) for r, a, b, h in zip(radius, c, s, z, strict=True)
    ]
    for a, b in pairwise(points):
        canvas.paint(tube([a, b], 5.0), 0.05)
        canvas.paint(tube([a, b], 3.4), 0.19, fine=0.2)


def paint_chest(canvas: Canvas, dice: Dice, torso: Torso) -> None:
    """Lungs above the two domes of the diaphragm, and the heart between them."""
    mediastinum = ellipsoid((4, 4, 130), (24, 62, FAR))
    lungs = torso.cavity.within(_above(18)).without(_RIGHT_DOME).without(_LEFT_DOME).without(mediastinum)
    canvas.paint(lungs, 0.035, coarse=0.4, fine=0.6)
    for _ in range(50):
        start = dice.near((dice.rng.choice([-1, 1]) * 35.0, -20, 115), 8)
        end = dice.near((start[0] * 2.2, -20, 105), 22)
        canvas.paint(tube([start, end], 1.1), 0.13, opacity=0.6)
    heart = ellipsoid(dice.near((24, 28, 132), 3), dice.sized((58, 44, 44)), turn=dice.between(-25, -10))
    canvas.paint(heart, dice.between(0.28, 0.45), coarse=0.3, fine=0.15, rough=2, soft=3)
    canvas.paint(
        heart.within(ellipsoid((42, 34, 130), (28, 22, 40))), 0.13, coarse=0.5, rough=3, soft=4, opacity=0.8
    )


def paint_bowel(canvas: Canvas, dice: Dice, torso: Torso) -> None:
    """Small bowel, colon, stomach, duodenum and pancreas: none of them is labelled."""
    room = torso.cavity
    for loop_number in range(dice.rng.integers(38, 48)):
        if loop_number % 4 == 0:  # the upper left quadrant, between stomach, kidney and wall
            start = (dice.between(25, 92), dice.between(-15, 60), dice.between(-20, 45))
        else:
            start = (dice.between(-76, 80), dice.between(2, 58), dice.between(-125, -15))
        path: list[Point] = [start]
        for _ in range(dice.rng.integers(2, 5)):
            path.append(dice.near(path[-1], 15))
        radius = dice.between(7, 13)
        loop = tube(path, radius).within(room, 4)
        content = float(dice.rng.choice([0.25, 0.4, 0.5, 0.7, 0.95]))
        canvas.paint(loop, 0.3, rough=2, fine=0.2)
        canvas.paint(loop.grown(-2), content, rough=2, coarse=0.15, fine=0.15, soft=1.5)
    for _ in range(60):
        start = dice.near((dice.between(-70, 70), dice.between(0, 45), dice.between(-120, 0)), 2)
        canvas.paint(tube([start, dice.near(start, 9)], 1.3), dice.between(0.2, 0.5), opacity=0.7)
    colon: list[list[Point]] = [
        [(-93, -8, -130), (-91, -6, -95), (-88, 6, -62), (-76, 32, -50)],
        [(-72, 38, -50), (-40, 58, -62), (0, 63, -70), (42, 60, -52), (76, 40, -18), (86, 18, 5)],
        [(90, 8, 5), (95, -12, -35), (95, -14, -80), (88, -8, -130)],
    ]
    for part in colon:
        bent = [dice.near(point, 4) for point in part]
        gut = tube(bent, dice.between(13, 17)).within(room, 3)
        canvas.paint(gut, 0.34, rough=2.5, fine=0.2)
        canvas.paint(gut.grown(-2.5), dice.between(0.05, 0.3), rough=2.5, coarse=0.6, fine=0.4, soft=1.5)
    stomach = ellipsoid(dice.near((46, 26, 50), 4), dice.sized((33, 34, 42)), turn=dice.between(20, 50))
    canvas.paint(stomach.within(room, 3), 0.3, rough=2)
    content = dice.between(0.3, 0.8)
    canvas.paint(stomach.grown(-3).within(room, 6), content, rough=2, coarse=0.3, fine=0.3, soft=2)
    pancreas: list[Point] = [(-30, 18, -5), (-8, 24, 6), (28, 10, 18), (60, -6, 28)]
    canvas.paint(
        tube([dice.near(point, 3) for point in pancreas], 9),
        dice.between(0.3, 0.42), rough=2.5, coarse=0.2, fine=0.15,
    )  # fmt: skip
    duodenum: list[Point] = [(-36, 26, 5), (-40, 10, -25), (-22, 4, -45), (14, 4, -42)]
    canvas.paint(
        tube([dice.near(point, 3) for point in duodenum], 9),
        dice.between(0.4, 0.8), rough=2, coarse=0.25, fine=0.2,
    )  # fmt: skip


def paint_back(canvas: Canvas, dice: Dice) -> Shape:
    """Back muscles, psoas, vertebrae with discs, the bright canal with the cord. Returns the back muscles."""
    muscle = dice.between(0.11, 0.17)
    back: Shape | None = None
    for side in (-1, 1):
        paraspinal = ellipsoid((side * 31, -67, -20), (28, 15, 330), turn=side * -6)
        back = paraspinal if back is None else back.joined(paraspinal, 1)
        canvas.paint(paraspinal.grown(1.5), 0.22, rough=0.7, soft=0.8)
        canvas.paint(paraspinal, muscle, rough=0.7, coarse=0.15, fine=0.25, soft=0.8)
        psoas = ellipsoid((side * 40, -26, -135), (22, 22, 115), tilt=side * -6)
        canvas.paint(psoas.grown(1.2), 0.22, soft=0.8)
        canvas.paint(psoas, muscle, fine=0.2, soft=0.8)
    bone = dice.between(0.18, 0.3)
    vertebra = ellipsoid((0, -26, 0), (22, 17, FAR))
    canvas.paint(vertebra.grown(2), 0.05)
    canvas.paint(vertebra, bone, rough=0.5, fine=0.2)
    phase = dice.between(0, 33)
    for level in np.arange(-160, 160, 33) + phase:
        canvas.paint(ellipsoid((0, -26, float(level)), (20, 15, 5)), dice.between(0.25, 0.45), fine=0.15)
        for side in (-1, 1):
            process = tube([(side * 12, -46, float(level) + 14), (side * 30, -52, float(level) + 12)], 4)
            canvas.paint(process, bone * 0.7)
        canvas.paint(tube([(0, -60, float(level) + 12), (0, -78, float(level) + 2)], 4), bone * 0.8, fine=0.2)
    canvas.paint(ellipsoid((0, -50, 0), (13, 11, FAR)), 0.06)
    canvas.paint(ellipsoid((0, -50, 0), (9.5, 7, FAR)), 1.05)
    cord = ellipsoid((0, -50, 170), (5, 4, 180))  # ends at about the first lumbar vertebra
    canvas.paint(cord, 0.5, soft=1.5)
    assert back is not None
    return back


def paint_great_vessels(canvas: Canvas, dice: Dice) -> None:
    """Aorta and inferior vena cava: blood that flows through the slice leaves no signal in spin echo."""
    for x, y, radius, top in ((9.0, 0.0, 8.5, FAR), (-19.0, 2.0, 8.5, 95.0)):
        path = [dice.near((x, y, float(z)), 1.5) for z in np.arange(-140, min(top, 160) + 1, 40)]
        for a, b in pairwise(path):
            canvas.paint(tube([a, b], radius + 1.8), 0.3, label=0)
            canvas.paint(tube([a, b], radius), dice.between(0.03, 0.2), soft=1.5)
