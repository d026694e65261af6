"""Patterns of files in which the case's id stands several times, as in the folders of BraTS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataset_cases import image, mask
from SegToolkitLib.dataset import Dataset, DatasetDescription
from SegToolkitLib.dataset.channels import read_channels
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import write_volume

BRATS = {
    "name": "brats",
    "modality": "MR",
    "labels": {"background": 0, "tumour": 1},
    "image_pattern": "{id}/{id}_{channel}.nii.gz",
    "label_pattern": "{id}/{id}_seg.nii.gz",
    "channels": {"T1": "t1", "T1c": "t1ce"},
}


def made(folder: Path, files: list[str], **facts: Any) -> Dataset:
    scan = image()
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_volume(mask(scan, 1) if "seg" in name else scan, folder / name)
    DatasetDescription.parse({**BRATS, **facts}).save(folder / "dataset.json")
    return Dataset.open(folder)


def whole(id: str) -> list[str]:
    return [f"{id}/{id}_{what}.nii.gz" for what in ("t1", "t1ce", "seg")]


def test_folders_of_cases_are_found_with_all_their_files(tmp_path: Path) -> None:
    dataset = made(tmp_path, [*whole("BraTS_10"), *whole("BraTS_9"), *whole("a_t1_b")[:2]])
    assert dataset.ids == ["BraTS_9", "BraTS_10", "a_t1_b"]
    case = dataset.case("BraTS_9")
    assert case.image == dataset.folder / "BraTS_9" / "BraTS_9_t1.nii.gz"
    assert case.images["T1c"] == dataset.folder / "BraTS_9" / "BraTS_9_t1ce.nii.gz"
    assert case.label == dataset.folder / "BraTS_9" / "BraTS_9_seg.nii.gz"
    assert dataset.case("a_t1_b").label is None
    images, label = read_channels(case)
    assert (list(images), label is not None) == (["T1", "T1c"], True)
    assert {(one.case, one.code) for one in dataset.check() if one.severity == "error"} == set()


def test_files_whose_ids_differ_are_of_no_case(tmp_path: Path) -> None:
    stray = ["7/8_t1.nii.gz", "9/9_9_t1.nii.gz", ".10/.10_t1.nii.gz", "11/12/11_t1.nii.gz"]
    dataset = made(tmp_path, [*whole("7"), *stray])
    assert dataset.ids == ["7"]
    assert dataset.case(7).image.name == "7_t1.nii.gz"


def test_a_label_of_another_id_is_none(tmp_path: Path) -> None:
    dataset = made(tmp_path, [*whole("7")[:2], "7/8_seg.nii.gz"])
    assert dataset.case("7").label is None


def test_a_case_without_its_main_image_is_told(tmp_path: Path) -> None:
    dataset = made(tmp_path, [*whole("7"), "8/8_t1ce.nii.gz", "9/10_t1ce.nii.gz"])
    assert list(dataset.without_image()) == ["8"]


@pytest.mark.parametrize(
    ("pattern", "file", "id"),
    [
        ("{id}/image.nii.gz", "a/image.nii.gz", "a"),
        ("{id}/{id}/{id}.nii.gz", "a/a/a.nii.gz", "a"),
        ("x.{id}[1]/{id}.nii.gz", "x.a[1]/a.nii.gz", "a"),
        ("{id}_{id}.nii.gz", "a_b_a_b.nii.gz", "a_b"),
        ("{id}/{id}.nii.gz", "007/007.nii.gz", "7"),
        ("image_{id}.nii.gz", "image_.a.nii.gz", ".a"),
        (".kept/{id}/{id}.nii.gz", ".kept/a/a.nii.gz", "a"),
    ],
)
def test_an_id_may_stand_anywhere(tmp_path: Path, pattern: str, file: str, id: str) -> None:
    dataset = made(tmp_path, [file], image_pattern=pattern, channels={})
    assert dataset.ids == [id]
    assert dataset.case(id).image == dataset.folder / file


def test_test_images_and_unlabelled_ones_lie_so_too(tmp_path: Path) -> None:
    dataset = made(
        tmp_path,
        [*whole("a"), "un/b/b_t1.nii.gz", "un/b/c_t1.nii.gz", "test/d/d_t1.nii.gz"],
        unlabelled_image_pattern="un/{id}/{id}_{channel}.nii.gz",
        test_image_pattern="test/{id}/{id}_{channel}.nii.gz",
    )
    assert dataset.ids == ["a", "b"]
    assert dataset.case("b").unlabelled
    assert [one.id for one in dataset.test_cases] == ["d"]


def test_what_fits_almost_is_named(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError) as caught:
        _ = made(tmp_path, ["a/b_t1.nii.gz"]).cases
    assert caught.value.code == "no-cases"
    assert caught.value.message.endswith(
        "fits the image pattern '{id}/{id}_{channel}.nii.gz', in which each {id} is the same text;"
        " 'a/b_t1.nii.gz' has several."
    )


@pytest.mark.parametrize("pattern", ["{id}/{id}_t1.nii.gz", "{id}_t1.nii.gz"])
def test_what_does_not_fit_at_all_is_told_as_before(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        _ = made(tmp_path, ["a.nii.gz", ".b_t1.nii.gz"], image_pattern=pattern, channels={}).cases
    assert caught.value.message.endswith(f"fits the image pattern '{pattern}'.")
