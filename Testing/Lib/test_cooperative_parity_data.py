"""Further cooperative cases of the known kinds run as they are: other sizes, classes, draws, tolerances."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity.cooperative_data  # noqa: F401 (registers its checks)
from parity.case import Case, run_check
from parity.cooperative_data import with_sentences
from SegToolkitLib.evaluation.artefacts import terms

Spec = dict[str, Any]
RNG = np.random.default_rng(11)
CLOSE = {"atol": 1e-4}


def further_pipeline() -> Spec:
    """Percentiles that change nothing, halved columns, odd numbers to crop and to pad, a half turn."""
    volume = RNG.random((2, 23, 14)).astype(np.float32)
    # Percentiles 0 and 100 of these values change nothing.
    volume[0, 0, :2] = 0, 1
    label = RNG.integers(0, 3, volume.shape).astype(np.int32)
    # Spacing 1 and 2 to 1: rows stay, columns double; the last half pixel lies outside of the label.
    image = volume[1]
    wide = np.repeat(image, 2, axis=1)
    wide[:, 1:-1:2] = (image[:, :-1] + image[:, 1:]) / 2
    wide_label = np.zeros((23, 28), np.int32)
    wide_label[:, 0::2], wide_label[:, 1:-1:2] = label[1], label[1][:, 1:]
    wide[:, -1] = 0
    cropped = np.zeros((20, 31), np.float32)
    # 28 to 31: two columns in front; 23 to 20: one row cut in front.
    cropped[:, 2:30] = wide[1:21]
    padded_label = np.zeros((24, 33), np.int32)
    padded_label[1:24, 3:31] = wide_label
    arrays = {
        "in_volume": volume,
        "in_label": label,
        "in_spacing_xyz": np.array([2, 1, 9], np.float32),
        "normalised": volume,
        "resampled_label": np.stack([_doubled(one) for one in label]),
        "origin_image": cropped,
        "padded_label": padded_label,
        "in_rotate_degrees": np.array([180.0]),
        "rotate_label": padded_label[::-1, ::-1],
    }
    settings = {"target_spacing": 1.0, "crop": [20, 31], "pad": [24, 33], "percentiles": [0, 100]}
    tolerance = {
        "labels": "exact except at most 0.5 percent of pixels for rotate_label (ties)",
        "normalised": {"atol": 1e-6},
        "images": CLOSE,
    }
    return {"settings": settings, "tolerance": tolerance, "arrays": arrays}


def _doubled(label: np.ndarray) -> np.ndarray:
    wide = np.zeros((label.shape[0], 2 * label.shape[1]), label.dtype)
    wide[:, 0::2], wide[:, 1:-1:2] = label, label[:, 1:]
    return wide


def further_overlap() -> Spec:
    """Two classes; one of them in the reference of one volume alone, one volume empty."""
    truth = np.zeros((3, 1, 2, 3), np.int32)
    found = np.zeros_like(truth)
    truth[0, 0, 0], found[0, 0, 0] = (1, 1, 2), (1, 0, 2)
    truth[1, 0, 0, 0] = 1
    arrays = {
        "in_gt": truth,
        "in_pred": found,
        "dice_per_volume_A_B": np.array([[2 / 3, 1], [0, np.nan], [np.nan, np.nan]]),
        "iou_per_class": np.array([14 / 16, 1 / 3, 1]),
    }
    return {"settings": {}, "tolerance": {"dice/iou": {"atol": 1e-6}}, "arrays": arrays}


def further_splits() -> Spec:
    """Another number of patients and another part of the pool: one and ten of the second draw's end."""
    ten = np.array([[73, 61, 12, 53, 46, 44, 22, 92, 4, 1], [2, 41, 1, 33, 6, 24, 22, 21, 25, 86]])
    arrays = {
        "split_train_setting_1": ten[:, -1:],
        "split_train_fraction_0.1": ten[:, -4:],
        "split_train_setting_one_shot": np.array([[2], [42]]),
    }
    return {"settings": {}, "tolerance": {"splits": "exact"}, "arrays": arrays}


