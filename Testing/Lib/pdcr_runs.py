"""Runs of PDCR and UAFR on made-up pictures, which take seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription, Licence
from SegToolkitLib.methods.pdcr_uafr.presets import PRESETS
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.methods.pdcr_uafr.training import METHOD
from SegToolkitLib.settings import load
from small_runs import Heard as Heard
from small_runs import Runs

# None is 6: there, oneDNN of torch 2.13 writes beyond its memory in the backward pass. The last block has
# more channels than those before it, as only then its checkpoint tells its width.
WIDTHS = {
    **{"conv1": 8, "conv2": 8, "block1": 8, "block2": 8, "middle": 8, "last_block": 16},
    **{"conv3": 8, "conv4": 8, "conv5": 8, "aspp": 8, "low_level": 4, "cross": 4, "middle_blocks": 4},
}
SMALL = (
    *(f"network.widths.{name}={value}" for name, value in WIDTHS.items()),
    "network.uafr.hidden=2",
    "input.size=[48,64]",
    "pdcr.margin=1",
    "pdcr.encoder_samples=[8,8]",
    'pdcr.decoder_samples={"low": 8, "mid": 4}',
    "pdcr.cross_samples=[4,4]",
    "optimiser.batch=2",
    "optimiser.epochs=4",
    "optimiser.steps_per_epoch=1",
    "schedule.warm_up=0",
    "validate_every=0",
    "snapshot_every=2",
    "log_every=1",
)


def tiny(*overrides: str) -> PdcrUafrSettings:
    """The quick preset with a network of few channels on 48 x 64 pixels, for four steps."""
    preset = PRESETS["quick"].settings
    assert isinstance(preset, PdcrUafrSettings)
    return load(PdcrUafrSettings, preset, None, [*SMALL, *overrides])


def picture(number: int, size: tuple[int, int] = (60, 80)) -> tuple[np.ndarray, np.ndarray]:
    """Skin with a dark spot, uint8 [rows, columns, 3], and where the spot is, bool [rows, columns]."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[: size[0], : size[1]]
    centre, radius = rng.uniform(0.35, 0.65, 2) * size, rng.uniform(0.2, 0.3) * min(size)
    mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
    image = np.where(mask[..., None], (90, 50, 40), (220, 180, 160)) + rng.normal(0, 8, (*size, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


def made_pictures(folder: Path, ids: Sequence[str] = tuple("123456"), value: int = 1) -> Dataset:
    """Pictures and masks of that value, described by patterns."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, id in enumerate(ids):
        image, mask = picture(number)
        Image.fromarray(image).save(folder / f"image_{id}.png")
        Image.fromarray((mask * value).astype(np.uint8)).save(folder / f"label_{id}.png")
    DatasetDescription(
        name="spots",
        modality="MR",
        pictures=True,
        labels={"background": 0, "spot": 1},
        image_pattern="image_{id}.png",
        label_pattern="label_{id}.png",
        folds=3,
        licence=Licence(name="CC0 1.0", permissive=True),
    ).save(folder / "dataset.json")
    return Dataset.open(folder)


RUNS = Runs(METHOD)
trained = RUNS.trained
