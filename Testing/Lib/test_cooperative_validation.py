"""What a cooperative training shows of itself: figures of the validation, hard examples, pictures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cooperative_runs import tiny
from SegToolkitLib.evaluation import sheet
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative import validation
from SegToolkitLib.methods.cooperative.calibration import calibrated
from SegToolkitLib.methods.cooperative.data import Batch
from SegToolkitLib.methods.cooperative.examples import hard_examples
from SegToolkitLib.methods.cooperative.mask_settings import MaskSettings
from SegToolkitLib.methods.cooperative.measuring import measured, replaced
from SegToolkitLib.methods.cooperative.network import Networks, build_networks
from SegToolkitLib.methods.cooperative.norms import norms_of
from SegToolkitLib.methods.cooperative.pictures import shown, slices_picture
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings, MaskingSettings
from SegToolkitLib.methods.cooperative.stn import Prediction, predict
from SegToolkitLib.methods.cooperative.train import seeded
from SegToolkitLib.training.validation import evaluating

CPU = torch.device("cpu")
NAMES = {1: "left ventricle", 2: "myocardium"}


def _networks(settings: CooperativeSettings) -> Networks:
    return build_networks(settings.network, 3, 0).eval()


def _batch(slices: int = 4, size: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(slices, size, size, dtype=torch.int64)
    labels[1:, 8:20, 8:20] = 1
    labels[2:, 12:16, 12:16] = 2
    return Batch(torch.rand(slices, 1, size, size, generator=generator), labels)


def _scan(label: np.ndarray, id: str = "a") -> Any:
    image = np.random.default_rng(0).random(label.shape, np.float32)
    filled = np.flatnonzero(label.any(axis=(1, 2)))
    return SimpleNamespace(id=id, arrays={"image": image, "label": label.astype(np.uint8), "filled": filled})


def test_figures_are_those_of_the_shape_corrected_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 32
    first, second = np.zeros((2, size, size)), np.zeros((1, size, size))
    first[:, :, :16], second[:, :8] = 1, 1
    found = [torch.from_numpy(one).long() for one in (first.copy(), second.copy())]
    found[0][1, :, :8] = 0  # an eighth of the first scan's pixels is missed

    def given(networks: Networks, images: torch.Tensor, plan: Any) -> Prediction:
        labels = found.pop(0)
        right = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
        return Prediction(torch.zeros_like(right), right, 2, right)

    monkeypatch.setattr(validation, "predict", given)
    settings = tiny()
    scans = [_scan(first), _scan(second, "b")]
    figures = validation.validate(_networks(settings), scans, settings, NAMES, CPU)
    pixels = 3 * size**2
    right = 32 * 32 + 8 * 32  # of the structure, all scans together
    missed = 8 * 32
    background = pixels - right
    expected = {
        "iou": ((right - missed) / right + (background / (background + missed))) / 2,
        "accuracy": 1 - missed / pixels,
        "iou_uncorrected": (0 + background / pixels) / 2,
        "dice": (2 * 768 / (768 + 1024) + 1) / 2,
        "dice_left_ventricle": (2 * 768 / (768 + 1024) + 1) / 2,
    }
    # Nothing is myocardium, and nothing is taken for it: it has no figure.
    assert figures == pytest.approx(expected)


def test_a_single_pass_has_no_uncorrected_figure() -> None:
    settings = tiny("inference.passes=1", "inference.chunk=1", "inference.largest_component=true")
    label = np.zeros((3, 32, 32))
    label[:, 4:9] = 1
    figures = validation.validate(_networks(settings), [_scan(label)], settings, NAMES, CPU)
    assert "iou_uncorrected" not in figures


@pytest.mark.parametrize("kind", ["dropout", "channel", "spatial"])
@pytest.mark.parametrize("loss", ["fit", "correlation"])
def test_hard_examples_are_decoded_from_codes_with_holes(kind: str, loss: str) -> None:
    settings = tiny()
    networks, batch = _networks(settings), _batch()
    mask = MaskSettings(kind=kind, loss=loss, random_threshold=False, soft=False)
    with torch.no_grad():
        made = hard_examples(
            networks, batch.images, batch.labels, MaskingSettings(image=mask, shape=mask), seeded(0)
        )
        codes = networks.encode(batch.images)
    assert made.images is not None
    assert made.logits is not None
    assert made.image_mask is not None
    assert made.shape_mask is not None
    for found, code, decoded, decode in (
        (made.image_mask, codes.image, made.images, networks.reconstruct),
        (made.shape_mask, codes.shape, made.logits, networks.segment),
    ):
        assert found.kind == kind
        assert not found.kept.all()
        assert torch.equal(found.code, code * found.factors)
        assert torch.equal(decoded, decode(found.code))
        assert not decoded.requires_grad
    assert all(one.grad is None for one in networks.parameters())


def test_a_code_that_is_not_masked_gives_no_example() -> None:
    networks, batch = _networks(tiny()), _batch()
    made = hard_examples(
        networks, batch.images, batch.labels, MaskingSettings(image=None, shape=MaskSettings()), seeded(0)
    )
    assert made.images is None
    assert made.logits is not None


def _alike(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_measured_statistics_are_those_of_predictions_and_leave_no_trace() -> None:
    settings = tiny("network.encoder_dropout=0.5")
    networks, images = _networks(settings).train(), _batch(8).images
    before = {key: value.clone() for key, value in networks.state_dict().items()}
    found = measured(networks, [images], CPU)
    assert all(torch.equal(value, before[key]) for key, value in networks.state_dict().items())
    assert all(module.training for module in networks.modules())
    assert all(norm.momentum == 0.1 for norm in norms_of(networks))
    networks.eval()
    with torch.no_grad():
        fresh = predict(networks, images, settings.inference)
    with torch.no_grad(), replaced(networks, found):
        in_use = predict(networks, images, settings.inference)
        twice = measured(networks, [images, images], CPU)
    for norm in norms_of(networks):
        norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
    with torch.no_grad():
        of_batch = predict(networks, images, settings.inference)
    # Unbiased variances make a difference on the smallest maps, but a small one.
    assert _alike(in_use.last, of_batch.last) > 0.97 > _alike(fresh.last, of_batch.last)
    for key, value in twice.items():
        if value.is_floating_point():
            assert torch.allclose(value, found[key], atol=1e-5), key


def test_pictures_show_slices_with_structures() -> None:
    assert shown(_batch(8)).labels.flatten(1).any(1).tolist() == [True] * 3
    assert len(shown(_batch(2)).labels) == 1
    empty = Batch(torch.zeros(2, 1, 32, 32), torch.zeros(2, 32, 32, dtype=torch.int64))
    assert len(shown(empty).labels) > 0


def test_pictures_are_the_same_each_time_and_show_what_the_mode_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, files = {}, []
    monkeypatch.setattr(sheet, "TILE_SIZE", 128)  # large ones take their time
    for name, words in {
        "cooperative": (),
        "again": (),
        "images": ("step.masking.shape=null",),
        "standard": ("step.mode=standard",),
    }.items():
        settings = tiny(*words)
        networks, path = _networks(settings), tmp_path / f"{name}.png"
        with evaluating(networks):
            batch = shown(_batch())
            slices_picture(networks, batch, settings, NAMES, path, "Case a", seeded(1, 4), CPU)
        files.append(path.read_bytes())
        with Image.open(path) as picture:
            sizes[name] = picture.size
    assert files[0] == files[1]
    assert sizes["cooperative"][0] > sizes["images"][0] > sizes["standard"][0]


def test_usual_slices_are_learnt_from_no_more_than_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("SegToolkitLib.methods.cooperative.calibration.MOST_SLICES", 6)
    settings = tiny()
    label = np.zeros((5, 40, 40))
    label[:, 4:9] = 1
    networks = _networks(settings).train()
    found = calibrated(networks, [_scan(label)] * 2, [_scan(label)], settings, CPU, Reporter())
    assert (found.source, found.slices) == ("held-out", 5)
    assert networks.training
    # Of ten slices, every second: not more than six, and as far apart as each other.
    assert calibrated(networks, [_scan(label)] * 2, [], settings, CPU, Reporter()).slices == 5
