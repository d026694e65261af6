"""UAFR and PDCR on the networks that nnU-Net makes: keys, the authors' numbers, places of cells, losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nnunet_runs
from parity.case import Case
from parity.fill import filled_state
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.nnunet.heads import add_heads, head_name
from SegToolkitLib.methods.pdcr_uafr.nnunet.loss import RegularisedLoss
from SegToolkitLib.methods.pdcr_uafr.nnunet.skips import (
    WithSkips,
    cells_of,
    chosen_stages,
    hand_out,
    layers_of,
)
from SegToolkitLib.methods.pdcr_uafr.nnunet_names import stages_of, v2_names, zero_biases
from SegToolkitLib.methods.pdcr_uafr.pdcr import PDCR
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import RULES_3D, Weights
from SegToolkitLib.methods.pdcr_uafr.uafr import confidence_maps

pytestmark = nnunet_runs.needs_nnunet
CASES = Path(__file__).parents[1] / "Data" / "parity" / "pdcr_uafr"
FEATURES = (4, 8, 12, 16)


@pytest.fixture(autouse=True)
def _quick(one_thread: None) -> None:
    """Networks here are tiny."""


def unet(
    kind: str = "PlainConvUNet",
    dims: int = 3,
    strides: Sequence[Sequence[int]] | None = None,
    kernels: Sequence[Sequence[int]] | None = None,
    *,
    deep: bool = True,
    features: Sequence[int] = FEATURES,
    convolutions: int = 2,
    channels: int = 1,
    classes: int = 3,
) -> Any:
    """A network as nnU-Net's plans describe it."""
    from dynamic_network_architectures.architectures import unet as architectures

    stages = len(features)
    blocks = {"PlainConvUNet": "n_conv_per_stage"}.get(kind, "n_blocks_per_stage")
    made = getattr(architectures, kind)(
        input_channels=channels,
        n_stages=stages,
        features_per_stage=list(features),
        conv_op={2: nn.Conv2d, 3: nn.Conv3d}[dims],
        kernel_sizes=[list(one) for one in kernels or [[3] * dims] * stages],
        strides=[list(one) for one in strides or [[1] * dims, *[[2] * dims] * (stages - 1)]],
        **{blocks: [convolutions] * stages},
        num_classes=classes,
        n_conv_per_stage_decoder=[convolutions] * (stages - 1),
        conv_bias=True,
        norm_op={2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dims],
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=deep,
    )
    made.apply(made.initialize)
    return made


KINDS = [("PlainConvUNet", 2), ("PlainConvUNet", 3), ("ResidualEncoderUNet", 2), ("ResidualEncoderUNet", 3)]


@pytest.mark.parametrize(("kind", "dims"), [*KINDS, ("ResidualUNet", 3)])
@pytest.mark.parametrize("deep", [True, False])
def test_heads_weigh_every_decoder_stage_and_leave_the_other_keys_alone(
    kind: str, dims: int, deep: bool
) -> None:
    torch.manual_seed(0)
    stock = unet(kind, dims, deep=deep).eval()
    before = stock.state_dict()
    x = torch.randn(2, 1, *[16] * dims)
    plain = stock(x)
    network = add_heads(stock, "instance").eval()
    new = set(network.state_dict()) - set(before)
    assert set(before) < set(network.state_dict())
    assert {key.split(".uafr.")[0] for key in new} == {f"decoder.stages.{stage}" for stage in range(3)}
    with confidence_maps(network) as maps:
        found = network(x)
    assert [maps[f"decoder.stages.{stage}.uafr"].shape[-1] for stage in range(3)] == [4, 8, 16]
    for one, other in zip(_listed(found), _listed(plain), strict=True):
        assert one.shape == other.shape
        assert not torch.allclose(one, other)


def _listed(output: Any) -> list[Tensor]:
    return output if isinstance(output, list) else [output]


