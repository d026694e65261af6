"""Cooperative training and cases in which nobody looked for every structure."""

from __future__ import annotations

from pathlib import Path

import pytest

from cooperative_cases import made_dataset
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.data_settings import DataSettings
from SegToolkitLib.methods.cooperative.splits import roles_of

IDS = ("1_ED", "1_ES", "2_ED", "2_ES", "5_ED", "5_ES")
LACKING = {"1_ES": ["LV"], "2_ED": ["RV"]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("hearts"), IDS, not_annotated=LACKING)


@pytest.mark.parametrize("fold", range(2))
def test_cases_without_a_structure_neither_train_nor_validate(dataset: Dataset, fold: int) -> None:
    roles = roles_of(dataset, DataSettings(fold=fold))
    assert sorted((*roles.train, *roles.held_out)) == sorted(set(IDS) - set(LACKING))
    assert set(roles.incomplete) == set(LACKING)
    # Those that would have trained count as unlabelled, which the training tells of.
    validating = {dataset.patients[id] for id in roles.held_out}
    assert set(roles.unlabelled) == {id for id in LACKING if dataset.patients[id] not in validating}


def test_with_the_structure_left_out_they_train(dataset: Dataset) -> None:
    roles = roles_of(dataset, DataSettings(fold=None, classes={2: 1, 3: 2}))
    assert roles.train == tuple(id for id in dataset.ids if id != "1_ES")
    assert roles.incomplete == ("1_ES",)


def test_the_published_lists_leave_them_out_too(tmp_path: Path) -> None:
    ids = ("patient001_ED", "patient001_ES", "patient011_ED", "patient011_ES")
    lacking = {"patient001_ES": ["LV"], "patient011_ED": ["MYO"]}
    dataset = made_dataset(tmp_path, ids, patients={}, not_annotated=lacking)
    roles = roles_of(dataset, DataSettings(split="acdc"))
    assert (roles.train, roles.held_out) == (("patient001_ED",), ("patient011_ES",))
    assert roles.incomplete == ("patient001_ES", "patient011_ED")


def test_a_training_side_of_incomplete_cases_is_told(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path, ("1_ED", "2_ED"), not_annotated={"1_ED": ["LV"], "2_ED": ["LV"]})
    with pytest.raises(SegToolkitError, match="In no training case of hearts all structures") as refused:
        roles_of(dataset, DataSettings(fold=None))
    assert refused.value.code == "no-labels"
