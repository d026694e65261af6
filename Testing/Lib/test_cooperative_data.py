"""Cooperative training: splits, scans and batches."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cooperative_cases import COLUMNS, ROWS, SLICES, made_dataset, made_heart
from SegToolkitLib.dataset.cache import Cache
from SegToolkitLib.dataset.classes import class_names, classes_of
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.splits import read_splits, write_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.data import Sampler, as_inference_sees, validation_slices
from SegToolkitLib.methods.cooperative.data_settings import AugmentSettings, DataSettings
from SegToolkitLib.methods.cooperative.plan import InputPlan
from SegToolkitLib.methods.cooperative.prepare import stacked
from SegToolkitLib.methods.cooperative.scans import Reader, Scan
from SegToolkitLib.methods.cooperative.splits import POOL, TEST, acdc_folds, acdc_split, roles_of
from SegToolkitLib.volume import read_volume, write_volume
from small_runs import Heard

PLAN = InputPlan(spacing_mm=None, crop=32)
AUGMENT = AugmentSettings(pad=40)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("hearts"))


@pytest.fixture(scope="module")
def scans(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Scan]:
    reader = Reader(dataset, DataSettings(), PLAN, tmp_path_factory.mktemp("cache"), Heard())
    return reader.read(dataset.ids, "slices")


def sampler(scans: list[Scan], seed: int = 3, batch: int = 6, **settings: Any) -> Sampler:
    return Sampler(scans, DataSettings(**settings), AUGMENT, PLAN, batch, seed)


# -- which patients ------------------------------------------------------------------------------------------


def test_patients_who_train_leave_the_published_validation() -> None:
    assert [acdc_split(10, cval).leaked for cval in range(5)] == [(), (2, 22), (), (), (22,)]
    assert acdc_split(10, 1).validate == (11, 71, 95)
    assert acdc_split(10, 1, keep_leak=True).validate == (11, 71, 2, 22, 95)


@pytest.mark.parametrize("setting", [1, 7, 40, 0.25, 0.99, "standard", "one_shot", "three_shot"])
@pytest.mark.parametrize("cval", range(5))
def test_nobody_has_two_roles(setting: Any, cval: int) -> None:
    split = acdc_split(setting, cval)
    everyone = [*split.train, *split.validate, *split.test]
    assert len(set(everyone)) == len(everyone)
    assert split.test == TEST
    assert set(everyone) <= set(range(1, 101))


def test_all_of_the_pool_are_taken_in_its_order() -> None:
    assert acdc_split(40, 3).train == POOL
    assert acdc_split(39, 3).train == acdc_split(40 * 0.975 / 40, 3).train != POOL[:39]


@pytest.mark.parametrize(("setting", "cval"), [(0, 0), (41, 0), (0.02, 0), (10, 5), (10, -1)])
def test_a_split_that_there_is_not_is_told(setting: Any, cval: int) -> None:
    with pytest.raises(SegToolkitError) as caught:
        acdc_split(setting, cval)
    assert caught.value.code == "acdc-split"


def test_cases_follow_their_patients(tmp_path: Path) -> None:
    ids = ("patient001_ED", "patient001_ES", "patient011_ED", "patient073_ES", "patient007_ED")
    dataset = made_dataset(tmp_path, ids, patients={})
    roles = roles_of(dataset, DataSettings(split="acdc"))
    assert roles.train == ("patient073_ES", "patient001_ED", "patient001_ES")
    assert roles.held_out == ("patient011_ED",)
    with pytest.raises(SegToolkitError, match="has no case of the ACDC patients 002, 041, 001") as caught:
        roles_of(made_dataset(tmp_path / "other", ("9",)), DataSettings(split="acdc", cval=1))
    assert caught.value.code == "acdc-split"


def test_published_draws_are_folds_that_a_data_set_keeps(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path, ("001_ED", "002_ED", "011_ED", "062_ED"), patients={})
    folds = acdc_folds(dataset, 40)
    write_splits(dataset, folds)
    assert read_splits(dataset) == folds
    assert len(folds) == 5
    assert folds[1].train == ("001_ED", "002_ED", "062_ED")
    assert folds[1].val == ("011_ED",)


def test_a_patient_stays_on_one_side_of_a_fold(dataset: Dataset) -> None:
    for fold in range(2):
        roles = roles_of(dataset, DataSettings(fold=fold))
        assert sorted((*roles.train, *roles.held_out)) == sorted(dataset.ids)
        assert len({"1_ED", "1_ES"} & set(roles.held_out)) in (0, 2)


def test_cases_can_be_named_and_all_can_train(dataset: Dataset) -> None:
    assert roles_of(dataset, DataSettings(fold=None)).train == tuple(dataset.ids)
    assert roles_of(dataset, DataSettings(fold=None, cases=["5_ED"])).train == ("5_ED",)


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"fold": 9}, "fold"), ({"cases": ["8"]}, "no-case"), ({"fold": None, "cases": []}, "no-labels")],
)
def test_roles_that_there_are_not_are_told(dataset: Dataset, settings: Any, code: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        roles_of(dataset, DataSettings(**settings))
    assert caught.value.code == code


# -- classes and scans ---------------------------------------------------------------------------------------


def test_labels_become_classes_as_told(dataset: Dataset) -> None:
    assert class_names(dataset, DataSettings()) == {1: "RV", 2: "MYO", 3: "LV"}
    swapped = DataSettings(classes={3: 1, 2: 2, 1: 3})
    assert class_names(dataset, swapped) == {1: "LV", 2: "MYO", 3: "RV"}
    assert class_names(dataset, DataSettings(classes={1: 1, 3: 1})) == {1: "RV + LV"}
    assert classes_of(dataset, DataSettings(classes={2: 1})) == {2: 1}
    with pytest.raises(SegToolkitError, match="no label 4"):
        classes_of(dataset, DataSettings(classes={4: 1}))
    with pytest.raises(ValueError, match="must be 1, 2"):
        DataSettings(classes={1: 1, 2: 3})


def test_a_scan_holds_the_classes_and_the_volume_s_own_range(dataset: Dataset, tmp_path: Path) -> None:
    classes = {3: 1, 2: 2}
    arrays = Scan(dataset.case("1_ED"), PLAN, classes, Cache(tmp_path)).arrays
    label = read_volume(dataset.case("1_ED").label, label=True).voxels
    np.testing.assert_array_equal(arrays["label"], np.array([0, 0, 2, 1])[label])
    np.testing.assert_array_equal(arrays["filled"], [1, 2, 3, 4])
    assert arrays["image"].dtype == np.float32
    assert (arrays["image"].min(), arrays["image"].max()) == (0, 1)
    # Not slice by slice.
    assert arrays["image"][0].max() < 1


def test_another_plan_or_other_classes_are_another_entry_of_the_cache(
    dataset: Dataset, tmp_path: Path
) -> None:
    cache, case = Cache(tmp_path), dataset.case("1_ED")
    keys = {
        cache.key(Scan(case, plan, classes, cache)._key())
        for plan in (
            PLAN,
            InputPlan(spacing_mm=2.0, crop=32),
            InputPlan(spacing_mm=None, percentiles=(1, 99)),
        )
        for classes in ({1: 1}, {2: 1})
    }
    assert len(keys) == 6


def test_a_case_without_a_structure_is_told_and_left_out(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path, ("1", "2", "3"))
    empty = read_volume(dataset.case("2").label, label=True)
    write_volume(empty.with_voxels(np.zeros_like(empty.voxels)), dataset.case("2").label)
    dataset.case("3").image.write_bytes(b"no image")
    heard = Heard()
    reader = Reader(dataset, DataSettings(), PLAN, tmp_path / "cache", heard)
    assert [scan.id for scan in reader.read(dataset.ids, "slices")] == ["1"]
    assert set(reader.failures) == {"2", "3"}
    assert "Case 2 is left out: None of its slices shows a structure." in heard.warnings
    assert set(reader.checksums) == {"1", "label of 1"}


# -- batches -------------------------------------------------------------------------------------------------


def test_a_batch_is_changed_slices_and_then_the_same_slices_as_they_are(scans: list[Scan]) -> None:
    drawn = sampler(scans, empty_slices="keep")
    order = [drawn.index[place] for place in np.random.default_rng((3, 0, 0, 20)).permutation(20)[:3]]
    batch = drawn.draw(0)
    assert batch.images.shape == (6, 1, 32, 32)
    assert (batch.images.dtype, batch.labels.dtype) == (torch.float32, torch.int64)
    for place, (scan, k) in enumerate(order):
        arrays = scans[scan].arrays
        # 44 x 36 to 32 x 32.
        torch.testing.assert_close(batch.images[3 + place, 0], torch.tensor(arrays["image"][k, 6:38, 2:34]))
        assert (batch.labels[3 + place].numpy() == arrays["label"][k, 6:38, 2:34]).all()
    assert batch.images[:3].amin((1, 2, 3)).tolist() == [0, 0, 0]
    assert batch.images[:3].amax((1, 2, 3)).numpy() == pytest.approx(1, abs=1e-6)
    assert not torch.equal(batch.images[:3], batch.images[3:])


def test_a_batch_depends_on_seed_and_number_alone(scans: list[Scan]) -> None:
    first = sampler(scans).draw(5)
    again = pickle.loads(pickle.dumps(sampler(scans)))
    again.draw(2)
    assert torch.equal(again.draw(5).images, first.images)
    assert torch.equal(again.draw(5).labels, first.labels)
    assert not torch.equal(sampler(scans, seed=4).draw(5).images, first.images)


def test_a_round_shows_every_slice_once_and_the_next_changes_it_anew(scans: list[Scan]) -> None:
    drawn = sampler(scans, batch=14, empty_slices="keep")
    assert (drawn.slices, drawn.batches) == (7, 3)
    rounds = [[drawn.draw(turn * 3 + number) for number in range(3)] for turn in range(2)]
    assert [len(batch.images) for batch in rounds[0]] == [14, 14, 12]
    shown = [
        {one.numpy().tobytes() for batch in turn for one in batch.images[len(batch.images) // 2 :]}
        for turn in rounds
    ]
    assert len(shown[0]) == 4 * SLICES
    assert shown[0] == shown[1]
    changed = [
        {one.numpy().tobytes() for batch in turn for one in batch.images[: len(batch.images) // 2]}
        for turn in rounds
    ]
    assert not changed[0] & changed[1]


def test_slices_without_a_structure_are_replaced_dropped_or_kept(scans: list[Scan]) -> None:
    kept, dropped = sampler(scans, empty_slices="keep").index, sampler(scans, empty_slices="drop").index
    assert kept == [(scan, k) for scan in range(4) for k in range(SLICES)]
    assert dropped == [(scan, k) for scan, k in kept if k > 0]
    draws = [sampler(scans, seed=seed).index for seed in range(9)]
    for index in draws:
        assert [scan for scan, _ in index] == [scan for scan, _ in kept]
        assert 0 not in {k for _, k in index}
    assert len({tuple(index) for index in draws}) > 3
    assert draws[2] == sampler(scans, seed=2).index


def test_without_originals_a_batch_is_all_augmented(scans: list[Scan]) -> None:
    drawn = sampler(scans, batch=4, originals=False)
    assert drawn.slices == 4
    assert drawn.draw(0).images.shape == (4, 1, 32, 32)


def test_no_slice_at_all_is_told() -> None:
    with pytest.raises(SegToolkitError, match="no slice to train on"):
        sampler([]).draw(0)


# -- what validates and what inference sees ------------------------------------------------------------------


@pytest.mark.parametrize("rescale", ["volume", "slice"])
@pytest.mark.parametrize("crop", [32, 48])
def test_training_knows_slices_as_inference_sees_them(
    dataset: Dataset, scans: Any, rescale: Any, crop: int
) -> None:
    plan = InputPlan(spacing_mm=None, crop=crop, rescale=rescale)
    image, label = (read_volume(path) for path in (dataset.case("2_ED").image, dataset.case("2_ED").label))
    stack = stacked(image, plan)
    arrays = next(scan for scan in scans if scan.id == "2_ED").arrays
    seen, classes = as_inference_sees(arrays["image"], arrays["label"], plan)
    np.testing.assert_array_equal(seen, stack.pixels)
    np.testing.assert_array_equal(classes, stack.label(label))


def test_validation_looks_at_every_slice_once(scans: list[Scan]) -> None:
    found = validation_slices(scans[0], DataSettings(), PLAN, 40, 3)
    assert found.images.shape == (SLICES, 1, 32, 32)
    assert not found.labels[0].any()
    assert float(found.images[0].max()) < 1


def test_the_released_validation_scales_every_slice_and_replaces_empty_ones(scans: list[Scan]) -> None:
    found = validation_slices(scans[0], DataSettings(validation="released"), PLAN, 40, 3)
    assert found.labels.flatten(1).any(1).all()
    assert found.images.amax((1, 2, 3)).numpy() == pytest.approx(1, abs=1e-6)
    # Rows 44 to 32 and columns 36 padded to 40 and cut to 32.
    expected = scans[0].arrays["label"][1:, 6:38, 2:34]
    np.testing.assert_array_equal(found.labels[1:], expected)


def test_labels_of_several_sizes_share_a_batch(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path, ("1", "2"))
    for part in (dataset.case("2").image, dataset.case("2").label):
        volume = read_volume(part)
        cut = volume.voxels[:, :25, :30]
        write_volume(type(volume)(cut, volume.spacing, volume.origin, volume.direction), part)
    scans = Reader(dataset, DataSettings(), PLAN, tmp_path / "cache", Heard()).read(dataset.ids, "slices")
    shapes = {scan.arrays["image"].shape for scan in scans}
    assert shapes == {(SLICES, ROWS, COLUMNS), (SLICES, 25, 30)}
    assert sampler(scans, batch=20).draw(0).images.shape == (20, 1, 32, 32)


def test_hearts_are_what_they_are_said_to_be() -> None:
    image, label = made_heart()
    assert image.same_grid(label)
    assert set(np.unique(label.voxels)) == {0, 1, 2, 3}
