"""Class maps: which slices hold which structure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.classmap import class_map, read_class_map, write_class_map
from SegToolkitLib.volume import Volume, write_volume

NAMES = {"background": 0, "liver": 1, "kidney": 4}


def label() -> np.ndarray:
    """Liver: 1 voxel in slice 1, 3 in slice 2; kidney: 1 voxel in slice 2."""
    array = np.zeros((4, 5, 5), np.uint8)
    array[1, 0, 0] = array[2, 1, 1:4] = 1
    array[2, 0, 0] = 4
    return array


@pytest.mark.parametrize(
    ("minimum", "liver", "kidney"),
    # A rule that sums label values would find the kidney's single 4 at a minimum of 3.
    [(1, [1, 2], [2]), (2, [2], []), (3, [2], []), (4, [], [])],
)
def test_slices_are_listed_by_the_count_of_their_class(
    minimum: int, liver: list[int], kidney: list[int]
) -> None:
    found = class_map({"7": label()}, NAMES, minimum)
    assert found == {"background": {"7": [0, 1, 2, 3]}, "liver": {"7": liver}, "kidney": {"7": kidney}}


def test_a_minimum_below_one_is_refused() -> None:
    with pytest.raises(SegToolkitError, match="minimum of 0"):
        class_map({"7": label()}, NAMES, 0)


def test_the_written_map_reads_back_and_leaves_out_unlabelled_cases(tmp_path: Path) -> None:
    facts = {"name": "tiny", "modality": "MR", "labels": NAMES}
    (tmp_path / "dataset.json").write_text(json.dumps(facts))
    for name in ("image_3", "image_7", "label_7"):
        write_volume(Volume(label(), (1, 1, 1), (0, 0, 0), np.eye(3)), tmp_path / f"{name}.nii.gz")
    path = write_class_map(Dataset.open(tmp_path), 2)
    assert path.name == "classmap_2.json"
    assert read_class_map(path) == class_map({"7": label()}, NAMES, 2)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"liver": [1]}', '{"liver": {"1": ["x"]}}', '{"liver": {"1": 3}}']
)
def test_what_is_no_class_map_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(SegToolkitError, match=r"c\.json"):
        read_class_map(tmp_path / "c.json")
