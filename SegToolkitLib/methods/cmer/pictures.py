"""What the networks make of a few slices: the image, its map in colour, and the mask's outline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from SegToolkitLib.atomic import replacing
from SegToolkitLib.methods.cmer.data import Scan
from SegToolkitLib.methods.cmer.network import Networks
from SegToolkitLib.methods.cmer.seeing import see
from SegToolkitLib.methods.cmer.settings import CmerSettings

SLICES = 5
TILE = 160
LINE = 16
OUTLINE = (80, 255, 80)


def maps_picture(
    networks: Networks, scan: Scan, settings: CmerSettings, path: Path, title: str, device: torch.device
) -> None:
    """Write a PNG with a row for each modality.

    Args:
        networks: in evaluation mode, on ``device``.
        scan: of the validation; slices that show the object are taken, where there are any.
        settings: of the run.
        path: of the PNG.
        title: a line above.
        device: where to work.
    """
    arrays = scan.arrays
    visible = [k for k, tag in enumerate(scan.tags) if tag] or list(range(len(scan.tags)))
    picks = [visible[round(at)] for at in np.linspace(0, len(visible) - 1, SLICES + 2)[1:-1]]
    picks = list(dict.fromkeys(picks))
    pixels = np.array(arrays["pixels"][picks])
    seen = see(
        networks,
        pixels,
        arrays["constant"][picks],
        settings.input,
        settings.maps,
        device,
        supervision=settings.supervision,
    )
    maps, present = seen.maps.numpy(), seen.present.numpy()
    modalities = settings.data.modalities
    sheet = Image.new("RGB", (TILE * len(picks), LINE + TILE * len(modalities)))
    draw = ImageDraw.Draw(sheet)
    draw.text((4, 2), title, fill=(255, 255, 255))
    for row, modality in enumerate(modalities):
        for column, k in enumerate(picks):
            mask = None if scan.mask is None else scan.mask[k]
            own = row if len(maps) > 1 else 0
            tile = Image.fromarray(heat(pixels[column, row], maps[own, column], mask))
            corner = (column * TILE, LINE + row * TILE)
            sheet.paste(tile.resize((TILE, TILE), Image.Resampling.BILINEAR), corner)
            text = f"{modality}, slice {k}" + ("" if present[own, column] else ": absent")
            draw.text((corner[0] + 4, corner[1] + 2), text, fill=(255, 255, 255))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def heat(
    image: NDArray[np.float32], map_: NDArray[np.float32], mask: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """A slice in grey [Y, X] with its map in red and yellow over it; RGB [Y, X, 3]."""
    low, high = float(image.min()), float(image.max())
    grey = (image - low) / max(high - low, 1e-6) * 255
    colour = np.stack([np.full_like(map_, 255), 255 * map_, np.zeros_like(map_)], -1)
    share = 0.6 * map_[..., None]
    picture = (grey[..., None] * (1 - share) + colour * share).astype(np.uint8)
    if mask is not None:
        picture[mask & ~ndimage.binary_erosion(mask)] = OUTLINE
    return picture
