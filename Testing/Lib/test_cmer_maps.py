"""Maps of slices: the closed forms against a backward pass; gate, fusion, and signs that a map is useless."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from SegToolkitLib.methods.cmer.maps import (
    SliceMaps,
    agreement,
    blank,
    eight_bit,
    evidence,
    fused,
    plus_weights,
    raw_map,
    slice_maps,
)
from SegToolkitLib.methods.cmer.network import Activation, CamNetwork, build_networks
from SegToolkitLib.methods.cmer.normalise import normalised, standardised
from SegToolkitLib.methods.cmer.plan import InputPlan, MapPlan, NetworkPlan


def noise(*shape: int, seed: int = 3) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def network_of() -> CamNetwork:
    source = torch.Generator().manual_seed(1)
    network = build_networks(NetworkPlan(width_factor=16), 2, source)[0].double().eval()
    assert isinstance(network, CamNetwork)
    with torch.no_grad():
        network.classifier.weight.mul_(5)
    return network


def by_backward(network: CamNetwork, slices: Tensor, plus: bool, source: str) -> Tensor:
    """Both Grad-CAMs as their papers have them: gradients of the score in the last features."""
    found = network(standardised(slices))
    features = found.features
    cam = network.classifier(features)
    logits = cam.mean((2, 3))
    score = logits[:, 1] - (logits[:, 0] if source == "difference" else 0)
    (gradient,) = torch.autograd.grad(score.sum(), features)
    if not plus:
        weights = gradient.mean((2, 3))
    else:
        below = 2 * gradient**2 + gradient**3 * features.sum((2, 3), keepdim=True)
        alpha = gradient**2 / (torch.where(below == 0, 1.0, below) + 1e-7)
        weights = (alpha * torch.relu(score.exp()[:, None, None, None] * gradient)).sum((2, 3))
    return torch.relu((weights[:, :, None, None] * features).sum(1))


@pytest.mark.parametrize("source", ["class1", "difference"])
@pytest.mark.parametrize("kind", ["gradcam", "gradcam++"])
def test_the_closed_forms_are_what_a_backward_pass_gives(kind: str, source: str) -> None:
    network, slices = network_of(), noise(3, 1, 24, 16).double()
    plan = MapPlan(kind=kind, source=source)
    found = raw_map(network(standardised(slices)), network.classifier.weight, plan)
    wanted = by_backward(network, slices, kind == "gradcam++", source)
    torch.testing.assert_close(found.relu(), wanted, rtol=1e-6, atol=0)
    assert wanted.any()


def test_grad_cam_is_the_cam_and_plus_is_not() -> None:
    network, slices = network_of(), noise(2, 1, 16, 16).double()
    cam, grad, plus = (
        slice_maps(network, slices, InputPlan(), MapPlan(kind=kind)).maps
        for kind in ("cam", "gradcam", "gradcam++")
    )
    torch.testing.assert_close(cam, grad, atol=1e-4, rtol=0)
    assert (cam - plus).abs().max() > 0.01


def test_a_slice_has_the_same_map_alone_and_among_others() -> None:
    network, slices = network_of(), noise(3, 1, 16, 24).double()
    together = slice_maps(network, slices, InputPlan(), MapPlan())
    alone = [slice_maps(network, one[None], InputPlan(), MapPlan()) for one in slices]
    torch.testing.assert_close(together.maps, torch.cat([one.maps for one in alone]))
    torch.testing.assert_close(together.probability, torch.cat([one.probability for one in alone]))
    assert not together.maps.requires_grad
    assert torch.equal(together.present, together.probability > 0.5)


@pytest.mark.parametrize("kind", ["cam", "gradcam", "gradcam++"])
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_maps_are_as_large_as_their_slices(kind: str, fit: str) -> None:
    network = network_of()
    for size in ((16, 16), (30, 21)):
        found = slice_maps(network, noise(1, 1, *size).double(), InputPlan(fit=fit), MapPlan(kind=kind))
        assert found.maps.shape == (1, *size)
        assert 0 <= found.maps.min() <= found.maps.max() <= 1


def test_maps_of_released_size_are_enlarged_before_they_are_normalised() -> None:
    network, slices = network_of(), noise(1, 1, 30, 30).double()
    raw = network(standardised(slices)).cam[:, 1:]
    assert raw.shape[-1] == 24
    wanted = normalised(torch.nn.functional.interpolate(raw, (30, 30), mode="bilinear"))[:, 0]
    found = slice_maps(network, slices, InputPlan(fit="crop"), MapPlan())
    torch.testing.assert_close(found.maps, wanted)


def test_evidence_is_the_second_class_or_its_lead() -> None:
    cam = noise(2, 2, 3, 3)
    assert torch.equal(evidence(cam, "class1"), cam[:, 1])
    assert torch.equal(evidence(cam, "difference"), cam[:, 1] - cam[:, 0])


def test_features_with_a_negative_weight_have_no_part_in_plus_and_scores_may_be_huge() -> None:
    features = noise(1, 3, 4, 4)
    gradient = torch.tensor([0.1, -0.1, 0.0])
    for score in (0.0, 500.0):
        weights = plus_weights(gradient, torch.tensor([score]), features)
        assert weights[0, 0] > 0
        assert torch.isfinite(weights).all()
        assert not weights[0, 1:].any()


def test_the_gate_blanks_slices_that_are_classified_as_empty() -> None:
    maps = noise(2, 3, 3)
    found = SliceMaps(torch.tensor([0.4, 0.6]), torch.tensor([False, True]), maps)
    assert not found.gated()[0].any()
    assert torch.equal(found.gated()[1], maps[1])
    assert torch.equal(found.gated(False), maps)


def test_grey_values_are_rounded_down() -> None:
    maps = torch.tensor([0.0, 0.5, 0.999, 1.0, 1 / 255])
    assert eight_bit(maps).tolist() == [0, 127, 254, 255, 1]
    assert eight_bit(maps).dtype == torch.uint8


def test_fusion_is_the_mean_of_gated_maps() -> None:
    maps = noise(3, 2, 4, 4)
    torch.testing.assert_close(fused(maps), torch.from_numpy(maps.numpy().mean(0)))


def test_blank_maps_have_no_positive_pixel() -> None:
    raw = torch.tensor([[-1.0, -2.0], [0.0, 0.0], [-1.0, 1e-6]]).reshape(3, 1, 2)
    assert blank(raw).tolist() == [True, True, False]


def test_agreement_is_the_mean_soft_dice_of_pairs() -> None:
    a, b = noise(2, 4, 4), noise(2, 4, 4, seed=9)
    same = torch.stack([a, a, a])
    torch.testing.assert_close(agreement(same), torch.ones(2))
    halves = torch.zeros(2, 1, 2, 2)
    halves[0, 0, 0], halves[1, 0, 1] = 1, 1
    assert agreement(halves).tolist() == [0]
    assert agreement(torch.zeros(2, 1, 2, 2)).tolist() == [1]

    def dice(x: Tensor, y: Tensor) -> Tensor:
        return 2 * (x * y).sum((1, 2)) / ((x * x).sum((1, 2)) + (y * y).sum((1, 2)))

    wanted = (1 + 2 * dice(a, b)) / 3
    torch.testing.assert_close(agreement(torch.stack([a, a, b])), wanted)


def test_logits_follow_from_maps() -> None:
    cam = noise(2, 2, 5, 5).half()
    found = Activation.of(cam, noise(2, 3, 5, 5))
    np.testing.assert_allclose(found.logits, cam.float().mean((2, 3)), rtol=1e-6)
    assert found.cam.dtype == torch.float32
