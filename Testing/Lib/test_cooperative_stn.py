"""Predictions and repeated shape corrections."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from SegToolkitLib.methods.cooperative.network import Networks, build_networks
from SegToolkitLib.methods.cooperative.plan import InferencePlan, NetworkPlan
from SegToolkitLib.methods.cooperative.stn import exact_shape, predict, soft_shape

PLAN = NetworkPlan(channels=(4, 4, 8, 8, 16))


@pytest.fixture(scope="module")
def networks() -> Networks:
    return build_networks(PLAN, 3, seed=1).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_each_further_pass_corrects_the_logits_of_the_last(networks: Networks, images: Tensor) -> None:
    one, two, three = (predict(networks, images, InferencePlan(passes=n)) for n in (1, 2, 3))
    assert (one.passes, two.passes, three.passes) == (1, 2, 3)
    assert torch.equal(one.first, one.last)
    assert torch.equal(two.first, one.first)
    torch.testing.assert_close(two.last, networks.correct((one.last / 2).softmax(1)))
    torch.testing.assert_close(three.last, networks.correct((two.last / 2).softmax(1)))
    code = networks.encode(images)[0]
    torch.testing.assert_close(networks.reconstruct(two.code), networks.reconstruct(code))


@torch.no_grad()
def test_a_pass_that_changes_little_is_not_taken(networks: Networks, images: Tensor) -> None:
    free = predict(networks, images, InferencePlan(passes=2))
    change = float((free.last - free.first).square().mean().sqrt())
    above = predict(networks, images, InferencePlan(passes=5, stop_rms=1.01 * change))
    below = predict(networks, images, InferencePlan(passes=2, stop_rms=0.99 * change))
    assert above.passes == 1
    assert torch.equal(above.last, free.first)
    assert torch.equal(below.last, free.last)


@torch.no_grad()
def test_labels_are_of_the_last_pass_or_of_the_mean_of_both(networks: Networks, images: Tensor) -> None:
    found = predict(networks, images, InferencePlan(passes=2))
    assert torch.equal(found.labels(), found.last.argmax(1))
    mean = (found.first.softmax(1) + found.last.softmax(1)) / 2
    torch.testing.assert_close(found.probabilities(average=True), mean)
    torch.testing.assert_close(found.probabilities(), found.last.softmax(1))
    assert torch.equal(found.labels(average=True), mean.argmax(1))


def test_a_higher_temperature_makes_shapes_softer() -> None:
    logits = torch.tensor([[4.0, 0.0]])[..., None, None]
    assert soft_shape(logits).flatten().tolist() == pytest.approx([0.8808, 0.1192], abs=1e-4)
    assert soft_shape(logits, 1.0).max() > soft_shape(logits).max() > soft_shape(logits, 8.0).max()


def test_labels_are_given_exactly() -> None:
    labels = torch.tensor([[[0, 2], [1, 2]]], dtype=torch.uint8)
    exact = exact_shape(labels, 4)
    assert exact.shape == (1, 4, 2, 2)
    assert exact.dtype == torch.float32
    assert torch.equal(exact.argmax(1), labels.long())
    assert set(exact.unique().tolist()) == {0.0, 1.0}
    assert (exact.sum(1) == 1).all()
