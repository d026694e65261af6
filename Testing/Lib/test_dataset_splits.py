"""Folds: patient by patient, the same ones for a seed, in a file that people edit and that is checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataset_cases import MR, case
from SegToolkitLib.dataset import Dataset
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.splits import make_splits, read_splits, write_nnunet_splits, write_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.settings import DataSettings
from SegToolkitLib.methods.alpnet.training_data import split_of

# Eight labelled scans of five patients, two unlabelled ones of which one shares a patient.
PATIENTS = {"00": "A", "01": "A", "02": "A", "03": "B", "04": "B", "05": "C", "06": "D", "07": "E"}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    labelled = [case(id, int(id), patient, liver=1) for id, patient in PATIENTS.items()]
    add_cases(tmp_path, MR, [*labelled, case("08", 8, "B"), case("09", 9)])
    return Dataset.open(tmp_path)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_no_patient_is_on_both_sides_and_every_labelled_case_validates_once(
    dataset: Dataset, folds: int, seed: int
) -> None:
    splits = make_splits(dataset, folds, seed)
    assert sorted(id for one in splits for id in one.val) == [str(n) for n in range(8)]
    for one in splits:
        sides = [{dataset.patients[id] for id in ids} for ids in (one.train, one.val)]
        assert not sides[0] & sides[1]
        assert set(one.train) | set(one.val) | {"8"} == set(dataset.ids)
        # The unlabelled scan of patient B trains unless that patient validates; the stranger always does.
        assert ("8" in one.train) == ("B" not in sides[1])
        assert "9" in one.train
    assert max(len(one.val) for one in splits) <= 4


def test_a_seed_gives_the_same_folds_forever_and_another_one_others(dataset: Dataset) -> None:
    assert [one.val for one in make_splits(dataset, 3, 0)] == [("0", "1", "2"), ("3", "4", "6"), ("5", "7")]
    assert len({tuple(one.val for one in make_splits(dataset, 3, seed)) for seed in range(8)}) > 1


def test_as_many_folds_as_patients_is_the_most(dataset: Dataset) -> None:
    for folds in (0, 1, 6):
        with pytest.raises(SegToolkitError, match="5 patients cannot be cut") as refused:
            make_splits(dataset, folds)
        assert "--fold none" in refused.value.hint


def test_without_labels_all_cases_validate(tmp_path: Path) -> None:
    add_cases(tmp_path, MR, [case(f"u{n}", n) for n in range(4)])
    splits = make_splits(Dataset.open(tmp_path), 2)
    assert sorted(id for one in splits for id in one.val) == ["u0", "u1", "u2", "u3"]


def test_folds_survive_the_disk_and_are_not_lightly_replaced(dataset: Dataset) -> None:
    assert read_splits(dataset) is None
    assert dataset.fold_count == 5
    splits = make_splits(dataset, 3)
    write_splits(dataset, splits)
    assert read_splits(dataset) == splits
    assert dataset.fold_count == 3
    with pytest.raises(SegToolkitError, match="runs may rest on its folds"):
        write_splits(dataset, splits)
    write_splits(dataset, splits[:2], overwrite=True)
    assert dataset.fold_count == 2


def test_nnunet_gets_its_own_names_and_no_unlabelled_case(dataset: Dataset, tmp_path: Path) -> None:
    write_nnunet_splits(dataset, make_splits(dataset, 3), tmp_path / "out" / "splits_final.json")
    values = json.loads((tmp_path / "out" / "splits_final.json").read_text())
    assert values[1] == {"train": ["00", "01", "02", "05", "07"], "val": ["03", "04", "06"]}


ALL = [str(n) for n in range(10)]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("[", "cannot be read"),
        ([], "must be a list"),
        ({"train": []}, "must be a list"),
        ([{"train": ["0"]}], 'fold 0 must hold "train" and "val"'),
        ([{"train": ["0"], "val": "3"}], '"val" of fold 0 must be a list'),
        ([{"train": ["0"], "val": []}], '"val" of fold 0 is empty'),
        ([{"train": ["0"], "val": ["3"]}, {"train": [], "val": ["3"]}], '"train" of fold 1 is empty'),
        ([{"train": ["0", "x1"], "val": ["3"]}], '"train" of fold 0 names x1, which the data set lacks'),
        ([{"train": ["0", "0"], "val": ["3"]}], "fold 0 names case 0 twice"),
        ([{"train": ["0"], "val": ["0"]}], "fold 0 names case 0 twice"),
        ([{"train": ["0", "5"], "val": ["1", "3"]}], "has patient A both in training and in validation"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(dataset: Dataset, written: Any, words: str) -> None:
    text = written if isinstance(written, str) else json.dumps(written)
    (dataset.folder / "splits.json").write_text(text)
    with pytest.raises(SegToolkitError) as caught:
        read_splits(dataset)
    assert words in caught.value.message
    assert ("", "splits") in {(problem.case, problem.code) for problem in dataset.check()}


def test_an_edited_file_may_write_numbers_as_it_likes(dataset: Dataset) -> None:
    (dataset.folder / "splits.json").write_text(json.dumps([{"train": [0, "01", "2"], "val": ["03", 4]}]))
    (split,) = read_splits(dataset) or []
    assert (split.train, split.val) == (("0", "1", "2"), ("3", "4"))
    unused = {problem.case for problem in dataset.check() if problem.code == "not-in-splits"}
    assert unused == {"5", "6", "7", "8", "9"}


def test_alpnet_trains_by_the_file_and_takes_its_last_cases_as_examples(dataset: Dataset) -> None:
    write_splits(dataset, make_splits(dataset, 3))
    split = split_of(dataset, DataSettings(fold=0, n_support=2))
    assert split is not None
    assert (split.query, split.support) == (("0",), ("1", "2"))
    assert split.train == ("3", "4", "5", "6", "7", "8", "9")
    assert split_of(dataset, DataSettings(fold=None)) is None
    for settings, words in [
        (DataSettings(fold=3), "no fold 3 in splits.json"),
        (DataSettings(fold=2, n_support=2), "none is left to segment"),
    ]:
        with pytest.raises(SegToolkitError, match=words):
            split_of(dataset, settings)


def test_without_the_file_the_borders_hold(dataset: Dataset) -> None:
    split = split_of(dataset, DataSettings(fold=4))
    assert split is not None
    assert (split.query, split.support) == (("7", "9"), ("0",))
    # Cases 1 and 2 are of the example's patient.
    assert split.train == ("3", "4", "5", "6", "8")
