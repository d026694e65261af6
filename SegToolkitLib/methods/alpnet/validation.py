"""Validation without labels: superpixel episodes of the scans that the fold holds out.

The authors do not validate. A superpixel of an unseen scan, outlined on one view of a slice and looked for
on another, asks for the same thing as training does, so its Dice tells when the network stops getting better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.measure import find_contours
from torch import Tensor

from SegToolkitLib.atomic import replacing
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.data import Episode, Scan, slice_size
from SegToolkitLib.methods.alpnet.loss import Pooling, episode_scores, segmentation_loss, upsample
from SegToolkitLib.methods.alpnet.network import ALPNet
from SegToolkitLib.methods.alpnet.prototypes import NoPrototypeError, resize_mask
from SegToolkitLib.methods.alpnet.settings import AlpnetSettings
from SegToolkitLib.methods.alpnet.superpixel_files import pseudo_labels_of
from SegToolkitLib.methods.alpnet.superpixels import worker_pool
from SegToolkitLib.methods.alpnet.training_data import (
    THRESHOLD_HINT,
    TrainingData,
    excluded_slices,
    superpixel_settings,
)
from SegToolkitLib.palette import label_colour
from SegToolkitLib.volume import read_volume

# Added to the run's seed: where no scan is held out, the episodes at least are not those of the training.
SEED_OFFSET = 1_000_003
DRAWS = 16
SLICES_AT_ONCE = 4
SHOWN = 4
PICTURE_BYTES = 150_000
FILL_OPACITY = 0.45
UPRIGHT = (False, False)


@dataclass(frozen=True)
class Example:
    """An episode of the validation with what was found of one of its structures, a 0/1 mask [H, W]."""

    episode: Episode
    structure: int
    predicted: NDArray[np.uint8]
    dice: float


def held_out_scans(
    dataset: Dataset,
    settings: AlpnetSettings,
    data: TrainingData,
    superpixels: Path,
    reporter: Reporter,
    replace: bool = True,
) -> list[Scan]:
    """The scans to validate on: those that the fold holds out, or all where it holds out none.

    Their pseudo-labels are made where they are missing; they are normalised like the training scans. The
    arguments are those of :func:`load_training_data`.
    """
    if data.split is None:
        return data.scans
    options = superpixel_settings(dataset, settings.data)
    ids = data.split.validation
    scans = []
    with worker_pool() as pool:
        for done, id in enumerate(ids, start=1):
            volume = read_volume(dataset.case(id).image)
            rows, columns = slice_size(dataset.description, volume.voxels.shape)
            maps = [
                pseudo_labels_of(
                    id, volume, one, superpixels, reporter, pool, hint=THRESHOLD_HINT, replace=replace
                )
                for one in options
            ]
            scans.append(
                Scan(
                    id,
                    data.normalisation(volume.voxels, id)[:, :rows, :columns],
                    tuple(labels.voxels[:, :rows, :columns] for labels in maps),
                    frozenset(excluded_slices(dataset, id, settings.data)),
                )
            )
            reporter.progress("superpixels of held-out scans", done, len(ids))
    return scans


def validate(
    network: ALPNet,
    episodes: Sequence[Episode],
    pooling: Pooling,
    settings: AlpnetSettings,
    device: torch.device,
) -> tuple[dict[str, float], list[Example]]:
    """Mean loss and Dice over every structure of the episodes, and a few of them as examples.

    Args:
        network: in evaluation mode.
        episodes: the same at every validation.
        pooling: as in training.
        settings: of the run.
        device: of the network.

    Returns:
        ``{"dice", "loss"}`` (empty where no episode gave a prototype), and examples.
    """
    losses: list[float] = []
    dices: list[float] = []
    examples: list[Example] = []
    for start in range(0, len(episodes), SLICES_AT_ONCE):
        part = episodes[start : start + SLICES_AT_ONCE]
        slices = [episode.support for episode in part] + [episode.query for episode in part]
        features = _features(network, slices, device)
        for index, episode in enumerate(part):
            support, query = features[index], features[len(part) + index]
            found = [
                _structure(support, query, episode, number, pooling, settings)
                for number in range(len(episode.support_masks))
            ]
            losses += [one[0] for one in found if one]
            dices += [one[1] for one in found if one]
            number = int(episode.query_masks.sum((1, 2)).argmax())
            if one := found[number]:
                examples.append(Example(episode, number, one[2], one[1]))
    if not dices:
        return {}, []
    # The largest structures, which are the same at every validation: slivers show nothing.
    examples.sort(key=lambda one: -int(one.episode.query_masks[one.structure].sum()))
    return {"dice": sum(dices) / len(dices), "loss": sum(losses) / len(losses)}, examples[:SHOWN]


def _features(network: ALPNet, slices: Sequence[NDArray], device: torch.device) -> list[Tensor]:
    """Of each slice [1, C, h, w]: together where they have one size, which held-out scans need not have."""
    tensors = [torch.as_tensor(one)[None].to(device) for one in slices]
    if len({one.shape for one in tensors}) == 1:
        return list(network(torch.cat(tensors)).float().split(1))
    return [network(one).float() for one in tensors]


def _structure(
    support: Tensor,
    query: Tensor,
    episode: Episode,
    number: int,
    pooling: Pooling,
    settings: AlpnetSettings,
) -> tuple[float, float, NDArray[np.uint8]] | None:
    """Loss, Dice and prediction of one structure; None where it cannot be looked for."""
    outlined, truth = (
        torch.as_tensor(masks[number])[None].to(query.device)
        for masks in (episode.support_masks, episode.query_masks)
    )
    size = (support.shape[-2], support.shape[-1])
    foreground = outlined.float()
    with torch.autocast(query.device.type, enabled=False):
        try:
            low, _ = episode_scores(
                query, support, resize_mask(foreground, size), resize_mask(1 - foreground, size), pooling
            )
        except NoPrototypeError:
            return None
        scores = upsample(low, truth.shape[-2:])
        loss = float(segmentation_loss(scores, truth, settings.episodes.background_weight))
    predicted = scores.argmax(1)
    both = int(predicted.sum()) + int(truth.sum())
    if both == 0 or not math.isfinite(loss):
        return None  # the view has moved the structure out of the slice, and none was found
    dice = 2 * int((predicted * truth).sum()) / both
    return loss, dice, predicted[0].to(torch.uint8).cpu().numpy()


def episodes_picture(examples: Sequence[Example], path: Path, flips: tuple[bool, bool] = UPRIGHT) -> Path:
    """Write a picture: each column an example, above the outlined support, below the query with the true
    outline as a line and the prediction as a fill. It takes 150 KB at most.

    Args:
        examples: at least one.
        path: of the PNG.
        flips: see :func:`flips_of`.
    """
    cell = 224
    while True:
        sheet = Image.new("RGB", (len(examples) * cell, 2 * cell))
        for column, example in enumerate(examples):
            episode = example.episode
            outlined, truth = (m[example.structure] for m in (episode.support_masks, episode.query_masks))
            text = f"Dice {example.dice:.2f}"
            above = _tile(episode.support, outlined, None, flips, cell, "example")
            below = _tile(episode.query, truth, example.predicted, flips, cell, text)
            sheet.paste(above, (column * cell, 0))
            sheet.paste(below, (column * cell, cell))
        with replacing(path) as temporary:
            # Few colours, because a PNG of noisy greys in full colour is three times as large.
            sheet.quantize(128, dither=Image.Dither.NONE).save(temporary, optimize=True)
        if path.stat().st_size <= PICTURE_BYTES or cell < 64:
            return path
        cell = cell * 3 // 4


def flips_of(orientation: str) -> tuple[bool, bool]:
    """Whether rows and columns are to be reversed so that axial slices lie as radiologists look at them.

    Args:
        orientation: where i, j and k increase to, such as "LAS".
    """
    return orientation[1:2] == "A", orientation[:1] == "R"


def _tile(
    image: NDArray,
    truth: NDArray,
    predicted: NDArray | None,
    flips: tuple[bool, bool],
    cell: int,
    text: str,
) -> Image.Image:
    image, truth = _flipped(image, flips), _flipped(truth, flips)
    low, high = np.percentile(image, (1, 99.5))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255
    scale = cell / max(image.shape)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    base = Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    if predicted is not None:
        mask = Image.fromarray((_flipped(predicted, flips) * round(255 * FILL_OPACITY)).astype(np.uint8))
        base.paste(label_colour(2), (0, 0, *size), mask.resize(size, Image.Resampling.NEAREST))
    draw = ImageDraw.Draw(base)
    for contour in find_contours(np.pad(truth.astype(np.float32), 1), 0.5):
        # Index 0 of the padded slice is the centre of the pixel before the first.
        draw.line([((c - 0.5) * scale, (r - 0.5) * scale) for r, c in contour], label_colour(1), 1)
    draw.text((4, 2), text, (255, 255, 255))
    tile = Image.new("RGB", (cell, cell))
    tile.paste(base, ((cell - size[0]) // 2, (cell - size[1]) // 2))
    return tile


def _flipped(plane: NDArray, flips: tuple[bool, bool]) -> NDArray:
    return plane[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
