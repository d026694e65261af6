"""Masks of latent codes: which channels or places, how many, how much is left; repeatable by a seed."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from SegToolkitLib.methods.cooperative.mask_settings import MaskSettings
from SegToolkitLib.methods.cooperative.masking import (
    KINDS,
    draw_kind,
    dropout_factors,
    masked,
    scores,
    soft_factors,
    targets,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def code(*shape: int) -> Tensor:
    return torch.rand(shape, generator=seeded(3)) + 0.1


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.09, 0), (0.25, 2), (0.35, 3), (0.999, 9)])
def test_so_many_are_masked_and_they_have_the_highest_scores(share: float, count: int) -> None:
    values = torch.randn(4, 10, generator=seeded())
    chosen = targets(values, share)
    assert chosen.sum(1).tolist() == [count] * 4
    for row, mask in zip(values, chosen, strict=True):
        assert count == 0 or row[mask].min() > row[~mask].max()


def test_scores_are_signed_so_what_lowers_the_loss_is_not_attacked() -> None:
    chosen = targets(torch.tensor([[-9.0, 1.0, 0.5, -2.0]]), 0.25)
    assert chosen.tolist() == [[False, True, False, False]]


def test_of_a_tie_at_the_threshold_none_is_masked() -> None:
    assert targets(torch.tensor([[3.0, 2.0, 2.0, 1.0]]), 0.5).tolist() == [[True, False, False, False]]


def test_scores_are_means_over_places_or_channels() -> None:
    gradient = torch.randn(2, 3, 4, 5, generator=seeded())
    torch.testing.assert_close(scores(gradient, "channel"), gradient.flatten(2).mean(2))
    torch.testing.assert_close(scores(gradient, "spatial"), gradient.mean(1).reshape(2, 20))


@pytest.mark.parametrize("kind", ["channel", "spatial"])
@pytest.mark.parametrize("soft", [True, False])
def test_masked_codes_are_weakened_where_the_mask_says_and_whole_elsewhere(kind: str, soft: bool) -> None:
    settings = MaskSettings(kind=kind, max_threshold=0.5, random_threshold=False, soft=soft)
    given = code(2, 8, 4, 2).requires_grad_()
    found = masked(given, kind, settings, seeded(), torch.randn(given.shape, generator=seeded(1)))
    assert found.factors.shape == ((2, 8, 1, 1) if kind == "channel" else (2, 1, 4, 2))
    assert not found.code.requires_grad
    torch.testing.assert_close(found.code, given.detach() * found.factors)
    assert (found.factors[found.kept] == 1).all()
    assert int(found.kept.sum()) == 8
    left = found.factors[~found.kept]
    assert left.max() < 0.5
    assert bool(left.any()) == soft
    assert found.share == 0.5


def test_soft_factors_are_half_of_the_drawn_numbers() -> None:
    chosen = torch.tensor([[True, False]])
    assert soft_factors(chosen, torch.tensor([[0.5, 0.25]])).tolist() == [[0.25, 1.0]]


def test_dropout_drops_each_channel_with_the_largest_part_and_keeps_the_mean() -> None:
    settings = MaskSettings(kind="dropout", max_threshold=0.5)
    given = torch.ones(400, 50, 2, 2)
    found = masked(given, "dropout", settings, seeded(), None)
    assert set(found.factors.unique().tolist()) == {0.0, 2.0}
    assert found.code.mean() == pytest.approx(1, abs=0.02)
    assert torch.equal(found.kept, found.factors > 0)
    assert dropout_factors(torch.tensor([[True, False]]), 0.2).tolist() == [[1.25, 0.0]]


def test_parts_are_drawn_between_0_and_the_largest() -> None:
    settings = MaskSettings(kind="channel", max_threshold=0.5)
    generator, given = seeded(), code(1, 40, 2, 2)
    gradient = torch.randn(given.shape, generator=seeded(1))
    shares = [masked(given, "channel", settings, generator, gradient).share for _ in range(300)]
    assert 0 < min(shares) < 0.02
    assert 0.48 < max(shares) < 0.5


def test_a_random_kind_is_each_of_them_as_often() -> None:
    generator = seeded()
    drawn = [draw_kind(MaskSettings(), generator) for _ in range(600)]
    assert all(150 < drawn.count(kind) < 250 for kind in KINDS)
    assert draw_kind(MaskSettings(kind="spatial"), generator) == "spatial"


def test_a_seed_gives_the_same_mask() -> None:
    given = code(2, 16, 3, 3)
    gradient = torch.randn(given.shape, generator=seeded(1))
    one, again, other = (
        masked(given, "spatial", MaskSettings(), seeded(seed), gradient) for seed in (4, 4, 5)
    )
    assert torch.equal(one.code, again.code)
    assert not torch.equal(one.code, other.code)


@pytest.mark.parametrize("changes", [{"max_threshold": 1.0}, {"kind": "corners"}, {"loss": "mse"}, {"p": 1}])
def test_settings_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MaskSettings.model_validate(changes)
