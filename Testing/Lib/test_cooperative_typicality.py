"""Whether slices look like the training: numbers, the sentence, corrupted slices against clean ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from cooperative_cases import made_heart
from cooperative_model import CHANNELS, tiny_plan, usual_codes
from SegToolkitLib.evaluation.corruptions import KINDS, CorruptionSettings, Kind, corrupted
from SegToolkitLib.methods.cooperative.network import Networks, build_networks
from SegToolkitLib.methods.cooperative.plan import ModelPlan, NetworkPlan
from SegToolkitLib.methods.cooperative.predict import predict
from SegToolkitLib.methods.cooperative.prepare import stacked
from SegToolkitLib.methods.cooperative.settings import StepSettings
from SegToolkitLib.methods.cooperative.step import cooperative_step
from SegToolkitLib.methods.cooperative.typicality import CODE, DISAGREEMENT, RESIDUAL, calibrate, note

pytestmark = pytest.mark.usefixtures("one_thread")


def made(count: int, seed: int, channels: int = 6) -> np.ndarray:
    """Signatures of slices that are alike."""
    rng = np.random.default_rng(seed)
    figures = np.exp(rng.normal(-3, 0.2, (count, CODE)))
    return np.concatenate([figures, rng.normal(1, 0.3, (count, channels))], axis=1).astype(np.float32)


def test_about_the_percentile_of_usual_slices_is_left_alone() -> None:
    usual = calibrate(made(200, 0), made(400, 1), percentile=95)
    assert len(usual.unlike(made(400, 1))) == 20, "of the slices that the threshold is taken from"
    assert 0 < len(usual.unlike(made(1000, 2))) < 100


@pytest.mark.parametrize(
    ("column", "factor"), [(RESIDUAL, 10.0), (DISAGREEMENT, 10.0), (CODE + 3, 10.0), (CODE + 3, -5.0)]
)
def test_each_figure_makes_a_slice_unlike_the_others(column: int, factor: float) -> None:
    usual, slices = calibrate(made(200, 0), made(200, 1)), made(5, 2)
    assert usual.unlike(slices) == []
    slices[3, column] *= factor
    assert usual.unlike(slices) == [3]


def test_what_is_redrawn_better_than_usual_is_not_told_of() -> None:
    usual, slices = calibrate(made(200, 0), made(200, 1)), made(5, 2)
    slices[:, [RESIDUAL, DISAGREEMENT]] /= 10
    assert usual.unlike(slices) == []


def test_quick_results_are_judged_without_the_shape_correction() -> None:
    usual, slices = calibrate(made(200, 0), made(200, 1)), made(6, 2)
    slices[:, DISAGREEMENT] = np.nan
    slices[4, RESIDUAL] *= 10
    assert usual.unlike(slices) == [4]


def test_a_model_of_a_single_pass_has_no_disagreement_to_compare() -> None:
    slices = made(500, 0)
    slices[:, DISAGREEMENT] = np.nan
    usual = calibrate(slices)
    assert usual.disagreement is None
    assert usual.unlike(made(3, 1)) == []


def test_without_held_out_slices_the_card_says_so() -> None:
    usual = calibrate(made(30, 0))
    assert (usual.source, usual.slices) == ("training", 30)
    assert "no held-out slices" in usual.text()
    with_others = calibrate(made(30, 0), made(12, 1))
    assert (with_others.source, with_others.slices) == ("held-out", 12)
    assert "99th percentile of 12 held-out slices" in with_others.text()


def test_what_was_learnt_stands_in_a_card_and_comes_back() -> None:
    plan = tiny_plan(typicality=usual_codes(2.0))
    assert ModelPlan.model_validate_json(plan.model_dump_json()) == plan
    with pytest.raises(ValidationError, match="channels"):
        ModelPlan(network=NetworkPlan(), typicality=plan.typicality)


@pytest.mark.parametrize(
    ("unlike", "text"),
    [
        ([0], "Slice 1 of 10 looks unlike the training images of this model; check it."),
        ([2, 3, 4], "Slices 3 to 5 of 10 look unlike the training images of this model; check them."),
        ([1, 2], "Slices 2 and 3 of 10 look unlike the training images of this model; check them."),
        ([0, 3, 4, 5, 9], "Slices 1, 4 to 6 and 10 of 10 look unlike the training images of this model;"),
        (list(range(10)), "All 10 slices look unlike the training images of this model; check them."),
        ([], ""),
    ],
)
def test_the_sentence_counts_slices_from_one(unlike: Sequence[int], text: str) -> None:
    found = note(unlike, 10)
    assert found.startswith(text) if text else found == ""


def taught() -> Networks:
    """Networks that have seen a few made-up hearts a few times."""
    networks = build_networks(NetworkPlan(channels=CHANNELS), 4, seed=0).train()
    optimiser = torch.optim.Adam(networks.parameters(), 1e-2)
    stacks = [(stacked(image, tiny_plan().input), label) for image, label in map(made_heart, range(6))]
    images = torch.from_numpy(np.concatenate([stack.pixels for stack, _ in stacks]))[:, None]
    labels = torch.from_numpy(
        np.concatenate([stack.label(label) for stack, label in stacks]).astype(np.int64)
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        chosen = torch.randperm(len(images), generator=generator)[:8]
        optimiser.zero_grad()
        settings = StepSettings(mode="standard")
        cooperative_step(networks, images[chosen], labels[chosen], settings, generator).total.backward()
        optimiser.step()
    return networks.eval()


def pixels(seeds: Sequence[int], kind: Kind | None = None) -> np.ndarray:
    found = []
    for seed in seeds:
        image, _ = made_heart(seed)
        if kind is not None:
            rng = np.random.default_rng(seed)
            image = corrupted(image, kind, CorruptionSettings(), rng).volume
        found.append(stacked(image, tiny_plan().input).pixels)
    return np.concatenate(found)


def test_corrupted_slices_are_flagged_far_more_often_than_clean_ones() -> None:
    networks = taught()

    def share(seeds: Sequence[int], kind: Kind | None = None) -> float:
        signatures = predict(networks, pixels(seeds, kind), tiny_plan().inference, signatures=True).signatures
        return len(usual.unlike(signatures)) / len(signatures)

    known, others = (
        predict(networks, pixels(seeds), tiny_plan().inference, signatures=True).signatures
        for seeds in (range(6), range(10, 18))
    )
    usual = calibrate(known, others)
    new = range(20, 28)
    clean = share(new)
    found = {kind: share(new, kind) for kind in KINDS}
    # Of forty slices; which of them are borderline depends on how a processor rounds the training's sums.
    assert clean <= 0.15, clean
    assert found["spike"] > clean + 0.6, (clean, found)
    assert np.mean(list(found.values())) > clean + 0.2, (clean, found)
