"""The five networks: the authors' keys, sizes and initial weights; other widths, classes and codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from SegToolkitLib.methods.cooperative.network import NAMES, Decoder, Networks, build_networks
from SegToolkitLib.methods.cooperative.plan import NetworkPlan

CASES = Path(__file__).parents[1] / "Data" / "parity" / "cooperative"
SMALL = NetworkPlan(channels=(4, 4, 8, 8, 16))


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


def test_the_networks_have_the_authors_files_keys_and_shapes_in_their_order() -> None:
    wanted = json.loads((CASES / "cooperative_step.json").read_text())["state_dict"]
    networks = build_networks(NetworkPlan(), 4)
    assert {f"{name}.pth" for name in networks} == set(wanted)
    for file, keys in wanted.items():
        own = networks[file.removesuffix(".pth")].state_dict()
        assert list(own) == list(keys)
        assert {key: list(value.shape) for key, value in own.items()} == keys


@pytest.mark.parametrize(
    ("name", "parameters", "entries"),
    [
        ("image_encoder", 1_125_888, 107),
        ("image_decoder", 248_961, 74),
        ("segmentation_decoder", 161_732, 66),
        ("shape_encoder", 830_640, 93),
        ("shape_decoder", 161_732, 66),
    ],
)
def test_the_networks_have_the_published_sizes(name: str, parameters: int, entries: int) -> None:
    network = build_networks(NetworkPlan(), 4)[name]
    assert sum(value.numel() for value in network.parameters()) == parameters
    assert len(network.state_dict()) == entries


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("size", [(16, 16), (32, 48)])
def test_codes_are_sixteen_times_smaller_and_what_is_decoded_is_as_large_as_the_image(
    mode: str, size: tuple[int, int]
) -> None:
    plan = SMALL.model_copy(update={"image_channels": 2})
    networks = build_networks(plan, 3, seed=1).train(mode == "training")
    with torch.no_grad():
        codes = networks.encode(noise(2, 2, *size))
        logits = networks.segment(codes.shape)
        assert networks.reconstruct(codes.image).shape == (2, 2, *size)
        assert networks.correct(logits.softmax(1)).shape == logits.shape == (2, 3, *size)
    for code in codes:
        assert code.shape == (2, 16, size[0] // 16, size[1] // 16)
        assert code.min() >= 0


def test_reconstructions_lie_between_0_and_1_unless_the_plan_has_no_sigmoid() -> None:
    bounded = build_networks(SMALL, 2, seed=1).eval()
    plan = SMALL.model_copy(update={"reconstruction": "none"})
    free = build_networks(plan, 2, seed=1).eval()
    code = 50 * noise(1, 16, 2, 2)
    with torch.no_grad():
        assert 0 <= bounded.reconstruct(code).min() <= bounded.reconstruct(code).max() <= 1
        torch.testing.assert_close(free.reconstruct(code).sigmoid(), bounded.reconstruct(code))


def test_both_codes_are_one_where_the_plan_says_so() -> None:
    image = noise(1, 1, 32, 32)
    found = {}
    for code in ("separate", "shared", "unfiltered"):
        plan = SMALL.model_copy(update={"code": code})
        with torch.no_grad():
            found[code] = build_networks(plan, 2, seed=1).eval().encode(image)
    separate = found["separate"]
    assert not torch.equal(separate.image, separate.shape)
    assert all(torch.equal(code, separate.shape) for code in found["shared"])
    assert all(torch.equal(code, separate.image) for code in found["unfiltered"])


def test_the_first_release_has_no_bias_between_the_codes() -> None:
    plan = SMALL.model_copy(update={"decoupler_bias": False})
    keys = [set(build_networks(one, 2).state_dict()) for one in (SMALL, plan)]
    lacking = {"image_encoder.code_decoupler.0.bias", "image_encoder.code_decoupler.3.bias"}
    assert keys[0] - keys[1] == lacking
    assert not keys[1] - keys[0]


def test_a_seed_gives_the_same_weights_and_leaves_the_callers_random_numbers() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, again, other = (build_networks(SMALL, 3, seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(
        one["shape_encoder.down1.conv.0.weight"], other["shape_encoder.down1.conv.0.weight"]
    )


def test_fresh_weights_are_the_published_ones() -> None:
    networks = build_networks(NetworkPlan(), 4, seed=2)
    scales = torch.cat([m.weight.detach() for m in networks.modules() if isinstance(m, nn.BatchNorm2d)])
    assert scales.mean() == pytest.approx(1, abs=0.005)
    assert scales.std() == pytest.approx(0.02, rel=0.1)
    for module in networks.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert not module.bias.any()
        elif isinstance(module, nn.Conv2d) and module.weight.numel() > 4000:
            expected = (2 / module.weight[0].numel()) ** 0.5
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.1)
            assert module.bias is not None
            assert 0 < module.bias.abs().max() <= module.weight[0].numel() ** -0.5
    for decoder in networks.values():
        assert not isinstance(decoder, Decoder) or not decoder.final_conv.bias.any()


@pytest.mark.parametrize("part", ["encoder_dropout", "decoder_dropout"])
def test_dropout_silences_channels_in_training_alone(part: str) -> None:
    networks = build_networks(SMALL.model_copy(update={part: 0.5}), 2, seed=1)
    name = "general_encoder.down1" if part == "encoder_dropout" else "up3"
    module = networks["image_encoder" if part == "encoder_dropout" else "image_decoder"].get_submodule(name)
    seen: list[Tensor] = []
    module.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))
    torch.manual_seed(0)
    with torch.no_grad():
        for mode in (True, False):
            codes = networks.train(mode).encode(noise(8, 1, 32, 32))
            networks.reconstruct(codes.image)
    silent = [float((one.flatten(2).abs().amax(2) == 0).float().mean()) for one in seen]
    assert 0.2 < silent[0] < 0.8
    assert silent[1] == 0


def test_every_weight_learns_but_biases_before_norms() -> None:
    networks = build_networks(SMALL, 3, seed=1).train()
    codes = networks.encode(noise(2, 1, 32, 32))
    logits = networks.segment(codes.shape)
    images = networks.reconstruct(codes.image)
    (networks.correct(logits.softmax(1)).square().mean() + images.square().mean()).backward()
    silent = {key for key, value in networks.named_parameters() if value.grad is None or not value.grad.any()}
    before_norms = (
        "inc.0", "inc.3", "conv.0", "conv.3", "final_conv.0", "code_decoupler.0", "code_decoupler.3",
    )  # fmt: skip
    assert all(key.endswith(tuple(f"{name}.bias" for name in before_norms)) for key in silent)


def test_names_are_those_of_the_files() -> None:
    assert tuple(Networks(SMALL, 2)) == NAMES
