"""Pictures of a validation: what was found in held-out images, and where features are clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from SegToolkitLib.evaluation.sheet import codes_in, legend, tile, write_sheet
from SegToolkitLib.methods.pdcr_uafr.network import DeepLab
from SegToolkitLib.methods.pdcr_uafr.plan import CONFIDENCE, POSITION_TITLES, POSITIONS
from SegToolkitLib.methods.pdcr_uafr.predict import predict
from SegToolkitLib.methods.pdcr_uafr.reading import Scan
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings

SHOWN = 4
SQUARE = (1.0, 1.0)


def validation_sheet(
    network: DeepLab,
    scans: Sequence[Scan],
    settings: PdcrUafrSettings,
    names: Mapping[int, str],
    path: Path,
    title: str,
    device: torch.device,
) -> None:
    """Write a PNG with a row for each of the first cases: the image, what was found, feature confidence.

    Args:
        network: in evaluation mode, on ``device``.
        scans: held-out cases; of a volume the middle one of the slices that show a structure is taken.
        settings: of the run.
        names: class -> name.
        path: of the PNG.
        title: a line above.
        device: where to work.
    """
    deepest = next((one for one in reversed(POSITIONS) if one in settings.network.uafr.positions), None)
    wanted = [] if deepest is None else [f"{CONFIDENCE}{deepest}"]
    tiles: list[Image.Image] = []
    codes: set[int] = set()
    for scan in scans[:SHOWN]:
        filled = scan.arrays["filled"]
        k = int(filled[len(filled) // 2]) if len(filled) else len(scan.arrays["image"]) // 2
        image, truth = (np.asarray(scan.arrays[name][k]) for name in ("image", "mask"))
        outputs = predict(network, image[np.newaxis], settings.plan, maps=wanted, device=device)
        found = outputs.classes[0]
        tiles += [tile(image, None, None, SQUARE, scan.id), tile(image, found, truth, SQUARE, "found")]
        for name in wanted:
            grey = np.rint(outputs.maps[name][0] * 255).astype(np.uint8)
            tiles.append(tile(grey, None, None, SQUARE, "confidence"))
        codes |= set(codes_in(found, truth))
    caption = (
        "" if deepest is None else f"Feature confidence: of the {POSITION_TITLES[deepest]}; white is sure."
    )
    entries = legend(sorted(codes), names)
    write_sheet(path, tiles, 2 + len(wanted), entries, "line: truth, fill: found", title, caption)
