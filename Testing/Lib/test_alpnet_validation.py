"""ALPNet's validation: held-out scans, the same episodes every time, a picture of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.data import Episode
from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
from SegToolkitLib.methods.alpnet.training import METHOD
from SegToolkitLib.methods.alpnet.training_data import load_training_data
from SegToolkitLib.methods.alpnet.validation import (
    PICTURE_BYTES,
    Example,
    episodes_picture,
    flips_of,
    held_out_scans,
)
from SegToolkitLib.phantom import phantom
from SegToolkitLib.settings import load
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.session import run_training
from SegToolkitLib.training.start import Start
from SegToolkitLib.volume import write_volume

SETTINGS = [
    "network.compact_widths=[8,8,16,16]",
    "network.channels=32",
    "network.train_window=2",
    "optimiser.steps=4",
    "optimiser.pairs_per_step=1",
    "episodes.structures=2",
    "data.superpixel_min_sizes=[60]",
    "log_every=1",
    "max_skip_share=1",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed in range(1, 5):
        write_volume(phantom(seed, size=(64, 64), slices=12).image, folder / f"image_{seed}.nii.gz")
    description = {"name": "tiny", "modality": "MR", "labels": {"background": 0}, "folds": 4}
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def settings(*more: str) -> AlpnetSettings:
    return load(AlpnetSettings, PRESETS["compact"], None, [*SETTINGS, *more])


@pytest.mark.parametrize(("fold", "ids"), [("0", ["1", "2"]), ("null", ["1", "2", "3", "4"])])
def test_the_scans_that_the_fold_holds_out_are_validated_on(
    data: Path, tmp_path: Path, fold: str, ids: list[str]
) -> None:
    asked = settings(f"data.fold={fold}")
    dataset = Dataset.open(data)
    superpixels = tmp_path / "superpixels"
    training = load_training_data(dataset, asked, superpixels, Reporter())
    held_out = held_out_scans(dataset, asked, training, superpixels, Reporter())
    assert [scan.id for scan in held_out] == ids
    assert all(abs(float(scan.image.mean())) < 1e-3 for scan in held_out)


def test_scans_of_several_sizes_are_validated_on_together(tmp_path: Path) -> None:
    for seed, rows in ((1, 64), (2, 72), (3, 64), (4, 64)):
        write_volume(phantom(seed, size=(rows, 64), slices=12).image, tmp_path / f"image_{seed}.nii.gz")
    description = {"name": "tiny", "modality": "MR", "labels": {"background": 0}, "folds": 4}
    (tmp_path / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    run = RunFolder(tmp_path / "run")
    asked = settings("validate_every=4", "data.fold=0")
    assert run_training(METHOD, run.path, asked, Start(str(tmp_path)), "cpu", Reporter())
    [figures] = run.events("validation")
    assert 0 < figures["dice"] <= 1


def test_validation_writes_figures_pictures_and_the_card_and_changes_no_loss(
    data: Path, tmp_path: Path
) -> None:
    losses, figures = [], []
    for name, every in (("with", 2), ("again", 2), ("without", 0)):
        run = RunFolder(tmp_path / name)
        start = Start(str(data), places={"superpixels": tmp_path / "superpixels"})
        asked = settings(f"validate_every={every}")
        assert run_training(METHOD, run.path, asked, start, "cpu", Reporter())
        losses.append([(event["loss"], event["alignment_loss"]) for event in run.events("metric")])
        figures.append([(event["dice"], event["loss"]) for event in run.events("validation")])
    assert losses[0] == losses[1] == losses[2]
    assert figures[0] == figures[1]
    assert len(figures[0]) == 2
    assert all(0 < dice <= 1 for dice, _ in figures[0])
    run = RunFolder(tmp_path / "with")
    for event in run.events("validation"):
        [name] = event["pictures"]
        assert (run.path / name).stat().st_size <= PICTURE_BYTES
    card = json.loads((run.result / "model" / "model.json").read_text())
    best = [event for event in run.events("validation") if event["best"]][-1]
    assert card["metrics"]["validation"]["dice"] == best["dice"]


def test_the_picture_shows_truth_as_a_line_and_the_prediction_as_a_fill(tmp_path: Path) -> None:
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[0, 16:48, 16:48] = 1
    black = np.zeros((64, 64), np.float32)
    example = Example(Episode(black, black, mask, mask), 0, mask[0], 1.0)
    path = episodes_picture([example, example], tmp_path / "p.png")
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert pixels.shape == (448, 448, 3)
    support, query = pixels[112, 112], pixels[224 + 112, 112]
    assert support.tolist() == [0, 0, 0]
    assert query[2] > query[0] > 0  # the second colour of the palette, half through
    edge = pixels[224 + 112, 52:60]
    assert (edge[:, 0] > 150).any()  # the first colour, opaque
    lopsided = mask.copy()
    lopsided[0, 20:] = 0  # a strip in the upper half
    strip = Example(Episode(black, black, lopsided, lopsided), 0, lopsided[0], 1.0)
    for orientation, row in (("LPS", 60), ("LAS", 224 - 60)):
        picture = episodes_picture([strip], tmp_path / "o.png", flips_of(orientation))
        shown = np.asarray(Image.open(picture).convert("RGB")).astype(int)
        assert shown[224 + row, 112, 2] > 50, orientation
    noisy = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    large = np.ones((1, 256, 256), np.uint8)
    busy = [Example(Episode(noisy, noisy, large, large), 0, large[0], 1.0)] * 4
    assert episodes_picture(busy, tmp_path / "q.png").stat().st_size <= PICTURE_BYTES


def test_nothing_that_needs_torch_is_asked_of_a_network_without_episodes() -> None:
    task = METHOD.trial(settings("validate_every=0"), None, torch.device("cpu"))
    assert task.validate() == {}
    assert task.pictures(Path("nowhere"), 1) == []
