"""CSSN's roles of cases, samples and augmentation."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cssn_cases import made_dataset, tiny
from SegToolkitLib.dataset.cache import Cache
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cssn import augment, reading, scans
from SegToolkitLib.methods.cssn.cases import organs_of, roles_of
from SegToolkitLib.methods.cssn.data import Sampler
from SegToolkitLib.methods.cssn.folds import published_folds
from SegToolkitLib.methods.cssn.plan import InferencePlan
from SegToolkitLib.methods.cssn.prepare import Box, bounds_of, canonical, margin_box, resample_array
from SegToolkitLib.methods.cssn.scans import Layout, Scan
from SegToolkitLib.methods.cssn.settings import AugmentSettings, CssnSettings, DataSettings


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(
        tmp_path_factory.mktemp("boxes"), patients={"0": "A", "1": "A"}, not_annotated={"4": ["spleen"]}
    )


def test_every_case_has_one_role(dataset: Dataset) -> None:
    for fold in range(3):
        roles = roles_of(dataset, DataSettings(fold=fold), seed=1)
        everyone = [*roles.labelled, *roles.unlabelled, *roles.held_out, *roles.not_judged]
        assert sorted(everyone) == sorted(dataset.ids)
        # Nobody looked for the spleen in it: finding one there would count as false.
        assert roles.not_judged == (("4",) if "4" not in roles.unlabelled else ())
        # Both volumes of a patient are on one side.
        assert len({"0", "1"} & set(roles.held_out)) in (0, 2)


def test_a_case_that_was_not_annotated_in_full_counts_as_unlabelled(dataset: Dataset) -> None:
    roles = roles_of(dataset, DataSettings(fold=None), seed=1)
    assert roles.labelled == ("0", "1", "2", "3", "5")
    assert roles.unlabelled == ("4", "u0", "u1")
    assert roles.incomplete == ("4",)
    assert roles.held_out == ()


def test_the_seed_draws_who_keeps_the_label(dataset: Dataset) -> None:
    settings = DataSettings(fold=None, labelled_count=2)
    drawn = [roles_of(dataset, settings, seed).labelled for seed in range(12)]
    assert drawn[3] == roles_of(dataset, settings, 3).labelled
    assert all(len(ids) == 2 for ids in drawn)
    assert len(set(drawn)) > 3
    assert set(roles_of(dataset, settings, 3).unlabelled) == set(dataset.ids) - set(drawn[3])


@pytest.mark.parametrize(
    ("settings", "selected", "expected"),
    [
        ({"unlabelled": ["u1"]}, None, ("u1",)),
        ({}, ["u0", "4"], ("4", "u0")),
        ({"unlabelled": ["u1"]}, ["u0"], ()),
        ({"labelled": ["03", "5"]}, None, ("0", "1", "2", "4", "u0", "u1")),
    ],
)
def test_unlabelled_images_can_be_named(
    dataset: Dataset, settings: dict[str, Any], selected: Any, expected: Any
) -> None:
    roles = roles_of(dataset, DataSettings(fold=None, **settings), 1, selected)
    assert roles.unlabelled == expected


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"fold": 7}, "fold"),
        ({"fold": None, "labelled": ["zz"]}, "no-case"),
        ({"fold": None, "unlabelled": ["u7"]}, "no-case"),
        ({"fold": None, "labelled_count": 6}, "too-few-labels"),
        ({"fold": 5, "split": "released"}, "fold"),
    ],
)
def test_what_cannot_be_is_refused(dataset: Dataset, settings: dict[str, Any], code: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        roles_of(dataset, DataSettings(**settings), 1)
    assert caught.value.code == code


def test_the_published_split_keeps_unlabelled_images_in_training(dataset: Dataset) -> None:
    roles = roles_of(dataset, DataSettings(fold=0, split="released"), 1)
    assert len(roles.held_out) == 2  # the fifth of six, rounded up
    assert {"u0", "u1"} <= set(roles.unlabelled)


def test_the_published_split_sorts_numbers_as_the_files_have_them(tmp_path: Path) -> None:
    """As by the authors' ids "0001" to "0012": case 10 comes after case 9, not after case 1."""
    written = [f"{number:04}" for number in range(1, 13)]
    for id in written:
        (tmp_path / f"image_{id}.nii.gz").touch()
        (tmp_path / f"label_{id}.nii.gz").touch()
    labels = {"background": 0, "liver": 1}
    facts = {"name": "numbers", "modality": "CT", "labels": labels}
    DatasetDescription.parse(facts).save(tmp_path / "dataset.json")
    dataset = Dataset.open(tmp_path)
    for fold, expected in enumerate(published_folds(written)):
        found = roles_of(dataset, DataSettings(fold=fold, split="released"), 1)
        assert [f"{int(id):04}" for id in found.held_out] == list(expected.val)
        assert [f"{int(id):04}" for id in found.labelled] == list(expected.train)
    # Where a description lists the files, its ids are the authors'.
    listed = {id: {"images": [f"image_{id}.nii.gz"], "label": f"label_{id}.nii.gz"} for id in written}
    nnunet = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz", "dataset": listed}
    (tmp_path / "dataset.json").write_text(json.dumps({**nnunet, "numTraining": len(listed)}))
    again = roles_of(Dataset.open(tmp_path), DataSettings(fold=1, split="released"), 1)
    assert [f"{int(id):04}" for id in again.held_out] == list(published_folds(written)[1].val)


