"""Draw the icons of the extension and its modules, 128 x 128 pixels with a transparent surround.

    python Resources/make_icons.py [--root FOLDER]

Each icon is a tile with a background of its own, so that it stands out on Slicer's light and dark themes,
and holds few, large shapes in strong colours, so that it can be told at 16 pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = 128
SCALE = 8  # drawn larger and reduced, for smooth edges

TILE_TOP, TILE_BOTTOM, RIM = (38, 92, 138), (18, 48, 82), (122, 176, 214)
BODY, BODY_RIM = (231, 238, 244), (255, 255, 255)
FOUND, DRAWN, SECOND = (255, 178, 44), (224, 74, 32), (46, 188, 164)

Points = np.ndarray


def scaled(points: Points) -> list[tuple[float, float]]:
    """Points [N, 2] of the 128-pixel drawing, as Pillow takes them on the large one."""
    return [(float(x), float(y)) for x, y in np.asarray(points) * SCALE]


def blob(centre: tuple[float, float], radius: float, waves: dict[int, tuple[float, float]]) -> Points:
    """A closed smooth curve: a circle whose radius swings. waves: periods -> (share of the radius, phase)."""
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    swing = np.ones_like(angle)
    for periods, (share, phase) in waves.items():
        swing += share * np.cos(periods * angle + phase)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * (radius * swing)[:, None] + np.array(centre)


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> Points:
    """An upright ellipse."""
    return (blob((0, 0), 1, {}) * np.array(radii)) + np.array(centre)


def outlined(draw: ImageDraw.ImageDraw, points: Points, fill: tuple, rim: tuple, width: float) -> None:
    """A filled shape whose edge has another colour. The edge lies across the curve."""
    corners = scaled(points)
    draw.polygon(corners, fill=fill)
    draw.line([*corners, *corners[:2]], fill=rim, width=round(width * SCALE), joint="curve")


def tile() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """The background: a rounded square, lighter at the top, with a rim that shows on dark ground."""
    big = SIZE * SCALE
    share = np.linspace(0, 1, big)[:, None, None]
    colours = np.array(TILE_TOP) * (1 - share) + np.array(TILE_BOTTOM) * share
    pixels = np.broadcast_to(colours, (big, big, 3)).round().astype(np.uint8)
    mask = Image.new("L", (big, big), 0)
    box = (2 * SCALE, 2 * SCALE, big - 2 * SCALE - 1, big - 2 * SCALE - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius=26 * SCALE, fill=255)
    image = Image.fromarray(pixels, "RGB").convert("RGBA")
    image.putalpha(mask)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle(box, radius=26 * SCALE, outline=RIM, width=3 * SCALE)
    return image, draw


def extension() -> Image.Image:
    """A slice through the body with three structures found: the extension as a whole."""
    image, draw = tile()
    outlined(draw, ellipse((64, 66), (50, 40)), BODY, BODY_RIM, 4)
    outlined(draw, blob((49, 60), 20, {2: (0.22, -0.7), 3: (0.10, 0.5)}), FOUND, DRAWN, 5)
    outlined(draw, blob((91, 64), 12, {2: (0.22, 1.6)}), SECOND, (20, 122, 106), 4)
    draw.polygon(scaled(ellipse((66, 90), (8, 7))), fill=(120, 140, 158))
    return image


def few_shot() -> Image.Image:
    """A stack of slices. On the top one the structure is outlined by hand, on those below it is found."""
    image, draw = tile()
    slant = np.array([[1.0, -0.38], [0.0, 0.50]])  # a slice lies flat and is seen from above
    sheet = np.array([[-37, -34], [37, -34], [37, 34], [-37, 34]], dtype=float)
    organ = blob((0, 0), 21, {2: (0.18, -0.6), 3: (0.08, 0.4)})
    for height, shade in ((93, 0.52), (67, 0.74), (39, 1.0)):
        colour = tuple(
            round(shade * part + (1 - shade) * dark) for part, dark in zip(BODY, TILE_BOTTOM, strict=True)
        )
        middle = np.array([64, height])
        outlined(draw, sheet @ slant.T + middle, colour, TILE_BOTTOM, 5)
        if shade == 1.0:
            outlined(draw, organ * 1.12 @ slant.T + middle, FOUND, DRAWN, 6)
        else:
            draw.polygon(scaled(organ @ slant.T + middle), fill=FOUND)
    return image


def training() -> Image.Image:
    """A curve that falls over the steps and the best point on it: a training and what it gives."""
    image, draw = tile()
    frame = scaled(np.array([[24, 22], [24, 104], [108, 104]]))
    draw.line(frame, fill=BODY, width=7 * SCALE, joint="curve")
    x = np.linspace(33, 104, 120)
    share = (x - x[0]) / (x[-1] - x[0])
    loss = np.stack([x, 30 + 60 * (1 - np.exp(-3.4 * share))], axis=1)
    metric = np.stack([x, 92 - 58 * (1 - np.exp(-3.0 * share))], axis=1)
    for curve, colour in ((loss, SECOND), (metric, FOUND)):
        for point in curve:  # discs, because wide lines of many pieces get notches
            draw.polygon(scaled(ellipse(tuple(point), (4.5, 4.5))), fill=colour)
    outlined(draw, ellipse(tuple(metric[-1]), (10, 10)), FOUND, DRAWN, 5)
    return image


def auto_segment() -> Image.Image:
    """A slice with all its organs found, and a spark: nobody drew an outline."""
    image, draw = tile()
    outlined(draw, ellipse((62, 56), (51, 40)), BODY, BODY_RIM, 4)
    outlined(draw, blob((43, 48), 23, {2: (0.24, -0.8), 3: (0.08, 0.5)}), FOUND, TILE_BOTTOM, 3)
    outlined(draw, blob((85, 45), 14, {2: (0.2, 0.9)}), SECOND, TILE_BOTTOM, 3)
    for side in (-1, 1):  # kidneys
        outlined(draw, ellipse((62 + side * 20, 77), (9, 8)), DRAWN, TILE_BOTTOM, 3)
    draw.polygon(scaled(ellipse((62, 80), (8, 8))), fill=(120, 140, 158))
    angle = np.arange(8) * np.pi / 4
    reach = np.where(np.arange(8) % 2 == 0, 28.0, 9.0)
    spark = np.stack([np.cos(angle), np.sin(angle)], axis=1) * reach[:, None] + np.array([96, 96])
    outlined(draw, spark, (255, 224, 84), TILE_BOTTOM, 3)
    return image


def weak_supervision() -> Image.Image:
    """Slices that are ticked or not, and a map that glows where the object is."""
    image, draw = tile()
    outlined(draw, ellipse((74, 64), (42, 46)), (30, 46, 92), BODY_RIM, 4)
    for radius, colour in ((30, (196, 84, 36)), (22, (240, 134, 40)), (13, (253, 214, 60))):
        draw.polygon(scaled(blob((78, 58), radius, {2: (0.2, -0.7), 3: (0.06, 0.4)})), fill=colour)
    for y, seen in ((34, True), (64, True), (94, False)):
        outlined(draw, ellipse((26, y), (13, 13)), BODY, SECOND if seen else (120, 140, 158), 4)
        mark = [[19, y], [24, y + 6], [33, y - 6]] if seen else [[20, y], [32, y]]
        colour = (20, 122, 106) if seen else (90, 105, 120)
        draw.line(scaled(np.array(mark, dtype=float)), fill=colour, width=5 * SCALE, joint="curve")
    return image


ICONS: dict[str, Callable[[], Image.Image]] = {
    "Resources/SegToolkit.png": extension,
    "SegToolkit/Resources/Icons/SegToolkitAutoSegment.png": auto_segment,
    "SegToolkit/Resources/Icons/SegToolkitFewShot.png": few_shot,
    "SegToolkit/Resources/Icons/SegToolkitTraining.png": training,
    "SegToolkit/Resources/Icons/SegToolkitWeakSupervision.png": weak_supervision,
}


def main() -> None:
    """Write every icon below the folder given, or in this repository."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    root = parser.parse_args().root
    for name, drawing in ICONS.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        drawing().resize((SIZE, SIZE), Image.Resampling.LANCZOS).save(file, optimize=True)


if __name__ == "__main__":
    main()
