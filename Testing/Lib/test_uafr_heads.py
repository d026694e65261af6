"""UAFR: the head, its confidence, and networks that it is put into."""

from __future__ import annotations

import copy
import gc
import math

import pytest
import torch
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.uafr import UAFR, Confidence, Reweighted, add_uafr, confidence_maps

SHAPES = {2: (2, 6, 7, 5), 3: (2, 6, 4, 5, 3)}


def features(dims: int) -> Tensor:
    return torch.randn(SHAPES[dims], generator=torch.Generator().manual_seed(3))


def plain(dims: int = 2) -> nn.Sequential:
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    first = nn.Sequential(convolution(1, 4, 3, padding=1), nn.ReLU())
    return nn.Sequential(first, convolution(4, 6, 3, 2, padding=1), convolution(6, 2, 1))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_features_are_weighed_by_one_plus_confidence(dims: int, norm: str, kernel: int) -> None:
    head = UAFR(6, hidden=5, kernel=kernel, norm=norm, dims=dims)
    given = features(dims)
    kept = given.clone()
    confidence = head.confidence(given)
    assert confidence.shape == (2, 1, *given.shape[2:])
    assert 0 <= confidence.min() <= confidence.max() <= 1
    torch.testing.assert_close(head(given), given + given * confidence)
    assert torch.equal(given, kept)


@pytest.mark.parametrize("classes", [2, 5])
def test_features_are_weighed_where_they_lie_only_without_gradients(classes: int) -> None:
    head = UAFR(6, classes=classes, inplace=True).eval()
    given = features(2)
    expected = head(given)
    assert expected is not given
    with torch.no_grad():
        assert head(given) is given
    torch.testing.assert_close(given, expected)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [((0, 0), 0.0), ((1e4, -1e4), 1.0), ((-1e30, 1e30), 1.0), ((math.log(3), 0), 1 - 0.8112781244591328)],
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_confidence_of_known_logits(logits: tuple[float, float], expected: float, kind: torch.dtype) -> None:
    given = torch.tensor(logits, dtype=kind).reshape(1, 2, 1).requires_grad_()
    found = Confidence()(given)
    assert found.item() == pytest.approx(expected, abs=1e-6 if kind == torch.float32 else 2e-2)
    found.sum().backward()
    assert torch.isfinite(given.grad).all()


def test_two_pseudo_classes_are_reckoned_as_many_are() -> None:
    logits = 5 * torch.randn(2, 2, 9, 7, generator=torch.Generator().manual_seed(4))
    chances = logits.double().softmax(dim=1)
    entropy = -(chances * chances.log2()).sum(dim=1, keepdim=True)
    torch.testing.assert_close(Confidence()(logits), (1 - entropy).float(), rtol=1e-5, atol=1e-6)


def test_many_pseudo_classes_are_normalised_by_their_number() -> None:
    assert Confidence()(torch.zeros(1, 7, 3)).abs().max() < 1e-6
    one = torch.full((1, 7, 1), -1e4)
    one[0, 3] = 1e4
    assert Confidence()(one).item() == pytest.approx(1)


@pytest.mark.parametrize("dims", [2, 3])
def test_gradients_are_right(dims: int) -> None:
    head = UAFR(6, hidden=3, norm="instance", dims=dims).double()
    given = features(dims)[:1, :, :3, :3].double().requires_grad_()
    assert torch.autograd.gradcheck(head, (given,), fast_mode=True)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("way", ["script", "trace", "export"])
def test_heads_can_be_compiled_for_use_elsewhere(dims: int, way: str) -> None:
    head = UAFR(6, dims=dims, dropout=0.1).eval()
    given = features(dims)
    if way == "export":
        other = torch.export.export(head, (given,)).module()
    else:
        other = torch.jit.script(head) if way == "script" else torch.jit.trace(head, given)
    torch.testing.assert_close(other(given), head(given))


def test_half_precision_keeps_its_type() -> None:
    head = UAFR(6).eval().bfloat16()
    assert head(features(2).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [({}, (16, False, 3)), ({"dims": 3}, (1, True, 3)), ({"dropout": 0.1}, (16, False, 4))],
)
def test_heads_have_the_authors_widths_and_numbers(
    arguments: dict[str, float], expected: tuple[int, bool, int]
) -> None:
    state = UAFR(6, **arguments).state_dict()
    hidden, bias, last = expected
    assert state["0.weight"].shape[0] == hidden
    assert ("0.bias" in state) == bias
    assert state[f"{last}.weight"].shape[0] == 2


@pytest.mark.parametrize("wrong", [{"dims": 4}, {"channels": 0}, {"kernel": 2}, {"classes": 1}])
def test_impossible_heads_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SegToolkitError, match="No head has"):
        UAFR(**{"channels": 6, **wrong})


@pytest.mark.parametrize("dims", [2, 3])
def test_any_network_takes_heads(dims: int) -> None:
    torch.manual_seed(0)
    network = plain(dims)
    before = copy.deepcopy(network).eval()
    add_uafr(network, {"0.0": 4, "0": 4, "1": 6}, dims=dims)
    assert [name for name, part in network.named_modules() if isinstance(part, UAFR)] == [
        "0.module.0.uafr",
        "0.uafr",
        "1.uafr",
    ]
    images = torch.randn(2, 1, *(8,) * dims)
    with confidence_maps(network.eval()) as maps:
        found = network(images)
    assert set(maps) == {"0.module.0.uafr", "0.uafr", "1.uafr"}
    assert maps["1.uafr"].shape == (2, 1, *(4,) * dims)
    assert not torch.allclose(found, before(images))
    # By hand, from the maps.
    x = before[0][0](images)
    x = before[0][1](x * (1 + maps["0.module.0.uafr"]))
    x = before[1](x * (1 + maps["0.uafr"]))
    torch.testing.assert_close(found, before[2](x * (1 + maps["1.uafr"])))


def test_an_unknown_part_changes_nothing() -> None:
    network = plain()
    with pytest.raises(SegToolkitError, match="no part '7'"):
        add_uafr(network, {"0": 4, "7": 4})
    assert not any(isinstance(part, Reweighted) for part in network.modules())


def test_maps_do_not_stay_in_the_network() -> None:
    network = add_uafr(plain(), {"0": 4})
    images = torch.randn(1, 1, 8, 8)

    def tensors() -> int:
        gc.collect()
        return sum(isinstance(one, Tensor) for one in gc.get_objects())

    def passes(count: int) -> None:
        for _ in range(count):
            with confidence_maps(network.eval()) as maps:
                network(images)
            assert not maps["0.uafr"].requires_grad

    passes(1)
    before = tensors()
    passes(5)
    assert tensors() <= before
    assert not any(part._forward_hooks for part in network.modules())


@pytest.mark.parametrize("name", ["0", "1.inner"])
def test_a_part_that_has_two_names_is_weighed_under_both(name: str) -> None:
    # As MONAI's DynUNet holds its parts: listed under one name, run under the other.
    shared = nn.Conv2d(3, 4, 3, padding=1)
    runs = nn.Module()
    runs.inner = shared
    network = nn.Sequential(shared, runs)
    add_uafr(network, {name: 4})
    assert isinstance(network[0], Reweighted)
    assert network[0] is network[1].inner
    with confidence_maps(network) as maps:
        network[1].inner(torch.zeros(2, 3, 8, 8))
    assert len(maps) == 1