def _sampler(dataset: Dataset, folder: Path, settings: CssnSettings, region: Any = "label") -> Sampler:
    organs = organs_of(dataset)
    layout = Layout(settings.size, tuple(organs), 20, keep_whole=True)
    cache = Cache(folder / "cache")
    labelled = [Scan(dataset.case(id), True, layout, cache, region) for id in ("0", "2", "3")]
    unlabelled = [Scan(dataset.case(id), False, layout, cache) for id in ("u0", "u1")]
    return Sampler(labelled, unlabelled, settings, len(organs), {1: 2, 2: 1})


@pytest.mark.parametrize(
    ("stage", "region", "given", "labelled", "unlabelled"),
    [
        ("fine", "auto", True, "organs", "found"),
        ("fine", "auto", False, "whole", "whole"),
        ("fine", "organs", False, "organs", "whole"),
        ("fine", "whole", True, "whole", "whole"),
        ("coarse", "organs", True, "whole", "whole"),
    ],
)
def test_images_are_cut_to_what_label_or_coarse_model_show(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    region: str,
    given: bool,
    labelled: str,
    unlabelled: str,
) -> None:
    found = ((6, 7, 8), (20, 30, 29))
    finder = SimpleNamespace(extent=lambda volume: found)
    monkeypatch.setattr(reading, "Finder", lambda *_: finder)
    coarse: Any = SimpleNamespace(fingerprint="f", inference=InferencePlan()) if given else None
    settings = tiny(f"data.region={region}", stage=stage)
    reader = reading.Reader(
        dataset, settings, organs_of(dataset), coarse, tmp_path, torch.device("cpu"), Reporter()
    )
    (teaching,), (free,) = reader.read(["0"], True, "a"), reader.read(["u0"], False, "b")
    label = dataset.read(dataset.case("0"))[1]
    assert label is not None
    extents = {"organs": bounds_of(canonical(label).voxels), "found": found}
    for scan, cut in ((teaching, labelled), (free, unlabelled)):
        whole = canonical(dataset.read(scan.case)[0]).voxels
        # 4 mm voxels: 20 mm of margin are 5.
        box = Box.whole(whole.shape)
        if cut in extents:
            low, high = extents[cut] or found
            box = margin_box(low, high, whole.shape, (4.0, 4.0, 4.0), 20)
        assert np.array_equal(scan.fitted["image"], resample_array(whole[box.slices], settings.size))
        assert np.allclose(scan.fitted["voxel"], 4.0 * np.array(box.shape) / settings.size)


