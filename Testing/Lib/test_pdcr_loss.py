"""PDCR: the loss against plain loops, what it does to vectors, and the regulariser on any network."""

from __future__ import annotations

import gc
import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.loss import averaged, cross_loss, single_loss
from SegToolkitLib.methods.pdcr_uafr.pdcr import PDCR, Layer, Terms
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import RULES_3D, PdcrRules, Weights
from SegToolkitLib.methods.pdcr_uafr.sampling import Cells


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def shares_of(*shape: int, seed: int = 5) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def by_loops(
    first: Tensor, second: Tensor, its: Tensor, others: Tensor, temperature: float, form: str, largest: str
) -> list[float]:
    batch, _, count = first.shape
    cosine = torch.stack(
        [
            torch.stack([F.cosine_similarity(first[b, :, i, None], second[b], dim=0) for i in range(count)])
            for b in range(batch)
        ]
    )
    scores = cosine / temperature
    scores = scores - (scores.max() if largest == "found" else 1 / temperature)
    values = []
    for b, p, i in itertools.product(range(batch), range(its.shape[1]), range(count)):
        difference = [float((its[b, p, i] - other).abs().sum()) for other in others[b, p]]
        near = [1 - d for d in difference] if form == "paper" else difference
        far = difference if form == "paper" else [1 - d for d in difference]
        below = sum(math.exp(s * f) for s, f in zip(scores[b, i].tolist(), far, strict=True))
        values += [
            -math.log(math.exp(s * n) / below) for s, n in zip(scores[b, i].tolist(), near, strict=True)
        ]
    return values


@pytest.mark.parametrize("form", ["paper", "released"])
@pytest.mark.parametrize("largest", ["found", "constant"])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_losses_are_those_of_loops(form: Any, largest: Any, classes: int, temperature: float) -> None:
    first, second = drawn(2, 5, 7), drawn(2, 5, 4, seed=1)
    its, others = shares_of(2, 3, 7, classes), shares_of(2, 3, 4, classes, seed=6)
    options: dict[str, Any] = {"form": form, "largest": largest}
    cases = [
        ((first, first, its, its), lambda **o: single_loss(first, its, temperature, **options, **o)),
        (
            (first, second, its, others),
            lambda **o: cross_loss(first, second, its, others, temperature, **options, **o),
        ),
    ]
    for given, loss in cases:
        values = by_loops(*given, temperature, form, largest)
        assert loss().item() == pytest.approx(sum(values) / len(values), rel=1e-5)
        assert loss(reduction="sum").item() == pytest.approx(sum(values) / 3, rel=1e-5)


def test_averaged_shares_are_weighted_and_make_one_loss() -> None:
    features, ratios = drawn(2, 5, 7), shares_of(2, 3, 7, 1)
    weights = (1.0, 0.0, 3.0)
    mean = (ratios[:, :1] + 3 * ratios[:, 2:]) / 4
    torch.testing.assert_close(averaged(ratios, weights), mean)
    torch.testing.assert_close(single_loss(features, ratios, average=weights), single_loss(features, mean))
    torch.testing.assert_close(
        cross_loss(features, features, ratios, ratios, average=weights, form="released"),
        cross_loss(features, features, mean, mean, form="released") / 3,
    )


