"""The reader of tolerance sentences, and that further cases of the known kinds run as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import parity.alpnet
import parity.cssn
import parity.cssn_data
import parity.cssn_metrics
import parity.cssn_regions  # noqa: F401 (they register their checks)
from parity.case import Case, run_check
from parity.tolerance import assert_close
from SegToolkitLib.methods.alpnet import augment
from SegToolkitLib.methods.alpnet.loss import Pooling, alignment_loss
from SegToolkitLib.methods.alpnet.prepare_steps import PrepareSettings, prepare_arrays
from SegToolkitLib.methods.alpnet.prototypes import prototypes, score
from SegToolkitLib.methods.alpnet.superpixels import SuperpixelSettings, volume_pseudo_labels

STEPS = "relative 1e-3 at step 0, 1e-2 at step 1, 5e-2 at step 2"
FIRST = "step 0: relative 2e-2 (later steps informative only)"
GROUPS = "relative 0.15 for conv weights, exactly 0 for asppconv (no gradient, so no decay), 2e-3 for running"
TEN, HUNDRED = np.full(10, 10.0), np.arange(100.0)


def off(values: np.ndarray, by: float, count: int | None = None) -> np.ndarray:
    """Return ``values`` with the first ``count`` (all) changed by ``by``."""
    changed = np.array(values, dtype=float)
    changed.reshape(-1)[:count] += by
    return changed


@pytest.mark.parametrize(
    ("sentence", "allowed"),
    [
        *((f"{words} 1e-3", 1e-3) for words in ("max abs diff <=", "max abs error <=", "abs error <=")),
        *((f"{words} 1e-3", 1e-3) for words in ("abs diff <", "max abs <=", "max abs <", "Max abs error ≤")),
        ("0.001", 1e-3),
        ("1e-3", 1e-3),
        ("max abs diff <= 1.0 (integer rounding)", 1.0),
        *((f"{words} 1e-3", 1e-2) for words in ("relative", "rel error <=", "max rel diff <=", "rel <=")),
        *(
            (f"{words} 1e-3", 1e-2)
            for words in ("relative error", "relative error <", "max relative error <=")
        ),
        *((f"max abs diff <= 1e-3{words}", 1e-2) for words in (" * max|expected|", " x max|expected|")),
        ("max abs error <= 1e-3 of the array maximum", 1e-2),
        ("max abs diff <= 1e-3 * max(1, max|expected|)", 1e-2),
        ("mean abs diff <= 0.003", 3e-3),
        ("mean abs diff <= 0.1, max abs diff <= 0.01", 1e-2),
        ("mean abs diff <= 0.003 and 99 % of pixels within 0.03", 3e-3),
    ],
)
def test_bounds(sentence: str, allowed: float) -> None:
    assert_close({"x": sentence}, "x", off(TEN, 0.9 * allowed), TEN, "x")
    with pytest.raises(AssertionError, match="x"):
        assert_close({"x": sentence}, "x", off(TEN, 1.1 * allowed), TEN, "x")
    with pytest.raises(AssertionError, match="x"):
        assert_close({"x": sentence}, "x", off(TEN, np.nan, 1), TEN, "x")


@pytest.mark.parametrize(
    ("sentence", "passes", "fails"),
    [
        *((words, 0, 1) for words in ("equal", "identical", "bit-identical", "exact", "equal everywhere")),
        ("adjusted Rand >= 0.999 (identical expected)", 0, 50),
        ("equal on >= 99 % of voxels", 1, 2),
        ("equal on >=98% of elements", 2, 3),
        ("argmax equal on >= 95 % of cells", 5, 6),
        ("identical on >= 90 percent of entries", 10, 11),
        (">= 99 % of values equal", 1, 2),
        ("99 % of pixels within 0.5", 1, 2),
        (">=99% of values within 1e-2", 1, 2),
        ("mean abs diff <= 1, 97 % of values within 0.5", 3, 4),
    ],
)
def test_shares(sentence: str, passes: int, fails: int) -> None:
    """``passes`` of a hundred values may be off by one, ``fails`` may not."""
    expected = HUNDRED // 10
    assert_close({"x": sentence}, "x", off(expected, 1, passes), expected, "x")
    with pytest.raises(AssertionError, match="x"):
        assert_close({"x": sentence}, "x", off(expected, 1, fails), expected, "x")


def test_a_slice_counts_as_equal_only_as_a_whole() -> None:
    expected = np.zeros((10, 4, 4))
    assert_close({"x": "equal on >= 90 % of slices"}, "x", off(expected, 1, 16), expected, "x")
    with pytest.raises(AssertionError, match=r"80\.000 %"):
        assert_close({"x": "equal on >= 90 % of slices"}, "x", off(expected, 1, 17), expected, "x")


def test_dice() -> None:
    expected = np.arange(200) < 100
    assert_close({"x": "Dice >= 0.99"}, "x", np.arange(200) < 101, expected, "x")
    assert_close({"x": "Dice >= 0.99"}, "x", np.zeros(5), np.zeros(5), "x")
    with pytest.raises(AssertionError, match="Dice"):
        assert_close({"x": "Dice >= 0.99"}, "x", np.arange(200) < 103, expected, "x")


@pytest.mark.parametrize(
    ("sentence", "which", "allowed"),
    [
        *((STEPS, {"step": step}, limit) for step, limit in enumerate([1e-3, 1e-2, 5e-2, 5e-2, 5e-2])),
        *(("relative 1e-3 at every step", {"step": step}, 1e-3) for step in (0, 4)),
        *(("relative 1e-3", {"step": step}, 1e-3) for step in (0, 4)),
        *(
            ("relative 1e-3 at step 0, 1e-2 at steps 1 and 2", {"step": step}, limit)
            for step, limit in enumerate([1e-3, 1e-2, 1e-2, 1e-2])
        ),
        *(
            ("relative 1e-3 at step 0 and 1e-2 at steps 1-3, 2e-2 later", {"step": step}, limit)
            for step, limit in enumerate([1e-3, 1e-2, 1e-2, 1e-2, 2e-2])
        ),
        *(
            ("step 0: rel error <= 1e-3, 1e-2 later", {"step": step}, limit)
            for step, limit in enumerate([1e-3, 1e-2, 1e-2])
        ),
        *(
            (f"relative 1e-3 at step 0, {words}", {"step": step}, limit)
            for words in ("1e-2 at step 1 and later", "1e-2 after step 0", "1e-2 for later steps")
            for step, limit in enumerate([1e-3, 1e-2, 1e-2])
        ),
        ("relative 1e-3 (step 0), 1e-2 (step 1)", {"step": 1}, 1e-2),
        ("relative 1e-3 at step 0 and step 1, 1e-2 at steps >= 2", {"step": 1}, 1e-3),
        ("relative 1e-3 at step 0 (1e-2 at step 1)", {"step": 1}, 1e-2),
        (FIRST, {"step": 0}, 2e-2),
        ("relative 2e-2 at step 0; later steps informative only", {"step": 0}, 2e-2),
        (GROUPS, {"group": ("conv",)}, 0.15),
        (GROUPS, {"group": ("running",)}, 2e-3),
        ("relative 1e-2 for conv weights, 1e-3 for the rest", {"group": ("running",)}, 1e-3),
    ],
)
def test_clauses_of_steps_and_groups(sentence: str, which: dict[str, Any], allowed: float) -> None:
    assert assert_close({"x": sentence}, "x", off(TEN, 9 * allowed), TEN, "x", **which)
    with pytest.raises(AssertionError, match="not met"):
        assert_close({"x": sentence}, "x", off(TEN, 11 * allowed), TEN, "x", **which)


def test_only_what_is_called_informative_is_free() -> None:
    for sentence in (FIRST, "relative 2e-2 at step 0; later steps informative only"):
        assert not assert_close({"x": sentence}, "x", TEN, -TEN, "x", step=1)
    with pytest.raises(AssertionError, match="says nothing"):
        assert_close({"x": "relative 1 for conv weights"}, "x", TEN, TEN, "x", group=("running",))


def test_exactly_zero() -> None:
    zeros = np.zeros(3)
    assert_close({"x": GROUPS}, "x", zeros, zeros, "x", group=("asppconv",))
    for got, expected in ((off(zeros, 1e-9), zeros), (off(zeros, 1), off(zeros, 1))):
        with pytest.raises(AssertionError, match="values"):
            assert_close({"x": GROUPS}, "x", got, expected, "x", group=("asppconv",))


@pytest.mark.parametrize(
    "sentence",
    ["about right", "relative", "max abs diff 1e-3 or so", "1e-3 at the last step", "1 % of pixels", ""],
)
def test_unknown_words_fail(sentence: str) -> None:
    with pytest.raises(AssertionError, match=r"words|says nothing"):
        assert_close({"x": sentence}, "x", TEN, TEN, "x", step=0)
    with pytest.raises(AssertionError, match="states no tolerance"):
        assert_close({"y": "equal"}, "x", TEN, TEN, "x")


@pytest.mark.parametrize("sentence", ["equal", "1e-6", "relative 1e-6", "equal on >= 50 % of values"])
def test_shapes_nan_and_empty(sentence: str) -> None:
    nan = np.array([1.0, np.nan])
    assert_close({"x": sentence}, "x", torch.tensor(2.0), np.array([2.0]), "x")
    assert_close({"x": sentence}, "x", nan, nan, "x")
    assert_close({"x": sentence}, "x", np.zeros((0, 3)), np.zeros((0, 3)), "x")
    for got, expected in (
        (TEN, np.zeros(0)),
        (np.zeros(1), np.zeros(0)),
        (np.zeros((0, 3)), np.zeros((0, 4))),
    ):
        with pytest.raises(AssertionError, match="shape"):
            assert_close({"x": sentence}, "x", got, expected, "x")
    with pytest.raises(AssertionError, match="x"):
        assert_close({"x": sentence}, "x", np.full(2, np.nan), np.ones(2), "x")


def test_references_between_entries() -> None:
    tolerances = {"a": "1e-2", "b": "same", "c": "same as a"}
    for key in tolerances:
        assert_close(tolerances, key, off(TEN, 0.009), TEN, "x")
        with pytest.raises(AssertionError, match="not met"):
            assert_close(tolerances, key, off(TEN, 0.011), TEN, "x")


@pytest.mark.parametrize(
    ("tolerances", "allowed"),
    [
        ({"rtol": 1e-3, "atol": 0.002}, 0.012),
        ({"x_rtol": 0.01, "rtol": 1e-6, "atol": 1e-6}, 0.1),
        ({"x_atol": 0.02, "x_rtol": 0.01}, 0.12),
        ({"atol": 1e-8, "other": "equal"}, 1e-8),
        ({"x": "max abs diff <= 0.5", "x_rtol": 1e-9, "all": "exact"}, 0.5),
    ],
)
def test_numbers_of_an_entry_each_bound_the_sum(tolerances: dict[str, Any], allowed: float) -> None:
    assert_close(tolerances, "x", off(TEN, 0.9 * allowed), TEN, "x")
    for by in (1.1 * allowed, np.nan):
        with pytest.raises(AssertionError, match="x"):
            assert_close(tolerances, "x", off(TEN, by, 1), TEN, "x")


def test_what_is_said_of_all_holds_where_nothing_else_is_said() -> None:
    assert_close({"all": "exact"}, "x", TEN, TEN, "x")
    with pytest.raises(AssertionError, match="values differ"):
        assert_close({"all": "exact"}, "x", off(TEN, 1e-6, 1), TEN, "x")
    with pytest.raises(AssertionError, match="states no tolerance"):
        assert_close({"y_rtol": 1e-3, "y": "equal"}, "x", TEN, TEN, "x")


Spec = tuple[dict[str, Any], dict[str, str], dict[str, np.ndarray]]
RNG = np.random.default_rng(5)


def noise(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def further_alp_module() -> Spec:
    """Other channels, shape, shots and windows; no gradient w.r.t. the support, no mode "mask"."""
    mask = np.zeros((1, 3, 1, 12, 18), np.float32)
    mask[..., :6, :9] = 1
    arrays = {"query": noise(1, 1, 6, 12, 18), "support": noise(1, 3, 1, 6, 12, 18), "fg_mask": mask}
    query = torch.from_numpy(arrays["query"])[0].requires_grad_()
    protos = prototypes(
        torch.from_numpy(arrays["support"])[0, :, 0], torch.from_numpy(mask)[0], "gridconv", (2, 3), 0.9
    )
    scores, assigned = score(query, protos)
    (scores * torch.linspace(-1, 1, scores.numel()).reshape(scores.shape)).sum().backward()
    arrays |= {
        "grid_fg_val": scores.detach().numpy(),
        "grid_fg_val_assign": assigned.numpy().astype(np.int16),
        "grid_fg_val_gq": query.grad[None].numpy(),
    }
    settings = {"train_window": [4, 4], "val_window": [2, 3], "threshold": 0.9}
    return settings, {"scores": "max abs error < 1e-4", "assign": "identical", "gradients": "1e-3"}, arrays


def further_losses() -> Spec:
    """Two shots with masks of their own; no segmentation loss."""
    foreground = np.zeros((2, 32, 32), np.float32)
    foreground[0, 8:20, 8:20] = foreground[1, 12:30, 4:16] = 1
    arrays = {
        "query": noise(1, 5, 8, 8),
        "support": noise(1, 2, 5, 8, 8),
        "pred_z": noise(1, 2, 8, 8),
        "fg_mask": foreground,
        "bg_mask": 1 - foreground,
    }
    arrays["pred_z"][:, 0, :, :4] = 9
    query, support, scores, front, back = map(torch.from_numpy, arrays.values())
    loss = alignment_loss(query, support[0], scores, front, back, Pooling((2, 2), 0.8))
    arrays["align_z"] = loss.numpy().reshape(1)
    settings = {"train_window": [2, 2], "threshold": 0.8, "n_shots": 2}
    return settings, {"losses": "rel error <= 1e-4"}, arrays


def further_superpixels() -> Spec:
    """One site of another name, the rule that numbers without gaps, nothing but its result."""
    volume = RNG.integers(0, 5, (2, 8, 8)).repeat(8, 1).repeat(8, 2).astype(np.float32) * 40
    labels = volume_pseudo_labels(volume, SuperpixelSettings(1, 0.5, 30, 20, "present"))
    settings = {"scale": 1, "sigma": 0.5, "min_size": 30, "fg_thresh": {"brain": 20}, "relabel": "present"}
    tolerances = {"superpix": "equal when raw is equal"}
    return settings, tolerances, {"brain_image": volume, "brain_superpix": labels}


def further_preprocess() -> Spec:
    """Only MR, without a label; scans of which one has no prediction."""
    volume = RNG.integers(0, 900, (3, 40, 36)).astype(np.int16)
    spacing = np.array([1.5, 1.5, 6.0], np.float32)
    chosen = PrepareSettings(clip_top=1, spacing=(1.25, 1.25, 5.0), size=48)
    pred, gt = np.zeros((2, 2, 6, 6), np.uint8), np.zeros((2, 2, 6, 6), np.uint8)
    pred[0, :, :3] = gt[:, :, :2] = 1
    arrays = {
        "mr_input": volume,
        "mr_spacing": spacing,
        "mr_out": prepare_arrays(volume, None, spacing, chosen)[0],
        "pred": pred,
        "gt": gt,
        "dice_per_scan": np.array([0.8, 0.0]),
        "precision_recall": np.array([np.nan, 0.5]),
    }
    settings = {"mr": {"clip_percentile": 99, "spacing": [1.25, 1.25, 5.0], "crop": [48, 48]}}
    return settings, {"mr_out": "max abs diff <= 1.0", "dice": "1e-6"}, arrays


def further_augment() -> Spec:
    """No label, no noise; matrix and image alone."""
    images = np.abs(noise(2, 24, 30))
    params = np.array([[4, 1, -2, 3, 1.1, 0.8], [-3, 2, 0, 1, 0.95, 1.3]], np.float32)
    views = [
        augment.View(float(p[0]), (float(p[1]), float(p[2])), float(p[3]), float(p[4]), float(p[5]), noise(2))
        for p in params
    ]
    matrices = [augment.affine_matrix(view, (24, 30)) for view in views]
    warped = [augment.warp_affine(i[None], m)[0] for i, m in zip(images, matrices, strict=True)]
    arrays = {
        "image": images,
        "params": params,
        "matrix": np.stack(matrices),
        "affine_image": np.stack(warped),
    }
    tolerances = {"matrix": "1e-4", "affine_image": "mean abs diff <= 0.003, 99 % of pixels within 0.03"}
    return {"config": "sabs_aug"}, tolerances, arrays


FURTHER = {
    "alp_module": (further_alp_module, "grid_fg_val"),
    "losses": (further_losses, "align_z"),
    "superpixels": (further_superpixels, "brain_superpix"),
    "preprocess_protocol": (further_preprocess, "mr_out"),
    "augment": (further_augment, "affine_image"),
}


def written(folder: Path, kind: str, spec: Spec) -> Case:
    settings, tolerances, arrays = spec
    path = folder / "further.json"
    known = {"method": "alpnet", "kind": kind, "settings": settings, "tolerance": tolerances}
    path.write_text(json.dumps(known), encoding="utf-8")
    np.savez(path.with_suffix(".npz"), **arrays)
    return Case.load(path)


@pytest.mark.parametrize("kind", FURTHER)
def test_a_further_case_runs_and_a_wrong_number_in_it_fails(tmp_path: Path, kind: str) -> None:
    make, expected = FURTHER[kind]
    settings, tolerances, arrays = make()
    run_check(written(tmp_path, kind, (settings, tolerances, arrays)))
    wrong = {**arrays, expected: arrays[expected] + arrays[expected].dtype.type(7)}
    with pytest.raises(AssertionError, match=expected):
        run_check(written(tmp_path, kind, (settings, tolerances, wrong)))


@pytest.mark.parametrize("kind", FURTHER)
def test_a_case_that_compares_nothing_fails(tmp_path: Path, kind: str) -> None:
    settings, tolerances, arrays = FURTHER[kind][0]()
    inputs = {"query", "support", "fg_mask", "bg_mask", "image", "params", "brain_image"}
    bare = {name: array for name, array in arrays.items() if name in inputs}
    with pytest.raises(AssertionError, match="no expected array was compared"):
        run_check(written(tmp_path, kind, (settings, tolerances, bare)))


def test_an_unknown_kind_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no check for method 'alpnet', kind 'astrology'"):
        run_check(written(tmp_path, "astrology", ({}, {}, {})))


def test_a_crop_that_is_not_square_is_refused(tmp_path: Path) -> None:
    settings, tolerances, arrays = further_preprocess()
    settings["mr"]["crop"] = [48, 40]
    with pytest.raises(AssertionError, match="squares only"):
        run_check(written(tmp_path, "preprocess_protocol", (settings, tolerances, arrays)))


@pytest.mark.parametrize("precision", [np.nan, 1 / 3, 2 / 3])
def test_a_scan_without_prediction_has_the_precision_that_the_case_gives_it(
    tmp_path: Path, precision: float
) -> None:
    settings, tolerances, arrays = further_preprocess()
    arrays["precision_recall"] = np.array([precision, 0.5])
    run_check(written(tmp_path, "preprocess_protocol", (settings, tolerances, arrays)))
    arrays["precision_recall"] = np.array([precision, 0.6])
    with pytest.raises(AssertionError, match="precision_recall"):
        run_check(written(tmp_path, "preprocess_protocol", (settings, tolerances, arrays)))
