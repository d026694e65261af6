"""DeepLabV3+ with UAFR, the 3-D U-Net, and checkpoints of both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.checkpoints import loaded_network, read_authors, reduced
from SegToolkitLib.methods.pdcr_uafr.imagenet import load_imagenet
from SegToolkitLib.methods.pdcr_uafr.network import HEAD_NAMES, DeepLab, build_network, heads_of
from SegToolkitLib.methods.pdcr_uafr.network3d import UNet3d, UNet3dPlan, build_network3d
from SegToolkitLib.methods.pdcr_uafr.nnunet_names import stages_of, v2_names, zero_biases
from SegToolkitLib.methods.pdcr_uafr.plan import (
    DEFAULT_POSITIONS,
    POSITIONS,
    SMALL,
    InputPlan,
    ModelPlan,
    NetworkPlan,
    UafrPlan,
)
from SegToolkitLib.methods.pdcr_uafr.xception import Xception

TINY = SMALL.model_copy(
    update={"conv1": 4, "conv2": 6, "block1": 8, "block2": 8, "middle": 8, "last_block": 10, "conv3": 12,
            "conv4": 12, "conv5": 14, "aspp": 8, "low_level": 4, "cross": 4}
)  # fmt: skip


def tiny(**changes: Any) -> NetworkPlan:
    return NetworkPlan(**{"widths": TINY, **changes})


def images(batch: int = 2, size: tuple[int, int] = (64, 96)) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("positions", [(), DEFAULT_POSITIONS, POSITIONS])
def test_every_place_can_have_a_head(stride: Any, positions: Any) -> None:
    network = build_network(tiny(output_stride=stride, uafr=UafrPlan(positions=positions)), 3, seed=0).eval()
    assert set(heads_of(network)) == {HEAD_NAMES[one] for one in positions}
    with torch.inference_mode():
        logits, maps = network.with_confidence(images())
        deep, low, _ = network.backbone(images())
    assert logits.shape == (2, 3, 64, 96)
    assert list(maps) == list(positions)
    assert deep.shape[2:] == (64 // stride, 96 // stride)
    assert low.shape[2:] == (16, 24)


@pytest.mark.parametrize("stride", [8, 16])
def test_features_lie_where_the_arithmetic_says(stride: Any) -> None:
    from SegToolkitLib.methods.pdcr_uafr.layers import decoder_cells, encoder_cells, head_cells

    network = build_network(tiny(output_stride=stride), 2, seed=0).eval()
    wanted = {f"encoder.{n}": cells for n, cells in enumerate(encoder_cells(stride), 1)}
    wanted |= {f"cross.{n}": head_cells(n, stride) for n in range(1, 6)}
    wanted |= {f"decoder.{n}": cells for n, cells in decoder_cells().items()}
    with torch.inference_mode():
        _, found = network.with_features(images(), list(wanted))
    assert list(found) == list(wanted)
    # Without gradients, heads weigh features where they lie; that must not reach those of other places.
    _, taught = network.with_features(images(), list(wanted))
    torch.testing.assert_close(dict(found), {name: feature.detach() for name, feature in taught.items()})
    for name, cells in wanted.items():
        assert found[name].shape[2:] == (64 // cells.stride, 96 // cells.stride), name
        assert found[name].min() >= 0, name


def test_unknown_features_are_refused() -> None:
    network = build_network(tiny(cross_heads=(2, 3)), 2, seed=0).eval()
    with pytest.raises(SegToolkitError, match=r"does not give the features cross\.1"):
        network.with_features(images(), ["cross.1", "cross.2"])


def test_no_tensor_is_changed_after_it_was_made() -> None:
    # The released code cannot go back through the heads of layers 4 and 5: their inputs are overwritten.
    network = build_network(tiny(), 2, seed=0).train()
    logits, found = network.with_features(
        images(), ["cross.4", "cross.5", "encoder.4", "encoder.5", "encoder.6"]
    )
    (logits.sum() + sum(one.sum() for one in found.values())).backward()
    assert network.backbone.conv1.weight.grad is not None


def test_blocks_that_begin_with_relu_rectify_their_skip() -> None:
    network = build_network(tiny(), 2, seed=0).eval()
    block = network.backbone.get_submodule("block4")
    given = torch.randn(1, 8, 5, 5)
    kept = given.clone()
    with torch.inference_mode():
        torch.testing.assert_close(block(given), block(given.relu()))
        assert torch.equal(given, kept)
        first = network.backbone.block1
        given = torch.randn(1, 6, 8, 8)
        assert not torch.allclose(first(given), first(given.relu()))


def test_seeds_decide_the_weights_and_leave_the_callers_draws_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (build_network(tiny(), 2, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["backbone.conv1.weight"], other["backbone.conv1.weight"])


def test_networks_can_be_exported() -> None:
    network = build_network(tiny(), 2, seed=0).eval()
    given = images(1)
    torch.testing.assert_close(torch.jit.trace(network, given, check_trace=False)(given), network(given))


def test_published_widths_have_the_published_size() -> None:
    with torch.device("meta"):
        network = DeepLab(NetworkPlan(), 2)
    numbers = {
        name: sum(one.numel() for one in part.parameters()) for name, part in heads_of(network).items()
    }
    assert sum(one.numel() for one in network.parameters()) == 55_821_216
    assert len(network.state_dict()) == 934
    assert round(sum(numbers.values()) / 1e6, 2) == 0.80


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (UafrPlan, {"positions": [1, 0, 1]}),
        (UafrPlan, {"positions": [1] * 11 + [2]}),
        (UafrPlan, {"positions": ["conv1", "conv1"]}),
        (UafrPlan, {"positions": ["conv9"]}),
        (UafrPlan, {"kernel": 4}),
        (NetworkPlan, {"cross_heads": [6]}),
        (InputPlan, {"std": [1, 0, 1]}),
        (InputPlan, {"percentiles": [99, 1]}),
        (ModelPlan, {"network": {"channels": 1}}),
        (UNet3dPlan, {"features": [4, 8]}),
        (UNet3dPlan, {"projected": [4]}),
        (UNet3dPlan, {"kernels": [[2, 3, 3]] * 5}),
    ],
)
def test_plans_that_make_no_sense_are_refused(kind: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind(**values)


def test_the_authors_list_names_the_positions() -> None:
    plan = UafrPlan(positions=[1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1])
    assert plan.positions == DEFAULT_POSITIONS == UafrPlan().positions
    assert plan.flags == (1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1)
    assert ModelPlan.model_validate(ModelPlan().model_dump(mode="json")) == ModelPlan()


def authors_file(path: Path, network: DeepLab) -> Path:
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    extra = {
        "backbone_rf.conv1.weight": torch.ones(1),
        "backbone.conv1gt.weight": torch.ones(1),
        "aspp.global_avg_poolgt.1.weight": torch.ones(1),
        "backbone.imgxceptionlist.0.weight": torch.ones(1),
        "decoder.maskdecoderlist.2.bias": torch.ones(1),
    }
    state |= {f"module.{key}": value for key, value in extra.items()}
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}, path)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"uafr": UafrPlan(positions=POSITIONS, hidden=5, kernel=5, norm="instance")},
        {"uafr": UafrPlan(positions=()), "cross_heads": (), "channels": 1},
        {"uafr_dropout": 0.0, "cross_heads": (1, 5)},
    ],
)
def test_authors_checkpoints_tell_their_network(tmp_path: Path, changes: dict[str, Any]) -> None:
    plan = tiny(**changes)
    network = build_network(plan, 3, seed=0).eval()
    found, report = read_authors(authors_file(tmp_path / "epoch_3.pth", network))
    assert dict(report.dropped) == {"receptive fields": 1, "mask branch": 2, "aliases": 2}
    assert "2 of mask branch" in report.text()
    assert not found.training
    given = torch.randn(1, plan.channels, 64, 64)
    with torch.inference_mode():
        assert torch.equal(found(given), network(given))
    same = plan.model_copy(update={"widths": found.plan.widths}) if not plan.cross_heads else plan
    fixed = found.plan.model_copy(update={"uafr_dropout": plan.uafr_dropout})
    if plan.uafr.positions:
        assert fixed.uafr == same.uafr
    assert (fixed.widths, fixed.cross_heads, fixed.channels) == (same.widths, same.cross_heads, same.channels)


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    network = build_network(tiny(), 2, seed=0)
    state = network.state_dict()
    torch.save({"state_dict": {"encoder.weight": torch.ones(2, 2)}}, tmp_path / "other.pth")
    with pytest.raises(SegToolkitError, match="holds no DeepLabV3"):
        read_authors(tmp_path / "other.pth")
    del state["backbone.block4.rep.1.bn.weight"]
    torch.save({"state_dict": dict(state)}, tmp_path / "partial.pth")
    with pytest.raises(SegToolkitError, match=r"1 missing \(backbone\.block4\.rep\.1\.bn\.weight\)"):
        read_authors(tmp_path / "partial.pth")
    with pytest.raises(SegToolkitError, match="of another shape"):
        loaded_network(tiny(), 3, network.state_dict(), "The model")
    assert reduced({"a.weight": torch.ones(1)}).text() == "1 tensors are the network's"


def cadene(widths: Any = TINY) -> dict[str, Tensor]:
    """Keys of the ImageNet file, at small widths; every tensor has a value of its own."""
    state: dict[str, Tensor] = {}

    def put(key: str, *shape: int) -> None:
        state[key] = torch.full(shape, float(len(state) + 1))

    def norm(key: str, n: int) -> None:
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            put(f"{key}.{leaf}", n)

    def separable(key: str, n: int, m: int) -> None:
        put(f"{key}.conv1.weight", n, 1, 3, 3)
        put(f"{key}.pointwise.weight", m, n)

    w = widths
    put("conv1.weight", w.conv1, 3, 3, 3)
    norm("bn1", w.conv1)
    put("conv2.weight", w.conv2, w.conv1, 3, 3)
    norm("bn2", w.conv2)
    first = [(w.conv2, w.block1), (w.block1, w.block2), (w.block2, w.middle)]
    for number, (n, m) in enumerate([*first, *[(w.middle, w.middle)] * 8, (w.middle, w.last_block)], 1):
        if n != m or number in (2, 3):
            put(f"block{number}.skip.weight", m, n, 1, 1)
            norm(f"block{number}.skipbn", m)
        shift = 0 if number == 1 else 1
        counted = 3 if 4 <= number <= 11 else 2
        for i in range(counted):
            before = n if i == 0 or number == 12 else m
            after = n if number == 12 and i == 0 else m
            separable(f"block{number}.rep.{3 * i + shift}", before, after)
            norm(f"block{number}.rep.{3 * i + 1 + shift}", after)
    separable("conv3", w.last_block, w.conv3)
    norm("bn3", w.conv3)
    separable("conv4", w.conv3, w.conv5)
    norm("bn4", w.conv5)
    put("fc.weight", 10, w.conv5)
    return state


@pytest.mark.parametrize("rule", ["mended", "released"])
def test_imagenet_weights_go_where_they_belong(tmp_path: Path, rule: Any) -> None:
    widths = TINY.model_copy(update={"middle_blocks": 16, "block2": 9})
    torch.manual_seed(0)
    backbone = Xception(NetworkPlan(widths=widths))
    file = cadene(widths)
    torch.save(file, tmp_path / "xception.pth")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    found = load_imagenet(backbone, tmp_path / "xception.pth", rule)
    own = backbone.state_dict()
    expected = {
        "conv1.weight": "conv1.weight",
        "block1.rep.3.pointwise.weight": "block1.rep.3.pointwise.weight",
        "block2.skip.weight": "block2.skip.weight",
        "block7.rep.8.running_mean": "block7.rep.8.running_mean",
        "block19.rep.4.conv1.weight": "block11.rep.4.conv1.weight",
        "block20.rep.4.pointwise.weight": "block12.rep.4.pointwise.weight",
        "bn4.weight": "bn3.weight",
        "conv5.pointwise.weight": "conv4.pointwise.weight",
        "bn5.running_var": "bn4.running_var",
    }
    mended = {
        "block2.rep.0.pointwise.weight": "block2.rep.1.pointwise.weight",
        "block2.rep.4.weight": "block2.rep.5.weight",
        "block20.skip.weight": "block12.skip.weight",
    }
    for key, source in (expected | mended).items():
        if key in expected or rule == "mended":
            assert key in found.loaded
            assert torch.equal(own[key].flatten(), file[source].flatten()), key
        else:
            assert key in found.fresh
            assert torch.equal(own[key], before[key]), key
    assert {"conv4.pointwise.weight", "block2.rep.6.pointwise.weight", "block5.rep.1.bn.weight"} <= set(
        found.fresh
    )
    assert "fc.weight" in found.unused
    assert len(set(found.loaded)) == len(found.loaded)
    assert str(len(found.loaded)) in found.text()
    assert sum(not torch.equal(own[key], before[key]) for key in own) <= len(found.loaded)


def test_a_file_of_another_network_changes_nothing(tmp_path: Path) -> None:
    backbone = Xception(tiny())
    torch.save({"layer.weight": torch.ones(3, 3)}, tmp_path / "other.pth")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(SegToolkitError, match="fits the backbone"):
        load_imagenet(backbone, os.fspath(tmp_path / "other.pth"))
    assert all(torch.equal(before[key], value) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pools": ((1, 2, 2), (2, 2, 2)), "kernels": ((1, 3, 3), (3, 3, 3), (3, 3, 3))},
        {"uafr": False, "projected": (), "channels": 3},
        {"norm": "instance", "decoder_kernels": ((3, 3, 3), (1, 3, 3))},
    ],
)
def test_volumes_go_through_networks_of_any_shape(changes: dict[str, Any]) -> None:
    plan = UNet3dPlan(
        **{
            "features": (4, 6, 8),
            "pools": ((2, 2, 2),) * 2,
            "kernels": ((3, 3, 3),) * 3,
            "projected": (1,),
            "projection": 5,
            **changes,
        }
    )
    network = build_network3d(plan, 3, seed=0).eval()
    given = torch.randn(1, plan.channels, 8, 16, 16)
    with torch.inference_mode():
        found = network.with_features(given)
        assert torch.equal(network(given), found.logits[0])
    assert [one.shape[1] for one in found.logits] == [3, 3]
    assert found.logits[0].shape[2:] == given.shape[2:]
    assert set(found.features) == {f"{kind}.{s}" for s in plan.projected for kind in ("skip", "projected")}
    read, classes = UNet3dPlan.of_shapes({key: one.shape for key, one in network.state_dict().items()})
    assert classes == 3
    again = UNet3d(read, classes).eval()
    again.load_state_dict(network.state_dict())
    with torch.inference_mode():
        assert torch.equal(again(given), network(given))


def test_every_v1_name_has_its_v2_names() -> None:
    network = UNet3d(
        UNet3dPlan(features=(4, 6, 8), pools=((2, 2, 2),) * 2, kernels=((3, 3, 3),) * 3, projected=(1,)), 2
    )
    keys = list(network.state_dict())
    stages = stages_of(keys)
    assert stages == 3
    expected = {
        "conv_blocks_context.1.blocks.0.conv.weight": (
            "encoder.stages.1.0.convs.0.conv.weight",
            "encoder.stages.1.0.convs.0.all_modules.0.weight",
            "decoder.encoder.stages.1.0.convs.0.conv.weight",
            "decoder.encoder.stages.1.0.convs.0.all_modules.0.weight",
        ),
        "conv_blocks_context.2.1.blocks.0.instnorm.bias": (
            "encoder.stages.2.0.convs.1.norm.bias",
            "encoder.stages.2.0.convs.1.all_modules.1.bias",
            "decoder.encoder.stages.2.0.convs.1.norm.bias",
            "decoder.encoder.stages.2.0.convs.1.all_modules.1.bias",
        ),
        "conv_blocks_localization.1.0.blocks.0.conv.bias": (
            "decoder.stages.1.convs.0.conv.bias",
            "decoder.stages.1.convs.0.all_modules.0.bias",
        ),
        "tu.0.weight": ("decoder.transpconvs.0.weight",),
        "seg_outputs.1.weight": ("decoder.seg_layers.1.weight",),
        "att.0.0.weight": ("att.0.0.weight",),
        "conv_adjustchannel1.0.bias": ("conv_adjustchannel1.0.bias",),
    }
    for key, names in expected.items():
        assert v2_names(key, stages) == names
    names = [name for key in keys for name in v2_names(key, stages)]
    assert len(set(names)) == len(names)
    assert zero_biases(keys) == {
        f"decoder.{part}.{u}.bias": f"{old}.{u}.weight"
        for old, part in (("tu", "transpconvs"), ("seg_outputs", "seg_layers"))
        for u in range(2)
    }


def test_training_mode_learns_from_every_weight() -> None:
    plan = UNet3dPlan(features=(4, 6, 8), pools=((2, 2, 2),) * 2, kernels=((3, 3, 3),) * 3, projected=(0, 1))
    network: nn.Module = build_network3d(plan, 2, seed=0)
    found = network.with_features(torch.randn(2, 1, 8, 8, 8))
    sum(one.square().sum() for one in [*found.logits, *found.features.values()]).backward()
    assert all(one.grad is not None for one in network.parameters())