def cosines_after(form: Any) -> tuple[float, float]:
    """Mean cosine of like and of unlike vectors after 150 steps on free vectors of two classes."""
    ratios = torch.tensor([0.0, 1.0]).repeat_interleave(8).reshape(1, 1, 16, 1)
    vectors = drawn(1, 4, 16).requires_grad_()
    optimiser = torch.optim.Adam([vectors], lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        single_loss(vectors, ratios, form=form).backward()
        optimiser.step()
    unit = F.normalize(vectors.detach()[0], dim=0)
    cosine = unit.T @ unit
    like = ratios.flatten()[:, None] == ratios.flatten()
    return cosine[like].mean().item(), cosine[~like].mean().item()


def test_the_right_form_parts_the_classes_and_the_released_one_does_not() -> None:
    like, unlike = cosines_after("paper")
    assert like > 0.95
    assert unlike < -0.9
    _, unlike = cosines_after("released")
    assert unlike > 0.5


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_half_precision_is_computed_in_full(kind: torch.dtype) -> None:
    features, ratios = drawn(2, 5, 7).to(kind), shares_of(2, 3, 7, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = single_loss(features, ratios)
    assert found.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
    assert found.item() == pytest.approx(single_loss(features.double(), ratios).item(), abs=1e-5)


def test_gradients_are_right_and_zero_vectors_have_finite_ones() -> None:
    first, second = drawn(1, 3, 4).double().requires_grad_(), drawn(1, 3, 5, seed=2).double().requires_grad_()
    its, others = shares_of(1, 2, 4, 1).double(), shares_of(1, 2, 5, 1, seed=3).double()
    assert torch.autograd.gradcheck(lambda a, b: cross_loss(a, b, its, others), (first, second))
    still = torch.zeros(1, 3, 4, requires_grad=True)
    single_loss(still, its.float()).backward()
    assert torch.isfinite(still.grad).all()


class Small(nn.Module):
    """Three convolutions, of strides 1, 2 and 4."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        self.first = convolution(1, 4, 3, padding=1)
        self.second = nn.Sequential(convolution(4, 6, 3, 2, padding=1), nn.ReLU())
        self.third = convolution(6, 8, 3, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x)))


def batch(dims: int, size: int = 16) -> tuple[Tensor, Tensor]:
    masks = torch.zeros(2, *(size,) * dims, dtype=torch.long)
    masks[0, : size // 2] = 1
    masks[1, ..., size // 3 :] = 2
    return drawn(2, 1, *(size,) * dims), masks


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("mode", ["series", "average"])
@pytest.mark.parametrize("sampler", ["raster", "jittered"])
def test_any_network_can_be_watched(dims: int, mode: Any, sampler: Any) -> None:
    torch.manual_seed(0)
    network = Small(dims)
    images, masks = batch(dims)
    layers = [
        "first",
        Layer("second", "decoder", samples=8, margin=1),
        Layer("second", "cross", samples=8, channels=6),
        Layer("third", "cross", samples=8, channels=8),
    ]
    rules = PdcrRules(mode=mode, sampler=sampler, classes=2, patch_sizes=(3, 5))
    pdcr = PDCR(layers, rules, dims=dims, width=5)
    with pdcr.watch(network) as features:
        network(images)
    assert set(features) == {"first", "second", "third"}
    terms = pdcr(features, masks, torch.Generator().manual_seed(0))
    assert all(term > 0 for term in terms)
    terms.weighted(Weights(encoder=1, decoder=1, cross=1)).backward()
    for part in (network.first, network.third, pdcr.projections[2]):
        assert all(one.grad is not None for one in part.parameters())
    assert not any(part._forward_hooks for part in network.modules())
    again = pdcr(features, masks[:, None], torch.Generator().manual_seed(0))
    assert [a.item() for a in again] == pytest.approx([t.item() for t in terms])


def test_watching_keeps_no_graph_alive() -> None:
    network, pdcr = Small(2), PDCR(["first", "third"])
    images, masks = batch(2)

    def tensors() -> int:
        gc.collect()
        return sum(isinstance(one, Tensor) for one in gc.get_objects())

    def passes(count: int) -> None:
        for _ in range(count):
            with pdcr.watch(network) as features:
                network(images)
            pdcr(features, masks)

    passes(1)
    before = tensors()
    passes(4)
    assert tensors() <= before


@pytest.mark.parametrize("over", ["sum", "mean"])
def test_layers_are_added_or_averaged(over: Any) -> None:
    _, masks = batch(2)
    features = {"a": drawn(2, 3, 16, 16), "b": drawn(2, 5, 8, 8, seed=1), "c": drawn(2, 3, 8, 8, seed=2)}
    rules = PdcrRules(over_layers=over, cross_sampler="raster")
    one, two = (PDCR([Layer(name)], rules)(features, masks).encoder for name in "ab")
    both = PDCR([Layer("a"), Layer("b")], rules)(features, masks).encoder
    torch.testing.assert_close(both, (one + two) / (2 if over == "mean" else 1))
    cross = PDCR([Layer("a", "cross"), Layer("c", "cross")], rules)(features, masks).cross
    alone = PDCR([Layer("a", "cross"), Layer("c", "cross")], PdcrRules(cross_sampler="raster"))
    torch.testing.assert_close(cross, alone(features, masks).cross / (2 if over == "mean" else 1))


def test_a_margin_cuts_cells_off_each_side() -> None:
    _, masks = batch(2)
    features = drawn(2, 3, 16, 16)
    wide = PDCR([Layer("a", margin=3)], PdcrRules(patch_sizes=(1,)))({"a": features}, masks)
    inner = {"a": features[..., 3:13, 3:13]}
    # Squares of one pixel lie one pixel up and left of the centre.
    moved = PDCR([Layer("a", cells=(Cells(1, 1, 1), Cells(1, 1, 1)))], PdcrRules(patch_sizes=(1,)))
    torch.testing.assert_close(wide.encoder, moved(inner, masks[:, 2:13, 2:13]).encoder)


def test_overlapping_regions_and_ignored_labels_are_taken() -> None:
    _, masks = batch(2)
    features = {"a": drawn(2, 3, 16, 16)}
    regions = torch.stack([masks == 1, masks == 2], dim=1)
    expected = PDCR(["a"], PdcrRules(classes=2))(features, masks).encoder
    torch.testing.assert_close(PDCR(["a"])(features, regions.float()).encoder, expected)
    # The second image has the label 2 alone: ignored, nothing but background is left.
    ignoring = PDCR(["a"], PdcrRules(ignore=2))(features, masks).encoder
    masks[masks == 2] = 0
    torch.testing.assert_close(ignoring, PDCR(["a"])(features, masks).encoder)


@pytest.mark.parametrize("size", [(30, 50), (17, 33)])
@pytest.mark.parametrize("positions", ["right", "released"])
def test_images_that_are_not_square_give_finite_losses(size: tuple[int, int], positions: Any) -> None:
    masks = torch.zeros(1, *size, dtype=torch.long)
    masks[0, 5:20, 20:] = 1
    grid = [math.ceil(n / 2) for n in size]
    features = {"a": drawn(1, 4, *grid).requires_grad_()}
    terms = PDCR(["a"], PdcrRules(positions=positions))(features, masks)
    assert torch.isfinite(terms.encoder)
    straight = PDCR(["a"])(features, masks).encoder.item()
    assert (terms.encoder.item() == straight) == (positions == "right")
    # What a transposed picture gives, released, is what the picture gives, right.
    cells = (Cells(2), Cells(2))
    whole = [Layer("a", samples=10_000, cells=cells)]
    mirrored = PDCR(whole, PdcrRules(positions="released"))
    square = masks[:, :16, :16]
    near = {"a": features["a"][..., :8, :8]}
    turned = mirrored(near, square.transpose(1, 2)).encoder
    torch.testing.assert_close(turned, PDCR(whole)(near, square).encoder)


def test_the_rules_of_volumes_take_class_shares() -> None:
    _, masks = batch(3, 32)
    masks[0, 20:] = 2
    cells = (Cells(4, 23),) * 3
    features = {"a": drawn(2, 4, 8, 8, 8)}
    layer = Layer("a", cells=cells, steps=(2, 2, 2))
    first = PDCR([layer], RULES_3D)(features, masks).encoder
    merged = PDCR([layer], RULES_3D)(features, (masks > 0).long()).encoder
    assert abs(first.item() - merged.item()) > 1e-4


@pytest.mark.parametrize(
    ("layers", "rules", "change", "code"),
    [
        ([], {}, {}, "bad-layers"),
        ([Layer("a", "cross")], {}, {}, "bad-layers"),
        (["b"], {}, {}, "no-features"),
        (["a"], {"labels": "receptive_field"}, {}, "no-field"),
        (["a"], {"sampler": "jittered"}, {}, "no-generator"),
        ([Layer("a", margin=4)], {}, {}, "empty-grid"),
        (["a"], {}, {"masks": torch.zeros(3, 16, 16)}, "shape"),
        (["a"], {}, {"masks": torch.zeros(16, 16)}, "shape"),
    ],
)
def test_what_cannot_be_is_said(layers: Any, rules: Any, change: dict[str, Any], code: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        PDCR(layers, PdcrRules(**rules))({"a": drawn(2, 3, 8, 8)}, change.get("masks", batch(2)[1]))
    assert caught.value.code == code


def test_an_unknown_part_of_a_network_is_named() -> None:
    with (
        pytest.raises(SegToolkitError, match="has no part 'fourth'"),
        PDCR(["fourth"]).watch(Small(2)),
    ):
        pass


def test_damped_terms_are_those_of_the_published_numbers() -> None:
    terms = Terms(torch.tensor(2000.0), torch.tensor(5000.0), torch.tensor(20_000.0))
    weights = Weights(encoder=0.1, decoder=0.01, cross=0.01)
    assert terms.weighted(weights).item() == pytest.approx(200 + 50 + 200)
    assert terms.weighted(weights, damped=True).item() == pytest.approx(0.2 + 50 + 0.2)
