"""Training slices that are mirrored and turned at random."""

from __future__ import annotations

import pytest
import torch

from SegToolkitLib.methods.cmer.augment import augmented, turned
from SegToolkitLib.methods.cmer.settings import AugmentSettings


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("rows", "wanted"), [(5, 8), (4, 4)])
def test_all_turns_that_fit_are_drawn_and_nothing_is_lost(rows: int, wanted: int) -> None:
    slices = torch.arange(2.0 * rows * 5).reshape(2, rows, 5)
    found = {tuple(turned(slices, seeded(seed)).flatten().tolist()) for seed in range(80)}
    assert len(found) == wanted
    assert all(sorted(one) == slices.flatten().tolist() for one in found)


def test_all_planes_of_a_slice_turn_alike_labels_too() -> None:
    plane = torch.rand(6, 6, generator=seeded(0))
    settings = AugmentSettings(shift=0, turned=True)
    for seed in range(10):
        first, second, label = augmented(
            torch.stack([plane, 2 * plane, plane.round()]), settings, seeded(seed), labels=1
        )
        torch.testing.assert_close(second, 2 * first)
        assert torch.equal(label, first.round())


def test_without_turns_the_same_seed_draws_the_same_shift_as_before() -> None:
    slices = torch.rand(2, 9, 9, generator=seeded(0))
    plain = augmented(slices, AugmentSettings(shift=0.3), seeded(4))
    both = augmented(slices, AugmentSettings(shift=0.3, turned=True), seeded(4))
    turns = [plain.rot90(k, (1, 2)) for k in range(4)] + [plain.flip(-1).rot90(k, (1, 2)) for k in range(4)]
    assert any(torch.equal(both, one) for one in turns)
