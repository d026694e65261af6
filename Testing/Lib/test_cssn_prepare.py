"""CSSN's preparation: frames, resampling, boxes, folds, and the command that does all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from cssn_cases import SHAPE, made_case, made_dataset
from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.folds import published_folds
from SegToolkitLib.methods.cssn.prepare import (
    bounds_of,
    canonical,
    margin_box,
    resample_array,
    resample_mask,
    spacing_of,
)
from SegToolkitLib.volume import Volume


@pytest.mark.parametrize("code", ["RAS", "LPS", "LAI", "SRA", "PIR", "ASL"])
def test_every_axial_sagittal_and_coronal_volume_comes_to_one_frame(code: str) -> None:
    image, label = made_case(3, code)
    expected, _ = made_case(3, "RAS")
    found = canonical(image)
    assert np.array_equal(found.voxels, expected.voxels)
    assert found.orientation == "RAS"
    assert canonical(label).voxels.shape == SHAPE


def test_the_spacing_goes_with_the_axes() -> None:
    volume = Volume(np.zeros((4, 5, 6), np.int16), (1.0, 2.0, 3.0), (0, 0, 0), np.eye(3))
    assert spacing_of(canonical(volume)) == (3.0, 2.0, 1.0)


SIZES = [
    ((20, 26, 23), (16, 16, 16)),
    ((7, 9, 5), (13, 20, 8)),
    ((1, 9, 6), (4, 9, 3)),
    ((9, 8, 7), (9, 8, 7)),
]


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_masks_are_resampled_label_by_label(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    blobs = ndimage.gaussian_filter(rng.normal(size=old), 1)
    mask = np.digitize(blobs, np.quantile(blobs, [0.4, 0.6, 0.8])).astype(np.uint8)
    mask[mask == 2] = 250
    expected = np.zeros(new, np.uint8)
    zoom = [b / a for a, b in zip(old, new, strict=True)]
    for value in (1, 3, 250):
        share = ndimage.zoom((mask == value).astype(np.float64), zoom, order=1, mode="nearest")
        expected[share >= 0.5 - 1e-9] = value
    assert np.array_equal(resample_mask(mask, new), expected)


@pytest.mark.parametrize(
    ("values", "size", "expected"),
    [
        ([0, 1], 3, [0, 1, 1]),  # 0.5 is rounded up
        ([0, -1], 3, [0, -1, -1]),  # and away from zero
        ([0, 10, 20], 2, [0, 20]),  # corners stay where they are
        ([5], 4, [5, 5, 5, 5]),
        ([0.0, 1.0], 3, [0, 0.5, 1]),
    ],
)
def test_integers_are_rounded_and_corners_aligned(values: list, size: int, expected: list) -> None:
    kind = np.int16 if isinstance(values[0], int) else np.float32
    array = np.array(values, kind)[None, None]
    result = resample_array(array, (1, 1, size))
    assert result.dtype == kind
    assert result[0, 0].tolist() == expected


def test_the_margin_is_truncated_and_counts_the_last_voxel() -> None:
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[5:8, 10:12, 2:19] = 1
    found = bounds_of(mask)
    assert found == ((5, 10, 2), (7, 11, 18))
    box = margin_box(*found, mask.shape, (8.0, 6.9, 50.0), 20)
    # 2, 2 and 0 voxels of margin; the upper side includes the last voxel, which a margin of 0 must not lose.
    assert box.start == (3, 8, 2)
    assert box.stop == (9, 13, 19)
    assert box.shape == (6, 5, 17)


def test_nothing_has_no_bounds() -> None:
    assert bounds_of(np.zeros((3, 3, 3))) is None


def test_published_folds_are_whole_whatever_the_order_of_the_ids() -> None:
    ids = [f"case_{number}" for number in range(23)]
    splits = published_folds(ids)
    assert splits == published_folds(ids[::-1])
    assert len(splits) == 5
    assert len(splits[0].val) == 5
    assert all(sorted((*one.train, *one.val)) == sorted(ids) for one in splits)
    # Folds 1 to 4 cut the training cases of fold 0.
    assert sorted(id for one in splits[1:] for id in one.val) == sorted(splits[0].train)


def test_four_cases_are_too_few_for_the_published_folds() -> None:
    with pytest.raises(SegToolkitError, match="too few"):
        published_folds(list("abcd"))


def test_prepare_fills_the_cache_and_tells_of_what_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_dataset(tmp_path / "data", labelled=4, unlabelled=1)
    (tmp_path / "data" / "image_2.nii.gz").write_bytes(b"no image")
    cache = tmp_path / "cache"
    words = ["prepare", "cssn", "--dataset", str(tmp_path / "data"), "--preset", "quick"]
    words += ["--set", "size=[32,32,64]", "--cache", str(cache), "--json"]
    assert main([*words, "--shard", "0/2"]) == 0
    first = len(list((cache / "entries").iterdir()))
    assert main([*words, "--shard", "1/2"]) == 0
    said = capsys.readouterr().out
    assert "Case 2 is left out" in said
    # The whole and the fitted volume of each of the four other cases.
    assert 0 < first < len(list((cache / "entries").iterdir())) == 8


def test_prepare_makes_a_data_set_of_the_authors_folders(tmp_path: Path) -> None:
    from test_dataset_flare import made_flare

    made_flare(tmp_path / "raw")
    words = ["prepare", "cssn", "--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]
    assert main([*words, "--labels", "flare21"]) == 0
    assert (tmp_path / "out" / "dataset.json").is_file()
    assert main(words) == 1  # there is one already
    assert main(["prepare", "cssn"]) == 1
