"""The network of a modality: the authors' keys and sizes, slices of any size, fresh weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from SegToolkitLib.methods.cmer.network import CamNetwork, Networks, activation, build_networks, cropped
from SegToolkitLib.methods.cmer.plan import InputPlan, ModelPlan, NetworkPlan

CASES = Path(__file__).parents[1] / "Data" / "parity" / "cmer"
SMALL = NetworkPlan(width_factor=32)
PAD, CROP = InputPlan(), InputPlan(fit="crop")


def noise(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network_of(plan: NetworkPlan = SMALL, seed: int = 1) -> CamNetwork:
    network = build_networks(plan, 2, torch.Generator().manual_seed(seed))[0].eval()
    assert isinstance(network, CamNetwork)
    return network


def test_the_network_has_the_authors_keys_in_their_order() -> None:
    wanted = json.loads((CASES / "unet_cam_eval.json").read_text(encoding="utf-8"))["state_dict"]
    own = network_of(NetworkPlan(width_factor=4)).state_dict()
    assert {key: list(value.shape) for key, value in own.items()} == wanted
    assert list(own) == list(wanted)


@pytest.mark.parametrize(("factor", "parameters"), [(1, 3_398_144), (2, 851_200), (4, 213_632), (8, 53_824)])
def test_the_network_has_the_published_sizes(factor: int, parameters: int) -> None:
    with torch.device("meta"):
        network = CamNetwork(NetworkPlan(width_factor=factor))
    assert sum(value.numel() for value in network.parameters()) == parameters


@pytest.mark.parametrize(
    ("size", "map_size"),
    [
        ((16, 24), (16, 24)),
        ((30, 30), (24, 24)),
        ((64, 44), (64, 40)),
        ((17, 31), (16, 24)),
        ((8, 8), (8, 8)),
    ],
)
def test_maps_are_as_large_as_slices_or_as_released(size: tuple[int, int], map_size: tuple[int, int]) -> None:
    network = network_of()
    with torch.no_grad():
        padded = activation(network, noise(2, 1, *size), PAD)
        released = activation(network, noise(2, 1, *size), CROP)
    assert padded.cam.shape == (2, 2, *size)
    assert padded.features.shape == (2, SMALL.width, *size)
    assert released.cam.shape == (2, 2, *map_size)
    for found in (padded, released):
        torch.testing.assert_close(found.logits, found.cam.mean((2, 3)))


@pytest.mark.parametrize(
    ("length", "wanted"), [(5, [0, 1, 2, 3, 4]), (6, [1, 2, 3, 4, 5]), (8, [2, 3, 4, 5, 6])]
)
@pytest.mark.parametrize("axis", [-1, -2])
def test_what_is_cut_off_is_cut_off_the_start_first_on_each_axis_by_itself(
    length: int, wanted: list[int], axis: int
) -> None:
    x = torch.arange(length).expand(1, 1, 5, length)
    x, size = (x.mT, (5, 5)) if axis == -2 else (x, (5, 5))
    assert cropped(x, *size).select(-1 if axis == -2 else -2, 0).flatten().tolist() == wanted


def test_padding_leaves_what_needs_none_alone_and_pads_after_that_with_zeros() -> None:
    network = network_of()
    with torch.no_grad():
        even = noise(1, 1, 16, 24)
        assert torch.equal(activation(network, even, PAD).cam, network(even).cam)
        odd = noise(1, 1, 13, 22)
        wanted = network(nn.functional.pad(odd, (1, 1, 1, 2))).cam[..., 1:14, 1:23]
        found = activation(network, odd, PAD)
    torch.testing.assert_close(found.cam, wanted)
    torch.testing.assert_close(found.logits, wanted.mean((2, 3)))


@pytest.mark.parametrize("modalities", [2, 3, 5])
def test_each_modality_has_weights_of_its_own(modalities: int) -> None:
    networks = build_networks(SMALL, modalities, torch.Generator().manual_seed(1))
    assert isinstance(networks, Networks)
    first = [network.get_parameter("inc.conv.conv.0.weight") for network in networks]
    assert len({one.data_ptr() for one in first}) == len(networks) == modalities
    assert not torch.equal(first[0], first[1])
    slices = noise(1, 1, 16, 16)
    with torch.no_grad():
        seen = [networks.eval().see(index, slices, PAD).logits for index in range(modalities)]
    assert not torch.equal(seen[0], seen[-1])


def test_fresh_weights_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (network_of(seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["inc.conv.conv.0.bias"], other["inc.conv.conv.0.bias"])


def test_fresh_weights_are_xavier_normal_and_norms_do_nothing() -> None:
    network = network_of(NetworkPlan(width_factor=2))
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 10_000:
            ins, outs = (size * module.weight[0, 0].numel() for size in module.weight.shape[1::-1])
            assert module.weight.std().item() == pytest.approx((2 / (ins + outs)) ** 0.5, rel=0.05)
            assert module.bias is not None
            assert 0.9 < module.bias.abs().max() * ins**0.5 <= 1
        elif isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert not module.bias.any()
            assert torch.equal(module.running_var, torch.ones_like(module.running_var))


def test_dropout_takes_whole_channels_of_the_features_in_training_alone() -> None:
    network = network_of(NetworkPlan(width_factor=8, dropout=True))
    x = noise(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(x).cam, network(x).cam)
        network.train()
        torch.manual_seed(0)
        features = network(x).features[0].flatten(1)
    assert 0 < (features == 0).all(1).sum() < len(features)


def test_half_precision_logits_are_means_in_full() -> None:
    network = network_of()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = network(noise(1, 1, 16, 16))
    assert found.logits.dtype == found.cam.dtype == torch.float32
    torch.testing.assert_close(found.logits, found.cam.mean((2, 3)))


@pytest.mark.parametrize("factor", [3, 0, 128])
def test_a_width_factor_that_does_not_divide_is_refused(factor: int) -> None:
    with pytest.raises(ValidationError):
        NetworkPlan(width_factor=factor)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modalities": ("T1",)}, "at least 2"),
        ({"modalities": ("T1", "T1")}, "stands twice"),
        ({"modalities": ("T1", "T2"), "thresholds": {"ADC": 0.4}}, "ADC"),
        ({"thresholds": {"T2": 1.5}}, "less than or equal to 1"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ModelPlan(**change)


def test_a_modality_without_a_chosen_threshold_has_the_middle_one() -> None:
    plan = ModelPlan(modalities=("a", "b"), thresholds={"b": 0.7})
    assert (plan.threshold("a"), plan.threshold("b")) == (0.5, 0.7)
    assert ModelPlan.model_validate(plan.model_dump(mode="json")) == plan