def test_the_plugged_network_gives_the_authors_numbers() -> None:
    case = Case.load(CASES / "net3d_forward.json")
    keys = case.spec["state_dict"]
    stages = stages_of(keys)
    given = filled_state(keys, case.spec.get("weight_scale", case.settings.get("weight_scale", 1.0)))
    state = {head_name(name): value for key, value in given.items() for name in v2_names(key, stages)}
    for name, key in zero_biases(keys).items():
        state[name] = torch.zeros(given[key].shape[1 if "transpconvs" in name else 0])
    state = {key: value for key, value in state.items() if not key.startswith("conv_adjustchannel")}
    network = add_heads(unet(features=(32, 64, 128, 256, 320), classes=case.settings["num_classes"]))
    network.load_state_dict(state)
    network.eval()
    with torch.inference_mode(), confidence_maps(network) as maps:
        logits = network(case.tensor("input"))
    assert len(logits) == 4
    for number, found in enumerate(logits):
        expected = case.tensor(f"logits_{number}")
        # The case's own tolerance, seen against the logits' size.
        assert (found - expected).abs().max() <= 1e-4 * max(1.0, float(expected.abs().max()))
    confidence = {
        array: found for array in case.arrays if (found := array.removeprefix("confidence_")) != array
    }
    assert confidence
    for array, number in confidence.items():
        weights = maps[f"decoder.stages.{number}.uafr"]
        assert torch.allclose(weights, case.tensor(array).reshape(weights.shape), atol=1e-4)


FIELDS = [
    # The specification's strides 4 and 8 with fields 23 and 47.
    ("PlainConvUNet", 3, None, None, 2, [(4, 23), (8, 47)]),
    ("PlainConvUNet", 2, None, None, 2, [(4, 23), (8, 47)]),
    # A 3 x 3 stem, then two convolutions a block.
    ("ResidualEncoderUNet", 3, None, None, 1, [(4, 25), (8, 49)]),
]


@pytest.mark.parametrize(("kind", "dims", "strides", "kernels", "convolutions", "expected"), FIELDS)
def test_cells_have_the_strides_and_fields_of_the_network(
    kind: str, dims: int, strides: Any, kernels: Any, convolutions: int, expected: list[tuple[int, int]]
) -> None:
    network = unet(kind, dims, strides, kernels, convolutions=convolutions)
    cells = cells_of(network.encoder)
    stages = chosen_stages(cells)
    assert stages == [2, 3]
    for stage, (stride, field) in zip(stages, expected, strict=True):
        assert [(axis.stride, axis.field, axis.centre) for axis in cells[stage]] == [
            (stride, field, 0)
        ] * dims


@pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_a_cell_depends_on_its_field_and_on_nothing_else(kind: str) -> None:
    strides = [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]]
    network = unet(kind, 3, strides, [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]], convolutions=1)
    for part in network.encoder.modules():
        # Norms see the whole image, and thresholds hide what a cell depends on.
        if isinstance(part, (nn.InstanceNorm3d, nn.LeakyReLU)):
            part.forward = lambda x: x  # type: ignore[method-assign]
    x = torch.zeros(1, 1, 20, 64, 64, requires_grad=True)
    stage = 2
    cells = cells_of(network.encoder)[stage]
    skip = network.encoder(x)[stage]
    at = [size // 2 for size in skip.shape[2:]]
    skip[0, :, at[0], at[1], at[2]].sum().backward()
    assert x.grad is not None
    for axis, (cell, index) in enumerate(zip(cells, at, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        seen = x.grad[0, 0].abs().sum(others).nonzero().flatten()
        first = index * cell.stride + int(cell.offset)
        assert (int(seen[0]), int(seen[-1])) == (first, first + cell.field - 1), f"axis {axis}"


def test_anisotropic_networks_compare_vectors_alike_far_apart_on_every_axis() -> None:
    strides = [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2], [2, 2, 2]]
    network = unet(strides=strides, features=(4, 4, 4, 4, 4), convolutions=1)
    cells = cells_of(network.encoder)
    stages = chosen_stages(cells)
    assert stages == [2, 3]
    layers = layers_of(network.encoder, stages, (16, 128, 128))
    # Of 16 slices a quarter is 4 apart; in the slices it is 32 pixels: 8 cells of stride 4, 4 of stride 8.
    assert [layer.steps for layer in layers[:2]] == [(4, 8, 8), (2, 4, 4)]
    assert [layer.term for layer in layers] == ["encoder", "encoder", "cross", "cross"]


@pytest.mark.parametrize(
    ("planes", "wanted", "expected"),
    [
        ([1, 2, 4, 8, 16], (4, 8), [2, 3]),
        ([1, 2], (4, 8), [0, 1]),
        ([1, 2, 4], (4, 8), [1, 2]),
        ([1], (4, 8), [0]),
        ([1, 4, 8, 8], (4, 8), [1, 2]),
    ],
)
def test_stages_are_those_of_the_wanted_strides_or_the_nearest(
    planes: list[int], wanted: tuple[int, ...], expected: list[int]
) -> None:
    from SegToolkitLib.methods.pdcr_uafr.sampling import Cells

    assert chosen_stages([(Cells(1), Cells(n), Cells(n)) for n in planes], wanted) == expected


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("compiled", [False, True])
def test_features_are_handed_out_while_training_alone(deep: bool, compiled: bool) -> None:
    network = add_heads(unet(deep=deep, convolutions=1), "instance")
    hand_out(network.decoder, (2, 3))
    # The tracing is what hooks could break; "eager" spares the compiler.
    called = torch.compile(network, backend="eager") if compiled else network
    x = torch.randn(2, 1, 16, 16, 16)
    network.train()
    given = called(x)
    assert isinstance(given, WithSkips)
    assert [tuple(skip.shape) for skip in given.skips] == [(2, 12, 4, 4, 4), (2, 16, 2, 2, 2)]
    network.eval()
    plain = called(x)
    assert isinstance(plain, list) == deep
    for one, other in zip(_listed(plain), _listed(given.outputs), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    network.decoder.deep_supervision = False
    assert called(x).shape == (2, 3, 16, 16, 16)


def regularised(weights: Weights, regions: bool = False, ignores: bool = False) -> RegularisedLoss:
    """The sum of the outputs and PDCR on two stages of a small network."""

    class Sum(nn.Module):
        def forward(self, output: Tensor, target: Any) -> Tensor:
            return output.sum()

    encoder = unet(convolutions=1).encoder
    layers = layers_of(encoder, (1, 2), (16, 16, 16), apart=4)
    rules = RULES_3D.model_copy(update={"classes": 2})
    return RegularisedLoss(Sum(), PDCR(layers, rules, width=4, dims=3), weights, (1, 2), regions, ignores)


def _skips(half: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    kind = torch.bfloat16 if half else torch.float32
    first = torch.randn(2, 8, 8, 8, 8, generator=generator).to(kind)
    return first.requires_grad_(), torch.randn(2, 12, 4, 4, 4, generator=generator).to(kind).requires_grad_()


@pytest.mark.parametrize("half", [False, True])
def test_the_loss_is_the_outputs_own_and_the_weighted_terms(half: bool) -> None:
    weights = Weights(encoder=2.0, decoder=0, cross=3.0)
    loss, skips = regularised(weights), _skips(half)
    target = torch.randint(0, 3, (2, 1, 16, 16, 16))
    output = torch.full((2, 3), 0.5, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        total = loss(WithSkips(output, skips), [target, target])
    assert total.dtype == torch.float32
    terms = loss.means()
    assert total.item() == pytest.approx(3.0 + 2 * terms["encoder"] + 3 * terms["cross"], rel=1e-5)
    assert loss.means() == {}, "means begin anew"
    total.backward()
    assert all(skip.grad is not None and bool(skip.grad.abs().sum()) for skip in skips)
    assert all(weight.grad is not None for weight in loss.pdcr.parameters())
    # In evaluation mode the network hands nothing out.
    assert loss(output, target).item() == pytest.approx(3.0)


def test_regions_count_without_what_is_ignored() -> None:
    loss = regularised(Weights(), regions=True, ignores=True)
    target = torch.zeros(1, 3, 2, 2, 2, dtype=torch.bool)
    target[0, 0, 0], target[0, 1, :, 0], target[0, 2, :, :, 1] = True, True, True
    masks = loss.masks(target)
    assert masks.shape[1] == 2
    assert masks[0, 0].sum() == 2
    assert masks[0, 1].sum() == 2
    assert not masks[..., 1].any()
    assert regularised(Weights(), regions=True).masks(target).shape[1] == 3
    labels = torch.ones(1, 1, 2, 2, 2)
    assert regularised(Weights()).masks(labels) is labels


def test_networks_without_stages_are_refused_in_a_sentence() -> None:
    with pytest.raises(SegToolkitError, match="Conv3d") as caught:
        add_heads(nn.Conv3d(1, 1, 1))
    assert caught.value.code == "not-a-unet"
