"""Pseudo-labels: the rules the parity cases do not reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib.cli import main
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.superpixel_files import pseudo_labels_of
from SegToolkitLib.methods.alpnet.superpixels import (
    SuperpixelSettings,
    mask_warning,
    patient_mask,
    pseudo_labels,
    relabel,
    threshold_value,
    volume_pseudo_labels,
    worker_pool,
)
from SegToolkitLib.volume import Volume, write_volume


def test_present_rule_numbers_what_lies_in_the_mask_without_gaps_raw_zero_included() -> None:
    raw = np.array([[0, 0, 1], [2, 2, 3], [4, 4, 5]])
    mask = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=bool)
    assert relabel(raw, mask, "present").tolist() == [[1, 1, 0], [2, 0, 0], [0, 0, 3]]


def test_compat_rule_drops_raw_zero_and_shifts_the_last() -> None:
    raw = np.array([[0, 1], [2, 3]])
    assert relabel(raw, np.ones((2, 2), dtype=bool), "compat").tolist() == [[0, 1], [2, 4]]


def test_patient_mask_fills_holes_and_drops_detached_parts() -> None:
    image = np.zeros((20, 20))
    image[2:12, 2:12] = 100
    image[6, 6] = 0
    image[16:18, 16:18] = 100
    mask = patient_mask(image, 50)
    assert mask.sum() == 100
    assert mask[6, 6]
    assert not mask[17, 17]


def test_an_empty_slice_has_no_pseudo_labels() -> None:
    assert not pseudo_labels(np.zeros((64, 64)), SuperpixelSettings(), 50.0).any()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [(12.5, 12.5), ("12.5", 12.5), ("percentile:50", 50.0)],
)
def test_thresholds_are_understood(setting: float | str, expected: float) -> None:
    assert threshold_value(np.arange(101.0), setting) == pytest.approx(expected)


def test_otsu_separates_body_from_air() -> None:
    volume = np.concatenate([np.full(500, 10.0), np.full(500, 400.0)]).reshape(10, 10, 10)
    assert 10 <= threshold_value(volume, "otsu") < 400


@pytest.mark.parametrize("setting", ["half", "percentile:many", "percentile:130"])
def test_a_threshold_that_makes_no_sense_is_refused(setting: str) -> None:
    with pytest.raises(SegToolkitError) as error:
        threshold_value(np.arange(10.0), setting)
    assert setting in error.value.message
    assert error.value.hint


def test_all_cores_give_what_one_core_gives() -> None:
    volume = np.random.default_rng(0).normal(100, 30, size=(4, 64, 64))
    settings = SuperpixelSettings(min_size=60, threshold=0.0)
    done: list[tuple[int, int]] = []
    with worker_pool(2) as pool:
        parallel = volume_pseudo_labels(volume, settings, pool=pool, progress=lambda *d: done.append(d))
    assert np.array_equal(parallel, volume_pseudo_labels(volume, settings))
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(("share", "word"), [(0.0, "empty"), (1.0, "air")])
def test_a_mask_that_looks_wrong_is_said_so(share: float, word: str) -> None:
    assert word in (mask_warning(np.full((2, 4, 4), share)) or "")


def test_a_usual_mask_is_not_complained_about() -> None:
    labels = np.zeros((2, 4, 4))
    labels[:, 1:3] = 1
    assert mask_warning(labels) is None


def volume(seed: int) -> Volume:
    voxels = np.random.default_rng(seed).uniform(60, 200, size=(2, 32, 32)).astype(np.float32)
    return Volume(voxels, (1, 1, 5), (0, 0, 0), np.eye(3))


def test_pseudo_labels_of_a_replaced_image_are_made_again(tmp_path: Path) -> None:
    options = SuperpixelSettings(min_size=60, threshold=50.0001)
    pseudo_labels_of("1", volume(1), options, tmp_path, Reporter())
    file = tmp_path / "superpix-60_1.nii.gz"
    made = file.stat().st_mtime_ns
    pseudo_labels_of("1", volume(1), options, tmp_path, Reporter())
    assert file.stat().st_mtime_ns == made
    found = pseudo_labels_of("1", volume(2), options, tmp_path, Reporter())
    assert np.array_equal(found.voxels, volume_pseudo_labels(volume(2).voxels, options))
    assert file.stat().st_mtime_ns != made


def test_a_threshold_as_text_is_the_same_threshold(tmp_path: Path) -> None:
    made = []
    for threshold in (50.0001, "50.0001"):
        options = SuperpixelSettings(min_size=60, threshold=threshold)
        pseudo_labels_of("1", volume(1), options, tmp_path, Reporter())
        made.append((tmp_path / "superpix-60_1.nii.gz").stat().st_mtime_ns)
    assert made[0] == made[1]


def test_an_odd_mask_is_warned_about_with_the_hint_of_the_caller(tmp_path: Path) -> None:
    class Ears(Reporter):
        def warning(self, text: str, hint: str = "") -> None:
            heard.append((text, hint))

    heard: list[tuple[str, str]] = []
    options = SuperpixelSettings(min_size=60, threshold=1e6)
    pseudo_labels_of("7", volume(1), options, tmp_path, Ears(), hint="Say otsu.")
    assert heard[0][0].startswith("Case 7: the patient mask is empty")
    assert heard[0][1] == "Say otsu."


@pytest.mark.parametrize("wrong", [{"sigma": -1.0}, {"scale": float("nan")}, {"min_size": 0}])
def test_superpixel_settings_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(SegToolkitError, match="Superpixels cannot"):
        SuperpixelSettings(**wrong)


def test_labels_that_somebody_made_otherwise_are_kept_and_the_settings_named(tmp_path: Path) -> None:
    theirs = SuperpixelSettings(min_size=60, threshold=120)
    pseudo_labels_of("1", volume(1), theirs, tmp_path, Reporter())
    made = (tmp_path / "superpix-60_1.nii.gz").read_bytes()
    asked = SuperpixelSettings(min_size=60, threshold="otsu", rule="compat")
    with pytest.raises(SegToolkitError) as error:
        pseudo_labels_of("1", volume(1), asked, tmp_path, Reporter(), replace=False)
    assert "threshold 120.0, rule present" in str(error.value)
    assert "--set data.threshold=120.0 --set data.superpixel_rule=present" in error.value.hint
    assert (tmp_path / "superpix-60_1.nii.gz").read_bytes() == made
    pseudo_labels_of("1", volume(1), asked, tmp_path, Reporter())
    assert (tmp_path / "superpix-60_1.nii.gz").read_bytes() != made


def test_labels_of_a_replaced_image_are_made_again_wherever_they_lie(tmp_path: Path) -> None:
    options = SuperpixelSettings(min_size=60, threshold=50)
    pseudo_labels_of("1", volume(1), options, tmp_path, Reporter())
    found = pseudo_labels_of("1", volume(2), options, tmp_path, Reporter(), replace=False)
    assert np.array_equal(found.voxels, volume_pseudo_labels(volume(2).voxels, options))


def test_parts_of_the_cases_make_what_one_command_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for id in (1, 2, 3):
        write_volume(volume(id), data / f"image_{id}.nii.gz")
    DatasetDescription(name="three", modality="MR", labels={"background": 0}).save(data / "dataset.json")
    call = ["superpixels", "alpnet", "--dataset", str(data), "--min-size", "60", "--workers", "1"]
    parts, made = tmp_path / "parts", []
    # The first part comes last: the preview is of the data set's first case whoever begins.
    for number in (3, 2, 1, 0):
        assert main([*call, "--out", str(parts), "--shard", f"{number}/4"]) == 0
        made.append({path.name for path in parts.glob("superpix-*.nii.gz")})
        assert (parts / "preview.png").exists() == (number == 0)
    assert [len(one) for one in made] == [0, 1, 2, 3]
    assert "There are no cases for part 3/4." in capsys.readouterr().err
    assert main([*call, "--out", str(tmp_path / "whole")]) == 0
    assert (parts / "preview.png").read_bytes() == (tmp_path / "whole" / "preview.png").read_bytes()
    files = {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("superpix-*")}
    assert {path.name: path.read_bytes() for path in parts.glob("superpix-*")} == files
