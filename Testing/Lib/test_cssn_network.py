"""The coarse and the fine network: the authors' keys, other widths and depths, what training needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from SegToolkitLib.methods.cssn.blocks import ONE, THREE, ResidualBlock, Unit, instance_norm
from SegToolkitLib.methods.cssn.network import FineNet, build_network
from SegToolkitLib.methods.cssn.plan import NetworkPlan, StagePlan

CASES = Path(__file__).parents[1] / "Data" / "parity" / "cssn"
RELEASED = {"unet": "unet_coarse_forward", "efficient": "efficientseg_fine_forward"}
WIDTHS = (4, 4, 8, 8, 16)
KINDS = ("unet", "efficient")


def plan(kind: str, channels: tuple[int, ...] = WIDTHS, times: int = 1, **network: object) -> StagePlan:
    """The smallest input that such a network can have, or a multiple of it."""
    blocks = (2,) * (len(channels) - 1)
    chosen = NetworkPlan.model_validate({"kind": kind, "channels": channels, "blocks": blocks} | network)
    least = (4, 8, 4) if kind == "efficient" else (1, 2, 1)
    z, y, x = (times * max(16, n << (len(channels) - 1)) for n in least)
    return StagePlan(network=chosen, size=(z, y, x))


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def shapes(network: nn.Module) -> dict[str, list[int]]:
    return {key: list(value.shape) for key, value in network.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_released_networks_have_the_authors_keys_and_shapes(kind: str) -> None:
    wanted = json.loads((CASES / f"{RELEASED[kind]}.json").read_text())["state_dict"]
    assert shapes(build_network(plan(kind, (16, 32, 64, 128, 256)), 13)) == wanted


@pytest.mark.parametrize(
    ("kind", "first", "classes", "tensors", "parameters"),
    [("unet", 16, 13, 38, 10_705_552), ("unet", 8, 4, 38, 2_676_480), ("efficient", 16, 13, 56, 9_366_160)],
)
def test_the_released_networks_have_the_published_sizes(
    kind: str, first: int, classes: int, tensors: int, parameters: int
) -> None:
    network = build_network(plan(kind, tuple(first << stage for stage in range(5))), classes)
    values = [value.numel() for value in network.state_dict().values()]
    assert (len(values), sum(values)) == (tensors, parameters)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [WIDTHS, WIDTHS[:4]], ids=["five stages", "four stages"])
def test_logits_have_the_size_of_the_input(kind: str, channels: tuple[int, ...]) -> None:
    chosen = plan(kind, channels)
    network = build_network(chosen, 3, seed=0).eval()
    with torch.inference_mode():
        assert network(noise(2, 1, *chosen.size)).shape == (2, 3, *chosen.size)


@pytest.mark.parametrize("kind", KINDS)
def test_four_stages_lack_the_deepest_modules_and_keep_the_other_names(kind: str) -> None:
    four, five = (set(shapes(build_network(plan(kind, WIDTHS[:n]), 3))) for n in (4, 5))
    assert four < five
    assert {key.split(".")[0] for key in five - four} == {
        "unet": {"conv4_0", "conv3_1"},
        "efficient": {"conv4_0", "conv3_1", "trans_4"},
    }[kind]


def test_blocks_are_counted_twice_for_the_first_two_stages() -> None:
    network = build_network(plan("efficient", blocks=(3, 1, 2, 1)), 3)
    assert [len(network.get_submodule(f"conv{stage}_0")) for stage in range(5)] == [3, 3, 1, 2, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_volumes_of_a_batch_do_not_see_each_other(kind: str, mode: str) -> None:
    chosen = plan(kind, WIDTHS[:4], dropout=0)
    network = build_network(chosen, 3, seed=1).train(mode == "training")
    volumes = noise(2, 1, *chosen.size) * torch.tensor([1.0, 50.0]).reshape(2, 1, 1, 1, 1)
    with torch.no_grad():
        together = network(volumes)
        alone = torch.cat([network(volume[None]) for volume in volumes])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind: str) -> None:
    chosen = plan(kind, WIDTHS[:4], dropout=0)
    network = build_network(chosen, 3, seed=1).train()
    network(noise(1, 1, *chosen.size)).square().mean().backward()
    silent = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_weights_and_leaves_the_callers_random_numbers(kind: str) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, again, other = (build_network(plan(kind), 3, seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("kind", KINDS)
def test_fresh_weights_are_normal_with_the_gain_of_relu_over_the_inputs(kind: str) -> None:
    network = build_network(plan(kind, (16, 32, 32, 32, 64)), 13, seed=2)
    for key, value in network.state_dict().items():
        if value.numel() >= 2000:
            assert value.std() == pytest.approx((2 / value[0].numel()) ** 0.5, rel=0.1), key
            assert value.abs().max() > 2.5 * value.std(), key


@pytest.mark.parametrize(
    ("kind", "stages", "size", "words", "mended"),
    [
        ("efficient", 5, (32, 64, 128), "z must be at least 64", (64, 64, 128)),
        (
            "efficient",
            5,
            (16, 32, 64),
            "z, y must be at least 64, one of z, y, x at least 128",
            (64, 64, 128),
        ),
        ("efficient", 4, (32, 32, 32), "one of z, y, x must be at least 64", (64, 32, 32)),
        ("unet", 5, (16, 16, 16), "one of z, y, x must be at least 32", (32, 16, 16)),
    ],
)
def test_a_size_that_is_too_small_is_told_with_the_smallest_that_will_do(
    kind: str, stages: int, size: tuple[int, ...], words: str, mended: tuple[int, ...]
) -> None:
    network = {"kind": kind, "channels": [2] * stages, "blocks": [1] * (stages - 1)}
    with pytest.raises(ValueError, match="too little at the deepest stage") as caught:
        StagePlan.model_validate({"network": network, "size": size})
    assert f": {words}" in str(caught.value)
    StagePlan.model_validate({"network": network, "size": mended})
    for axis, step in ((axis, 2 ** (stages - 1)) for axis in range(3) if mended[axis] > size[axis]):
        less = tuple(n - step * (i == axis) for i, n in enumerate(mended))
        with pytest.raises(ValueError, match="deepest stage"):
            StagePlan.model_validate({"network": network, "size": less})


def test_the_weights_of_a_fine_network_serve_other_sizes() -> None:
    small = build_network(plan("efficient", WIDTHS[:4]), 3, seed=1)
    large = build_network(plan("efficient", WIDTHS[:4], times=2), 3)
    large.load_state_dict(small.state_dict())
    assert isinstance(large, FineNet)
    assert large.context_block.strips == ((1, 16, 8), (8, 1, 8), (8, 16, 1))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_instance_norm_is_that_of_pytorch_and_keeps_the_kind_of_number(kind: torch.dtype) -> None:
    volume = (50 * noise(2, 3, 5, 6, 7) + 9).to(kind)
    with torch.autocast("cpu", torch.bfloat16):
        got = instance_norm(volume)
    assert got.dtype == kind
    expected = torch.nn.functional.instance_norm(volume.float())
    torch.testing.assert_close(got.float(), expected, atol=1e-5 if kind == torch.float32 else 0.02, rtol=0)


def test_instance_norm_is_as_exact_where_channels_come_last() -> None:
    volume = 0.1 * noise(1, 2, 64, 64, 64) + 5
    expected = instance_norm(volume.double()).float()
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        got = instance_norm(volume.to(memory_format=layout))
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_dropout_silences_whole_channels_in_training_only() -> None:
    unit = Unit(1, 64, THREE, active=True, dropout=0.5)
    volume = noise(1, 1, 8, 8, 8)
    silent = unit.train()(volume).flatten(2).amax(2) == 0
    assert 10 < silent.sum() < 54
    assert not (unit.eval()(volume).flatten(2).amax(2) == 0).any()


@pytest.mark.parametrize(("project", "keys"), [(True, 3), (False, 2)])
def test_a_shortcut_is_a_convolution_or_the_input_itself(project: bool, keys: int) -> None:
    block = ResidualBlock(4, 4, 0.0, project=project).eval()
    assert len(block.state_dict()) == keys
    with torch.no_grad():
        for value in block.state_dict().values():
            value.zero_()
        volume = noise(1, 4, 8, 8, 8)
        expected = torch.zeros_like(volume) if project else volume.relu()
        torch.testing.assert_close(block(volume), expected)


def test_units_keep_the_size_of_the_map_and_strides_halve_it() -> None:
    for kernel in (ONE, THREE, (3, 3, 1), (1, 1, 3)):
        assert Unit(1, 2, kernel)(noise(1, 1, 8, 6, 4)).shape == (1, 2, 8, 6, 4)
    assert Unit(1, 2, THREE, stride=2)(noise(1, 1, 8, 6, 4)).shape == (1, 2, 4, 3, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_near_full_precision(kind: str) -> None:
    chosen = plan(kind, WIDTHS[:4])
    network = build_network(chosen, 3, seed=1).eval()
    volume = noise(1, 1, *chosen.size)
    with torch.inference_mode():
        full = network(volume)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(volume).float()
    assert (half - full).abs().mean() < 0.05 * full.std()