def further_corruptions() -> Spec:
    """A field of order 1, and ghosts along rows, both on an even number of slices."""
    volume = RNG.random((4, 6, 5)).astype(np.float32)
    coefficients = RNG.uniform(-0.5, 0.5, 4)
    assert terms(1) == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    places = [
        np.array([-3, -1, 1, 3]) / 3,
        np.array([-5, -3, -1, 1, 3, 5]) / 5,
        np.array([-2, -1, 0, 1, 2]) / 2,
    ]
    a, b, d = np.meshgrid(*places, indexing="ij")
    field = coefficients[0] + coefficients[1] * d + coefficients[2] * b + coefficients[3] * a
    planes = np.fft.fftshift(np.fft.fftn(volume.astype(np.float64)))
    planes[:, [0, 4]] *= 0.25
    arrays = {
        "in_corruption_volume": volume,
        "in_bias_coefficients": coefficients,
        "bias_image": volume * np.exp(field),
        "in_ghost_n_axis_intensity": np.array([4.0, 1.0, 0.75]),
        "ghost_image": np.fft.ifftn(np.fft.ifftshift(planes)).real,
    }
    return {"settings": {}, "tolerance": {"bias/spike/ghost": CLOSE}, "arrays": arrays}


# Kind of the case, what makes it, an array that is expected.
FURTHER: dict[str, tuple[str, Callable[[], Spec], str]] = {
    "pipeline": ("data_pipeline", further_pipeline, "origin_image"),
    "overlap": ("evaluation", further_overlap, "iou_per_class"),
    "splits": ("evaluation", further_splits, "split_train_setting_1"),
    "corruptions": ("evaluation", further_corruptions, "ghost_image"),
}


def written(folder: Path, kind: str, spec: Spec) -> Case:
    path = folder / "further.json"
    known = {name: value for name, value in spec.items() if name != "arrays"}
    path.write_text(json.dumps({"method": "cooperative", "kind": kind, **known}), encoding="utf-8")
    np.savez(path.with_suffix(".npz"), **spec["arrays"])
    return Case.load(path)


@pytest.mark.parametrize("name", FURTHER)
def test_a_further_case_runs_and_a_wrong_number_or_none_fails(tmp_path: Path, name: str) -> None:
    kind, make, expected = FURTHER[name]
    spec = make()
    case = written(tmp_path, kind, spec)
    run_check(case)
    assert sorted(case.compared) == sorted(array for array in case.arrays if not array.startswith("in_"))
    arrays = spec["arrays"]
    wrong = {**arrays, expected: arrays[expected] + 1}
    with pytest.raises(AssertionError, match=expected):
        run_check(written(tmp_path, kind, {**spec, "arrays": wrong}))
    alone = {array: value for array, value in arrays.items() if array.startswith("in_")}
    with pytest.raises(AssertionError, match="no expected array was compared"):
        run_check(written(tmp_path, kind, {**spec, "arrays": alone}))


@pytest.mark.parametrize(
    ("tolerance", "sentence"),
    [
        ({"dice/iou": {"atol": 1e-6}}, "max abs diff <= 1e-06"),
        ({"iou": {"rtol": 0.1, "atol": 2}}, "rtol 0.1 atol 2"),
        (
            {"scores": "exact except at most 2 percent of voxels for a/iou (ties)"},
            "exact on >= 98.0 % of voxels",
        ),
        ({"scores": "exact except at most 2 percent of voxels for a/b (ties)"}, "exact"),
        ({"all": "exact"}, "exact"),
        ({"iou": "max abs diff <= 1", "all": "exact"}, "max abs diff <= 1"),
    ],
)
def test_tolerances_are_read(tmp_path: Path, tolerance: dict[str, Any], sentence: str) -> None:
    spec = {"settings": {}, "tolerance": tolerance, "arrays": {"iou": np.zeros(1)}}
    case = with_sentences(written(tmp_path, "evaluation", spec), {"scores": ["iou"]})
    assert case.spec["tolerance"] == {"iou": sentence}
