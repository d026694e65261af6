"""Training episodes: what is drawn, and that it depends on seed and position alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from SegToolkitLib.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.augment import AUGMENTATIONS
from SegToolkitLib.methods.alpnet.card import preprocessing_of
from SegToolkitLib.methods.alpnet.data import EpisodeSampler, Normalisation, Scan
from SegToolkitLib.methods.alpnet.evaluate import _read
from SegToolkitLib.methods.alpnet.prepare_steps import window_to_255
from SegToolkitLib.methods.alpnet.run import _sampler
from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
from SegToolkitLib.methods.alpnet.training_data import TrainingData, load_training_data
from SegToolkitLib.settings import load
from SegToolkitLib.volume import Volume, write_volume

RANGES = AUGMENTATIONS["sabs_aug"]


def scan(ids: list[list[int]], *, excluded: frozenset[int] = frozenset(), id: str = "1") -> Scan:
    """A scan whose slice k carries the given superpixel ids as vertical stripes."""
    depth, size = len(ids), 64
    image = np.random.default_rng(0).normal(size=(depth, size, size)).astype(np.float32)
    labels = np.zeros((depth, size, size), dtype=np.int16)
    for k, present in enumerate(ids):
        for place, number in enumerate(present):
            labels[k, :, place * 16 : (place + 1) * 16] = number
    return Scan(id, image, (labels,), excluded)


def test_a_position_gives_the_same_episode_every_time() -> None:
    sampler = EpisodeSampler([scan([[1, 2, 3]] * 4)], RANGES, structures=2, seed=9)
    again = EpisodeSampler([scan([[1, 2, 3]] * 4)], RANGES, structures=2, seed=9)
    for position in (7, 0, 3):
        first, second = sampler.draw(position), again.draw(position)
        assert first.origin == second.origin
        assert np.array_equal(first.support, second.support)
        assert np.array_equal(first.query_masks, second.query_masks)


def test_another_seed_gives_other_episodes() -> None:
    draws = [EpisodeSampler([scan([[1, 2, 3]] * 4)], RANGES, seed=seed).draw(0).support for seed in (1, 2)]
    assert not np.array_equal(*draws)


def test_support_and_query_are_two_different_views_of_one_slice() -> None:
    episode = EpisodeSampler([scan([[1, 2, 3]])], RANGES).draw(0)
    assert episode.support.shape == episode.query.shape == (64, 64)
    assert not np.array_equal(episode.support, episode.query)
    assert set(np.unique(episode.support_masks)) <= {0, 1}


def test_every_slice_is_seen_once_in_a_pass() -> None:
    sampler = EpisodeSampler([scan([[1, 2]] * 5), scan([[1, 2]] * 3, id="2")], RANGES)
    seen = [sampler.draw(position).origin[:2] for position in range(8)]
    assert sorted(seen) == [("1", k) for k in range(5)] + [("2", k) for k in range(3)]


def test_excluded_slices_and_slices_without_superpixels_are_never_drawn() -> None:
    scans = [scan([[1, 2], [], [1, 2], [1, 2]], excluded=frozenset({2}))]
    sampler = EpisodeSampler(scans, RANGES)
    assert {sampler.draw(position).origin[1] for position in range(40)} == {0, 3}


def test_present_rule_draws_the_last_id_and_no_gap() -> None:
    sampler = EpisodeSampler([scan([[1, 4]])], RANGES)
    assert {sampler.draw(position).origin[2][0] for position in range(60)} == {1, 4}


def test_authors_rule_draws_gaps_but_never_the_last_id() -> None:
    sampler = EpisodeSampler([scan([[1, 4]])], RANGES, draw_rule="authors")
    assert {sampler.draw(position).origin[2][0] for position in range(60)} == {1, 2, 3}


def test_a_slice_with_one_superpixel_does_not_break_the_authors_rule() -> None:
    sampler = EpisodeSampler([scan([[1], [1, 2]])], RANGES, draw_rule="authors")
    assert {sampler.draw(position).origin[1] for position in range(20)} == {1}


def test_nothing_to_learn_from_is_said_before_training() -> None:
    with pytest.raises(SegToolkitError, match="None of the 2 training slices"):
        EpisodeSampler([scan([[], []])], RANGES)


def test_mr_is_normalised_by_itself_and_ct_by_all_training_voxels() -> None:
    volumes = [np.full((2, 2, 2), 10.0), np.full((4, 2, 2), 40.0)]
    ct = Normalisation.fit("CT", volumes)
    assert ct.mean == pytest.approx(30.0)
    assert ct.std == pytest.approx(np.concatenate([v.ravel() for v in volumes]).std())
    mr = Normalisation.fit("MR", volumes)(np.array([[[1.0, 3.0]]]))
    assert mr.ravel().tolist() == pytest.approx([-1.0, 1.0])


def test_a_constant_volume_cannot_be_normalised() -> None:
    with pytest.raises(SegToolkitError, match="same value"):
        Normalisation("MR")(np.ones((2, 2, 2)))


def test_a_pass_that_would_leave_slices_undrawn_is_refused_with_the_setting_that_mends_it() -> None:
    EpisodeSampler([scan([[1, 2]] * 5)], RANGES, epoch_length=5)
    with pytest.raises(SegToolkitError, match="set to 4 slices, but there are 5") as error:
        EpisodeSampler([scan([[1, 2]] * 5)], RANGES, epoch_length=4)
    assert "--set episodes.epoch_length=null" in error.value.hint


def test_the_hint_about_missing_superpixels_names_an_option_of_training() -> None:
    with pytest.raises(SegToolkitError) as error:
        EpisodeSampler([scan([[], []])], RANGES)
    assert "--set data.threshold=otsu" in error.value.hint


def test_the_authors_pass_of_a_thousand_holds_for_mr_alone() -> None:
    data = TrainingData([scan([[1, 2]] * 4)], Normalisation("MR"), None, {})
    assert _sampler(PRESETS["authors"], data, "MR").epoch_length == 1000
    assert _sampler(PRESETS["authors"], data, "CT").epoch_length is None
    assert PRESETS["authors"].workers == 4


def written(
    folder: Path, modality: str, images: list[np.ndarray], made_by: dict | None = None, **more: object
) -> Dataset:
    folder.mkdir(exist_ok=True)
    for id, voxels in enumerate(images, start=1):
        volume = Volume(voxels.astype(np.float32), (1.5, 1.5, 5), (0, 0, 0), np.eye(3))
        write_volume(volume, folder / f"image_{id}.nii.gz")
        label = volume.with_voxels((voxels > voxels.mean()).astype(np.uint8))
        write_volume(label, folder / f"label_{id}.nii.gz")
    values = {"name": "tiny", "modality": modality, "labels": {"background": 0, "x": 1}, "folds": 1, **more}
    (folder / "dataset.json").write_text(json.dumps(values))
    if made_by is not None:
        (folder / "prepare.json").write_text(json.dumps({"format": 1, "made_by": made_by, "cases": {}}))
    return Dataset.open(folder)


def settings(*more: str) -> AlpnetSettings:
    sets = ["data.fold=null", "data.superpixel_min_sizes=[60]", "data.threshold=-1000", *more]
    return load(AlpnetSettings, PRESETS["compact"], None, sets)


def images(modality: str = "CT", *shapes: tuple[int, int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    low, high = (-900, 900) if modality == "CT" else (0, 500)
    return [rng.uniform(low, high, size=shape) for shape in shapes or ((2, 64, 64), (3, 64, 64))]


def test_the_card_of_a_ct_model_normalises_raw_units_as_training_did_the_prepared_ones(
    tmp_path: Path,
) -> None:
    window = (-125.0, 275.0)
    raw = images()
    prepared = [window_to_255(one, *window) for one in raw]
    made_by = {"source": "generic", "settings": {"modality": "CT", "window": window, "clip_top": None}}
    dataset = written(tmp_path / "data", "CT", prepared, made_by)
    data = load_training_data(dataset, settings(), tmp_path / "sp", Reporter())
    card = preprocessing_of(dataset, data)
    assert (card.window, card.clip_top) == (window, None)
    assert card.mean is not None
    assert card.std is not None
    for voxels, one in zip(raw, data.scans, strict=True):
        scored = (np.clip(voxels, *window) - card.mean) / card.std
        assert np.allclose(scored, one.image, atol=1e-4)


@pytest.mark.parametrize(
    ("made_by", "clipped", "expected"),
    [
        (None, False, None),
        (None, True, 99.5),
        ({"settings": {"clip_top": 2.0, "window": None}}, True, 98.0),
        ({"settings": {"clip_top": None}}, True, None),
        ({}, False, None),
        ({}, True, 99.5),
    ],
)
def test_the_card_of_an_mr_model_clips_where_the_volumes_were(
    tmp_path: Path, made_by: dict | None, clipped: bool, expected: float | None
) -> None:
    voxels = images("MR")
    if clipped:
        voxels = [np.minimum(one, np.percentile(one, 99.5)) for one in voxels]
    dataset = written(tmp_path / "data", "MR", voxels, made_by)
    card = preprocessing_of(dataset, load_training_data(dataset, settings(), tmp_path / "sp", Reporter()))
    assert (card.clip_top, card.window, card.mean) == (expected, None, None)


def test_ct_that_somebody_cut_to_a_window_needs_its_name(tmp_path: Path) -> None:
    """Its statistics are on another scale than the scans that the model will see."""
    window = (-125.0, 275.0)
    raw = images()
    dataset = written(tmp_path / "data", "CT", [window_to_255(one, *window) for one in raw])
    with pytest.raises(SegToolkitError, match="nothing says to which") as error:
        load_training_data(dataset, settings("data.threshold=50"), tmp_path / "sp", Reporter())
    assert error.value.code == "no-window"
    assert "data.window" in error.value.hint
    named = settings("data.threshold=50", "data.window=[-125,275]")
    data = load_training_data(dataset, named, tmp_path / "sp", Reporter())
    card = preprocessing_of(dataset, data)
    assert card.window == window
    assert card.mean is not None
    assert card.std is not None
    scored = (np.clip(raw[0], *window) - card.mean) / card.std
    assert np.allclose(scored, data.scans[0].image, atol=1e-4)


def test_the_authors_odd_ct_row_and_column_are_cut_after_normalising(tmp_path: Path) -> None:
    raw = images("CT", (1, 257, 257), (1, 257, 257))
    dataset = written(tmp_path / "data", "CT", raw)
    data = load_training_data(
        dataset, settings("data.superpixel_min_sizes=[4000]"), tmp_path / "sp", Reporter()
    )
    whole = Normalisation.fit("CT", [one.astype(np.float32) for one in raw])(raw[0].astype(np.float32))
    assert np.array_equal(data.scans[0].image, whole[:, :256, :256])
    assert data.scans[0].superpixels[0].shape == (1, 256, 256)
    predictor = SimpleNamespace(encode=torch.from_numpy)
    read = _read(dataset, "1", predictor, data.normalisation)  # type: ignore[arg-type]
    assert np.array_equal(read.features.numpy(), data.scans[0].image)
    assert read.label.shape == read.image.shape == (1, 256, 256)
    assert read.image.with_voxels(read.label).same_grid(read.image)


def test_only_one_odd_ct_row_is_cut_and_none_of_mr(tmp_path: Path) -> None:
    for modality, size, expected in (
        ("CT", [32, 40], (40, 64)),
        ("CT", [65, 65], (41, 64)),
        ("MR", [64, 40], (41, 64)),
    ):
        voxels = images(modality, (2, 41, 64))
        dataset = written(tmp_path / "data", modality, voxels, size=size)
        data = load_training_data(dataset, settings(), tmp_path / "sp", Reporter())
        assert data.scans[0].image.shape[1:] == expected


def test_volumes_of_different_size_are_told_apart_before_they_share_a_step(tmp_path: Path) -> None:
    dataset = written(tmp_path / "data", "MR", images("MR", (2, 64, 64), (2, 48, 56)))
    with pytest.raises(SegToolkitError) as error:
        load_training_data(dataset, settings(), tmp_path / "sp", Reporter())
    assert error.value.code == "sizes-differ"
    for words in ("case 1", "64 x 64", "case 2", "56 x 48"):
        assert words in error.value.message
    assert "--size 256" in error.value.hint
    one = settings("optimiser.pairs_per_step=1")
    assert len(load_training_data(dataset, one, tmp_path / "sp", Reporter()).scans) == 2
