"""What the networks make of a few slices: reconstruction, hard examples, and what is found in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from SegToolkitLib.evaluation.sheet import codes_in, legend, tile, write_sheet
from SegToolkitLib.methods.cooperative.data import Batch
from SegToolkitLib.methods.cooperative.examples import hard_examples
from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.step import Examples
from SegToolkitLib.methods.cooperative.stn import predict

SHOWN_SLICES = 3
SQUARE = (1.0, 1.0)


def shown(batch: Batch) -> Batch:
    """A few of the slices that show a structure, evenly over all of them; of all slices where none does."""
    filled = batch.labels.flatten(1).any(1).nonzero()[:, 0]
    filled = filled if len(filled) else torch.arange(len(batch.labels))
    # Not the first and the last, where there is next to nothing to see.
    places = torch.linspace(0, len(filled) - 1, SHOWN_SLICES + 2).round().long()[1:-1]
    picks = filled[places.unique()]
    return Batch(batch.images[picks], batch.labels[picks])


@torch.no_grad()
def slices_picture(
    networks: Networks,
    batch: Batch,
    settings: CooperativeSettings,
    names: Mapping[int, str],
    path: Path,
    title: str,
    generator: torch.Generator,
    device: torch.device,
) -> None:
    """Write a PNG with a row for each slice.

    Args:
        networks: in evaluation mode, on ``device``.
        batch: of :func:`shown`.
        settings: of the run.
        names: class -> name.
        path: of the PNG.
        title: a line above.
        generator: draws the hard examples.
        device: where to work.
    """
    plan, images = settings.inference, batch.images.to(device)
    found = predict(networks, images, plan)
    clean, truth = _grey(images), batch.labels.numpy()
    labels = found.labels(plan.average)
    columns: list[tuple[str, NDArray[np.uint8], NDArray | None]] = [
        ("image", clean, None),
        ("found in it", clean, _classes(labels)),
        ("reconstruction", _grey(networks.reconstruct(found.code)), None),
    ]
    if settings.step.mode == "cooperative":
        masking = settings.step.masking
        examples = hard_examples(networks, images, batch.labels.to(device), masking, generator)
        columns += _hard(networks, examples, clean, settings)
    tiles: list[Image.Image] = [
        tile(grey[row], None if one is None else one[row], truth[row], SQUARE, name)
        for row in range(len(truth))
        for name, grey, one in columns
    ]
    entries = legend(codes_in(truth, *(one for _, _, one in columns)), names)
    write_sheet(path, tiles, len(columns), entries, "line: truth, fill: found", title, _caption(columns))


def _hard(
    networks: Networks, examples: Examples, clean: NDArray[np.uint8], settings: CooperativeSettings
) -> list[tuple[str, NDArray[np.uint8], NDArray | None]]:
    columns: list[tuple[str, NDArray[np.uint8], NDArray | None]] = []
    if examples.images is not None and examples.image_mask is not None:
        grey = _grey(examples.images)
        hard = predict(networks, examples.images, settings.inference)
        columns.append((f"hard image ({examples.image_mask.kind})", grey, None))
        columns.append(("found in it", grey, _classes(hard.labels(settings.inference.average))))
    if examples.logits is not None and examples.shape_mask is not None:
        spoilt = _classes(examples.logits.argmax(1))
        columns.append((f"hard segmentation ({examples.shape_mask.kind})", clean, spoilt))
    return columns


def _caption(columns: list[tuple[str, NDArray[np.uint8], NDArray | None]]) -> str:
    if len(columns) <= 3:
        return ""
    return (
        "Hard examples are decoded from codes with holes; their truth is that of the image."
        " Early in a training, reconstructions and hard images are blurred or empty."
    )


def _grey(images: Tensor) -> NDArray[np.uint8]:
    """[N, 1, Y, X] within 0 and 1 -> [N, Y, X], 0 to 255."""
    grey: NDArray[np.uint8] = (images[:, 0].float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return grey


def _classes(labels: Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = labels.byte().cpu().numpy()
    return found
