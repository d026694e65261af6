"""The authors' folders as a data set, without a copy of any file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib.dataset.flare import FLARE22_LABELS, describe_flare, read_flare
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Volume, write_volume


def _write(path: Path, shape: tuple[int, int, int] = (4, 6, 5)) -> None:
    write_volume(Volume(np.ones(shape, np.int16), (1, 1, 2), (0, 0, 0), np.eye(3)), path)


def made_flare(folder: Path) -> None:
    """Three labelled cases, of which one has a mask of another size, and two without a label."""
    for number in (1, 2, 3):
        _write(folder / "train_images" / f"Tr_000{number}_0000.nii.gz")
        _write(folder / "train_mask" / f"Tr_000{number}.nii.gz", (4, 6, 5) if number != 2 else (4, 6, 6))
    for number in (1, 2):
        _write(folder / "trainu_images" / f"Case_0000{number}_0000.nii.gz")


def test_cases_are_found_and_a_mismatch_is_told(tmp_path: Path) -> None:
    made_flare(tmp_path)
    steps: list[int] = []
    found = read_flare(tmp_path, lambda done, total: steps.append(done))
    assert list(found.labelled) == ["Tr_0001", "Tr_0003"]
    assert list(found.unlabelled) == ["Case_00001", "Case_00002"]
    assert found.left_out == {"Tr_0002": "its image has 5 x 6 x 4 voxels, its mask 6 x 6 x 4"}
    assert steps == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("place", [".", "file_list"])
def test_lists_of_ids_decide_where_there_are_any(tmp_path: Path, place: str) -> None:
    made_flare(tmp_path)
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "train_series_uids.txt").write_text("Tr_0003\r\nTr_0009\n\nTr_0003\n")
    found = read_flare(tmp_path)
    assert list(found.labelled) == ["Tr_0003"]
    assert found.left_out == {"Tr_0009": "train_images/Tr_0009_0000.nii.gz is missing"}
    assert len(found.unlabelled) == 2


@pytest.mark.parametrize("out", ["out", "raw/out", "raw", "."])
def test_the_data_set_opens_with_its_unlabelled_images(tmp_path: Path, out: str) -> None:
    raw = tmp_path / "raw"
    made_flare(raw)
    dataset = describe_flare(raw, read_flare(raw), tmp_path / out, FLARE22_LABELS)
    assert dataset.ids == ["Case_00001", "Case_00002", "Tr_0001", "Tr_0003"]
    assert [case.id for case in dataset.cases if case.unlabelled] == ["Case_00001", "Case_00002"]
    image, label = dataset.read(dataset.case("Tr_0003"))
    assert label is not None
    assert label.same_grid(image)
    assert dataset.description.labels["left kidney"] == 13
    assert dataset.description.licence is not None
    assert not dataset.description.licence.permissive


def test_a_data_set_above_its_images_moves_with_them(tmp_path: Path) -> None:
    from SegToolkitLib.dataset.dataset import Dataset

    made_flare(tmp_path / "one" / "raw")
    describe_flare(
        tmp_path / "one" / "raw", read_flare(tmp_path / "one" / "raw"), tmp_path / "one", FLARE22_LABELS
    )
    (tmp_path / "one").rename(tmp_path / "two")
    assert Dataset.open(tmp_path / "two").case("Tr_0001").image.is_file()


def test_no_data_set_is_overwritten(tmp_path: Path) -> None:
    made_flare(tmp_path)
    found = read_flare(tmp_path)
    describe_flare(tmp_path, found, tmp_path, FLARE22_LABELS)
    with pytest.raises(SegToolkitError, match="holds a data set already"):
        describe_flare(tmp_path, found, tmp_path, FLARE22_LABELS)


def test_a_folder_without_labelled_cases_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "train_images" / "a_0000.nii.gz")
    with pytest.raises(SegToolkitError, match=r"no labelled case \(a: train_mask/a.nii.gz is missing\)"):
        read_flare(tmp_path)