def test_runs_with_other_regions_share_the_whole_volume(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = scans.read_case
    monkeypatch.setattr(scans, "read_case", lambda case: read.append(case.id) or original(case))
    case, cache = dataset.case("0"), Cache(tmp_path)
    label = dataset.read(case)[1]
    assert label is not None
    found = bounds_of(canonical(label).voxels)
    regions: Any = ("label", ((1, 2, 3), (10, 11, 12)), "whole", "whole")
    layouts = [Layout((8, 8, 8), tuple(organs_of(dataset)), margin, True) for margin in (20, 12, 12, 4)]
    cut = [Scan(case, True, layout, cache, one) for layout, one in zip(layouts, regions, strict=True)]
    extents = [tuple(map(tuple, one.whole["extent"].tolist())) for one in cut]
    shape = cut[0].whole["image"].shape
    # 4 mm voxels.
    inner = [((n, n, n), tuple(size - 1 - n for size in shape)) for n in (3, 1)]
    assert extents == [found, regions[1], *inner]
    # Each is cut to its own region all the same.
    assert len({one.fitted["image"].tobytes() for one in cut}) == 3
    assert read == ["0"]


def test_an_empty_label_leaves_the_whole_volume(dataset: Dataset, tmp_path: Path) -> None:
    layout = Layout((8, 8, 8), (77,), 20, keep_whole=True)
    scan = Scan(dataset.case("0"), True, layout, Cache(tmp_path), "label")
    shape = scan.whole["image"].shape
    assert not scan.whole["label"].any()
    assert scan.whole["extent"].tolist() == [[5, 5, 5], [n - 6 for n in shape]]


def test_a_sample_depends_on_seed_and_number_alone(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny("augment.rotation_degrees=10", "augment.noise_variance=0.1")
    sampler = _sampler(dataset, tmp_path, settings)
    first = sampler.draw(5)
    sampler.draw(6)
    # Also in another process, which maps the cache anew.
    again = pickle.loads(pickle.dumps(sampler)).draw(5)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, sampler.draw(6).images)
    other = _sampler(dataset, tmp_path, settings.model_copy(update={"seed": 2}))
    assert not torch.equal(first.images, other.draw(5).images)


def test_a_sampler_sends_no_voxels_to_other_processes(dataset: Dataset, tmp_path: Path) -> None:
    sampler = _sampler(dataset, tmp_path, tiny())
    sampler.draw(0)
    assert len(pickle.dumps(sampler)) < 30_000


def test_labelled_images_come_first_and_all_are_seen(dataset: Dataset, tmp_path: Path) -> None:
    plain = ["augment.crop_probability=0", "augment.organ_shift_probability=0", "augment.global_shift=0"]
    sampler = _sampler(dataset, tmp_path, tiny("optimiser.batch=3", *plain))
    sample = sampler.draw(0)
    assert sample.images.shape == (6, 1, *sampler.settings.size)
    assert sample.labels.shape == (3, *sampler.settings.size)
    assert sample.labels.dtype == torch.uint8
    assert sample.labels.unique().tolist() == [0, 1, 2]
    # Three labelled images, each once before any comes again; each z-scored by itself.
    assert len({float(image.sum()) for image in sample.images[:3, 0].double()}) == 3
    assert torch.allclose(sample.images.mean((1, 2, 3, 4)), torch.zeros(6), atol=1e-4)
    assert torch.allclose(sample.images.std((1, 2, 3, 4)), torch.ones(6), atol=1e-3)


@pytest.mark.parametrize("region", ["label", "whole", ((3, 4, 5), (20, 30, 28))])
def test_image_and_label_are_cut_alike(dataset: Dataset, tmp_path: Path, region: Any) -> None:
    sampler = _sampler(dataset, tmp_path, tiny("augment.organ_shift_probability=0"), region)
    for number in range(6):
        sample = sampler.draw(number)
        image, label = sample.images[0, 0], sample.labels[0]
        background, first, second = (float(image[label == value].mean()) for value in (0, 1, 2))
        assert background < first < second


def _crops(rule: str) -> np.ndarray:
    settings = AugmentSettings(crop_rule=rule)
    rng = np.random.default_rng(0)
    low, high, shape, spacing = (60, 70, 80), (99, 109, 119), (200, 200, 200), (2.0, 4.0, 8.0)
    boxes = [augment.random_crop(low, high, shape, spacing, settings, rng) for _ in range(3000)]
    assert all(boxes)
    # How far each face lies outside the organs, mm: lower faces, then upper ones.
    outside = [(np.subtract(low, box.start), np.subtract(box.stop, high)) for box in boxes if box]
    return np.array(outside) * np.array(spacing)


def test_crops_reach_beyond_the_organs_on_both_sides() -> None:
    found = _crops("corrected")
    assert found.min() >= -40 / 3 - 8
    assert found.max() < 40
    # Not only upwards: both faces lie further outside than inside.
    assert (found.mean(axis=0) > 6).all()


def test_the_released_crop_cuts_into_the_organs_from_below() -> None:
    found = _crops("released")
    assert (found[:, 0].mean(axis=0) < -6).all()
    assert found[:, 0].min() < -35
    assert (found[:, 1].mean(axis=0) > 6).all()


def test_crops_stay_in_the_volume_and_never_vanish() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        box = augment.random_crop((0, 1, 2), (0, 3, 2), (2, 5, 4), (1, 1, 30), AugmentSettings(), rng)
        if box is not None:
            assert all(0 <= a < b <= n for a, b, n in zip(box.start, box.stop, (2, 5, 4), strict=True))


def test_only_organs_are_shifted_each_by_its_own_whole_number() -> None:
    label = np.array([0, 1, 1, 2, 3], np.uint8).reshape(1, 1, 5)
    settings, rng = AugmentSettings(organ_shift_probability=1), np.random.default_rng(1)
    image = np.zeros(label.shape, np.float32)
    augment.shift_organs(image, label, 3, 650, settings, rng)
    zero, one, same, two, three = image.ravel()
    assert zero == 0
    assert one == same
    assert len({one, two, three}) == 3
    assert all(value == int(value) and -200 <= value < 200 for value in (one, two, three))
    narrow = np.zeros(label.shape, np.float32)
    augment.shift_organs(narrow, label, 3, 65, settings, np.random.default_rng(1))
    assert np.allclose(narrow * 10, image)


def test_sides_change_places_when_x_flips() -> None:
    image = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    label = np.array([[[1, 2], [0, 3]], [[1, 0], [3, 2]]], np.uint8)
    settings = AugmentSettings(flips=(False, False, True))
    flipped = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        new, found = augment.flip(image, label, {1: 2, 2: 1}, settings, rng)
        assert found is not None
        if not np.array_equal(new, image):
            flipped += 1
            assert np.array_equal(new, image[:, :, ::-1])
            assert found.tolist() == [[[1, 2], [3, 0]], [[0, 2], [1, 3]]]
    assert 3 < flipped < 17
    same, found = augment.flip(image, label, {1: 2, 2: 1}, AugmentSettings(), np.random.default_rng(0))
    assert same is image
    assert found is label


@pytest.mark.parametrize(
    "changes", [{"rotation_degrees": 30}, {"shift_share": 0.2}, {"rotation_degrees": 20, "elastic": True}]
)
def test_image_and_label_move_together(changes: dict[str, Any]) -> None:
    label = np.zeros((20, 24, 28), np.uint8)
    label[6:14, 8:16, 9:19] = 1
    image = label * np.float32(100)
    settings, moved = AugmentSettings(**changes), 0
    for seed in range(20):
        new, found = augment.move(image, label, (2.0, 1.0, 1.0), settings, np.random.default_rng(seed))
        assert found is not None
        assert found.dtype == np.uint8
        moved += not np.array_equal(found, label)
        both = 2 * np.count_nonzero((new >= 50) & (found == 1)) / ((new >= 50).sum() + found.sum())
        assert both > 0.97
    assert moved >= 3


def test_a_rotation_turns_the_patient_not_the_voxels() -> None:
    # With z steps twice as long, a quarter turn about x brings 4 voxels of y to 2 of z.
    label = np.zeros((21, 21, 5), np.uint8)
    label[10, 6:15, :] = 1
    settings = AugmentSettings(rotation_degrees=45)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        _, found = augment.move(label.astype(np.float32), label, (2.0, 1.0, 1.0), settings, rng)
        assert found is not None
        z, y, _ = np.nonzero(found)
        extent = np.hypot(np.ptp(z) * 2.0, np.ptp(y))
        assert extent < 8 + 4  # never longer in mm than it was, but for rounding


def test_noise_comes_every_other_time_and_only_where_asked_for() -> None:
    rng = np.random.default_rng(0)
    assert augment.noise_of((2, 2, 2), AugmentSettings(), rng) is None
    drawn = [augment.noise_of((8, 8, 8), AugmentSettings(noise_variance=0.1), rng) for _ in range(60)]
    there = [noise for noise in drawn if noise is not None]
    assert 15 < len(there) < 45
    assert max(float(noise.var()) for noise in there) < 0.15
