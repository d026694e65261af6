"""Folds of runs of scans: as published where each scan is a patient, never through a patient."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset_cases import MR, case
from SegToolkitLib.dataset import CHAOST2, SABS, Dataset, DatasetDescription, even_borders, fold_split
from SegToolkitLib.dataset.known import CHAOST2_IDS, SABS_IDS
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.splits import Split, write_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.evaluation_run import EvaluationOptions, evaluate_folds
from SegToolkitLib.methods.alpnet.network import build_network
from SegToolkitLib.models.card import Licence, ModelCard, Preprocessing, TrainedOn
from SegToolkitLib.models.folder import save_model
from small_runs import Heard


@pytest.mark.parametrize(("known", "ids"), [(CHAOST2, CHAOST2_IDS), (SABS, SABS_IDS)])
@pytest.mark.parametrize("shots", [1, 3])
def test_where_each_scan_is_a_patient_nothing_moves(
    known: DatasetDescription, ids: tuple[str, ...], shots: int
) -> None:
    borders, owners = known.borders(len(ids)), {id: f"patient {id}" for id in ids}
    for fold in range(5):
        split = fold_split(ids, borders, fold, shots, owners)
        assert split == fold_split(ids, borders, fold, shots)
        # The authors' rule, by positions.
        wanted = [ids[n % len(ids)] for n in range(borders[fold], borders[fold + 1] + shots)]
        assert list(split.validation) == wanted
        assert split.train == tuple(id for id in ids if id not in wanted)


@pytest.mark.parametrize(
    ("owners", "borders", "queries"),
    [
        ("AABBCCDDEE", [0, 4, 6, 10], ["abcd", "ef", "ghij"]),
        ("AAABBBCCDD", [0, 4, 8, 10], ["abc", "defgh", "ij"]),
        ("AABBBCCCDD", [0, 4, 8, 10], ["abcde", "fgh", "ij"]),
        # As far from both ends: the former.
        ("AABBCCDD", [0, 3, 6, 8], ["ab", "cdef", "gh"]),
        # The second scan of A comes to the first.
        ("ABCDAE", [0, 2, 4, 6], ["ae", "bc", "df"]),
        # Each fold gets a patient.
        ("AAAAABC", [0, 2, 4, 7], [None, "f", "g"]),
        ("ABCCCCC", [0, 2, 4, 7], ["a", "b", None]),
    ],
)
def test_borders_move_to_the_nearest_end_of_a_patient(
    owners: str, borders: list[int], queries: list[str | None]
) -> None:
    ids = "abcdefghij"[: len(owners)]
    patients = dict(zip(ids, owners, strict=True))
    for fold, query in enumerate(queries):
        if query is not None:
            assert "".join(fold_split(ids, borders, fold, 1, patients).query) == query


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("folds", "shots"), [(2, 1), (3, 2), (5, 1)])
def test_no_patient_is_on_both_sides_and_each_scan_is_segmented_once(
    seed: int, folds: int, shots: int
) -> None:
    rng = np.random.default_rng(seed)
    ids = [str(n) for n in range(30)]
    patients = {id: str(rng.integers(12)) for id in ids}
    splits = [fold_split(ids, even_borders(30, folds), fold, shots, patients) for fold in range(folds)]
    for split in splits:
        sides = [{patients[id] for id in side} for side in (split.train, split.validation)]
        assert not sides[0] & sides[1]
        assert not {patients[id] for id in split.query} & {patients[id] for id in split.support}
        assert len(split.support) == shots
        assert list(split.train) == [id for id in ids if id in split.train]
    assert sorted(id for split in splits for id in split.query) == sorted(ids)
    for one, other in combinations(splits, 2):
        assert not {patients[id] for id in one.query} & {patients[id] for id in other.query}


def test_more_folds_than_patients_are_refused() -> None:
    with pytest.raises(SegToolkitError, match="scans of 2 patients cannot be cut into 3 folds") as refused:
        fold_split("abcd", [0, 1, 2, 4], 0, 1, dict(zip("abcd", "AABB", strict=True)))
    assert refused.value.code == "folds"
    assert "between 1 and 2 folds" in refused.value.hint


def test_two_patients_leave_none_to_train_on_beside_an_example() -> None:
    with pytest.raises(SegToolkitError, match="of only 4 of 2 patients, which leaves none") as refused:
        fold_split("abcd", [0, 2, 4], 0, 1, dict(zip("abcd", "AABB", strict=True)))
    assert refused.value.code == "fold"


def test_a_data_set_knows_how_many_folds_its_patients_allow(tmp_path: Path) -> None:
    add_cases(tmp_path, MR, [case(f"c{n}", n, f"p{n // 2}", liver=1) for n in range(8)])
    dataset = Dataset.open(tmp_path)
    assert dataset.fold_count == 0  # five are described
    (told,) = [one.message for one in dataset.check() if one.code == "folds"]
    assert told.startswith("8 cases of 4 patients are too few for 5 folds")
    facts = dataset.description.model_copy(update={"folds": 3})
    dataset = Dataset(facts, dataset.folder, dataset.listing)
    assert dataset.fold_count == 3
    # Borders 2, 5 and 8 become 2, 4 and 8.
    queries = [dataset.split(fold).query for fold in range(3)]
    assert queries == [("c0", "c1"), ("c2", "c3"), ("c4", "c5", "c6", "c7")]
    assert dataset.split(0).support == ("c2",)
    assert dataset.split(0).train == ("c4", "c5", "c6", "c7")


def test_a_model_that_saw_a_tested_patient_is_refused(tmp_path: Path) -> None:
    patients = ("A", "B", "C", "D", "A")
    add_cases(tmp_path / "d", MR, [case(f"c{n}", n, one, liver=1) for n, one in enumerate(patients)])
    dataset = Dataset.open(tmp_path / "d")
    write_splits(dataset, [Split(("c2", "c3"), ("c0", "c1"))])
    card = ModelCard(
        name="seen",
        title="seen",
        method="alpnet",
        settings={"encoder": "compact", "compact_widths": [8, 8, 16, 16], "channels": 32},
        preprocessing=Preprocessing(modality="MR"),
        trained_on=[TrainedOn(dataset=dataset.description.name, cases=["c2", "c4"])],
        licence=Licence(name="free", permissive=True),
    )
    network = build_network("compact", compact_widths=(8, 8, 16, 16), channels=32, generator_seed=0)
    save_model(tmp_path / "seen", card, network.state_dict())
    options = EvaluationOptions((f"0={tmp_path / 'seen'}",), torch.device("cpu"))
    with pytest.raises(SegToolkitError, match="another scan of the patient of case c0") as refused:
        evaluate_folds(dataset, options, tmp_path / "out", Heard())
    assert refused.value.code == "trained-on-test"
