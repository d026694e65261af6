"""Sheets of slices with their labels: translucent fills, outlines, a legend, and words above and below.

Pillow draws them. It is not named among our dependencies: scikit-image requires it.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import find_contours

from SegToolkitLib.atomic import replacing
from SegToolkitLib.palette import Colour, label_colour

FILL_OPACITY = 0.42
TILE_SIZE = 256  # pixels of the longer side of a slice that is smaller; larger slices keep their pixels
LARGEST_TILE = 640
GAP = 6
_TEXT_SIZE = 14
_LINE_HEIGHT = 20
_WHITE: Colour = (255, 255, 255)
_GREY: Colour = (190, 190, 190)

Entry = tuple[Colour, str]


def tile(
    image: NDArray[np.uint8],
    labels: NDArray | None,
    truth: NDArray | None,
    pixel: tuple[float, float],
    text: str,
) -> Image.Image:
    """One slice as a picture with square pixels.

    Args:
        image: grey [row, column], or in colour [row, column, 3].
        labels: codes [row, column], which are filled.
        truth: codes [row, column], which are outlined.
        pixel: mm of a row and of a column.
        text: in a corner.
    """
    height_mm, width_mm = image.shape[0] * pixel[0], image.shape[1] * pixel[1]
    finest = max(height_mm, width_mm) / min(pixel)
    scale = min(max(TILE_SIZE, finest), LARGEST_TILE) / max(height_mm, width_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    base = Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    canvas = np.asarray(base, dtype=np.float32).copy()
    for code in codes_in(labels):
        assert labels is not None
        mask = Image.fromarray((labels == code).astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
        inside = np.asarray(mask) > 0
        colour = np.asarray(label_colour(int(code)), dtype=np.float32)
        canvas[inside] = (1 - FILL_OPACITY) * canvas[inside] + FILL_OPACITY * colour
    picture = Image.fromarray(np.rint(canvas).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    if truth is not None:
        stretch = np.array([size[1] / image.shape[0], size[0] / image.shape[1]])
        for code in codes_in(truth):
            padded = np.pad((truth == code).astype(np.float32), 1)
            for contour in find_contours(padded, 0.5):
                # Index 0 of the padded slice is the centre of the pixel before the first.
                rows_columns = (contour - 0.5) * stretch
                draw.line([(float(c), float(r)) for r, c in rows_columns], label_colour(int(code)), 2)
    font = _font(11)
    draw.text((5, 3), text, _GREY, font)
    return picture


def legend(codes: Sequence[int], names: Mapping[int, str]) -> list[Entry]:
    """Colour and name of each code; "label 5" where it has none."""
    return [(label_colour(code), names.get(code, f"label {code}")) for code in codes]


def codes_in(*labels: NDArray | None) -> list[int]:
    """The codes that occur, rising, without the background."""
    found = {int(code) for one in labels if one is not None for code in np.unique(one)}
    return sorted(found - {0})


def write_sheet(
    path: str | os.PathLike[str],
    tiles: Sequence[Image.Image],
    columns: int,
    entries: Sequence[Entry],
    note: str,
    title: str = "",
    caption: str = "",
) -> None:
    """Write tiles in a grid as a PNG, which is replaced only once the new one is whole.

    Args:
        path: of the PNG.
        tiles: row by row, of one size.
        columns: tiles in a row.
        entries: of the legend.
        note: after the legend.
        title: a line above.
        caption: text below, wrapped to the width.
    """
    picture = _sheet(tiles, columns, entries, note, title, caption)
    with replacing(path) as temporary:
        # Optimised ones are a tenth smaller, and take seven times as long.
        picture.save(temporary, format="PNG")


def _sheet(
    tiles: Sequence[Image.Image],
    columns: int,
    entries: Sequence[Entry],
    note: str,
    title: str,
    caption: str,
) -> Image.Image:
    width_of, height_of = tiles[0].size
    rows = -(-len(tiles) // columns)
    width = max(columns * (width_of + GAP) + GAP, 320)
    letters = max(20, int((width - 2 * GAP) / (0.56 * _TEXT_SIZE)))
    head = textwrap.wrap(title, letters)
    foot = [line for part in caption.splitlines() for line in textwrap.wrap(part, letters)]
    legend = _legend_lines(entries, note, width)
    top = GAP + len(head) * _LINE_HEIGHT
    bottom = top + rows * (height_of + GAP)
    height = bottom + (len(legend) + len(foot)) * _LINE_HEIGHT + GAP
    sheet = Image.new("RGB", (width, height), (16, 16, 16))
    draw, font = ImageDraw.Draw(sheet), _font(_TEXT_SIZE)
    for n, line in enumerate(head):
        draw.text((GAP, GAP // 2 + n * _LINE_HEIGHT), line, _WHITE, font)
    for n, one in enumerate(tiles):
        row, column = divmod(n, columns)
        sheet.paste(one, (GAP + column * (width_of + GAP), top + row * (height_of + GAP)))
    for n, items in enumerate(legend):
        y = bottom + n * _LINE_HEIGHT
        for x, colour, text in items:
            if colour is not None:
                draw.rectangle((x, y + 3, x + 13, y + 15), colour)
            draw.text((x + (19 if colour is not None else 0), y), text, _WHITE, font)
    for n, line in enumerate(foot):
        draw.text((GAP, bottom + (len(legend) + n) * _LINE_HEIGHT), line, _GREY, font)
    return sheet


def _legend_lines(
    entries: Sequence[Entry], note: str, width: int
) -> list[list[tuple[int, Colour | None, str]]]:
    """The legend broken into lines: x, colour (none for the note) and text of each entry."""
    font = _font(_TEXT_SIZE)
    lines: list[list[tuple[int, Colour | None, str]]] = [[]]
    x = GAP
    for colour, text in [*entries, (None, note)]:
        needed = int(font.getlength(text)) + (19 if colour is not None else 0)
        if lines[-1] and x + needed > width - GAP:
            lines.append([])
            x = GAP
        lines[-1].append((x, colour, text))
        x += needed + 16
    return lines


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font; ``size`` counts only where Pillow was built with FreeType."""
    return ImageFont.load_default(size)
