"""Training episodes: what is drawn, and that it depends on seed and position alone."""

from __future__ import annotations

import numpy as np
import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.augment import AUGMENTATIONS, draw_view
from SegToolkitLib.methods.alpnet.data import EpisodeSampler, Normalisation, Scan

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


def test_our_intensity_draws_leave_the_authors_draws_as_they_are() -> None:
    plain = draw_view(AUGMENTATIONS["sabs_aug"], (32, 32), np.random.default_rng(4))
    ours = draw_view(AUGMENTATIONS["sabs_intensity"], (32, 32), np.random.default_rng(4))
    assert plain.intensity is None
    assert ours.intensity is not None
    assert (plain.rotate, plain.shift, plain.gamma) == (ours.rotate, ours.shift, ours.gamma)
    assert np.array_equal(plain.noise, ours.noise)
