"""PDCR: positions, receptive fields and soft labels, against plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.layers import decoder_cells, encoder_cells, head_cells, pdcr_layers
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings
from SegToolkitLib.methods.pdcr_uafr.plan import NetworkPlan
from SegToolkitLib.methods.pdcr_uafr.sampling import Cells, centres, every, jittered, raster, steps_for
from SegToolkitLib.methods.pdcr_uafr.soft_labels import (
    Boxes,
    cut_short,
    fields,
    foreground,
    ranked_shares,
    shares,
    squares,
    transposed,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("grid", "count", "expected"),
    [
        ((4, 6), 4, [(0, 0), (1, 0), (2, 0), (3, 0)]),
        ((4, 6), 5, [(0, 0), (0, 4), (1, 2), (2, 0), (2, 4)]),
        ((2, 3), 4, [(0, 0), (0, 1), (0, 2)]),  # a step of one cell: one fewer, as released
        ((1, 1), 1, [(0, 0)]),
        ((1, 2), 5, [(0, 0), (0, 1)]),  # too few: all
        ((2, 2, 2), 4, [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)]),
    ],
)
def test_raster_positions(grid: tuple[int, ...], count: int, expected: list[tuple[int, ...]]) -> None:
    assert list(map(tuple, raster(grid, count).tolist())) == expected


@pytest.mark.parametrize(
    ("grid", "count"),
    [((32, 32), 32), ((8, 8), 8), ((3, 50), 20), ((1, 40), 7), ((5, 6, 7), 20), ((2, 2), 9)],
)
def test_jittered_positions_spread(grid: tuple[int, ...], count: int) -> None:
    found = jittered(grid, count, seeded())
    cells = int(np.prod(grid))
    assert len(found) == min(count, cells)
    assert len({tuple(one) for one in found.tolist()}) == len(found)
    assert (found >= 0).all()
    assert (found < torch.tensor(grid)).all()
    assert torch.equal(found, jittered(grid, count, seeded()))
    if count < cells / 4:
        assert not torch.equal(found, jittered(grid, count, seeded(1)))
        # The released raster leaves 31 of 32 columns without a sample.
        assert (found.float().std(0) > torch.tensor(grid) / 8).any()


def test_every_cell_of_a_jittered_raster_can_be_drawn() -> None:
    drawn = {tuple(one) for seed in range(80) for one in jittered((5, 4), 4, seeded(seed)).tolist()}
    assert drawn == set(itertools.product(range(5), range(4)))


@pytest.mark.parametrize("sampler", [raster, lambda grid, count: jittered(grid, count, seeded())])
def test_an_empty_grid_is_refused(sampler) -> None:
    with pytest.raises(SegToolkitError, match="too small to sample"):
        sampler((0, 5), 4)
    with pytest.raises(SegToolkitError, match="too small to sample"):
        sampler((-2, -2), 4)


@pytest.mark.parametrize(
    ("size", "strides", "expected"),
    [
        ((128, 128, 128), (4, 4, 4), (8, 8, 8)),
        ((128, 128, 128), (8, 8, 8), (4, 4, 4)),
        ((40, 320, 256), (1, 4, 4), (10, 8, 8)),
        ((16, 64, 64), (8, 8, 8), (1, 2, 2)),
    ],
)
def test_steps_of_volumes(size: tuple[int, ...], strides: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert steps_for(size, strides) == expected
    assert len(every((4, 4, 4), (2, 3, 4))) == 2 * 2 * 1


def test_fields_of_the_published_network() -> None:
    found = [(one.stride, one.field, one.offset) for one in [*encoder_cells(), *decoder_cells().values()]]
    wide = [3, 7, 19, 43, 91, 187, 283, 379, 475, 27, 35]
    strides = [2, 2, 4, 8, 16, 16, 16, 16, 16, 4, 4]
    assert found == [(s, f, -(f - 1) / 2) for s, f in zip(strides, wide, strict=True)]
    assert [head_cells(n).centre for n in range(1, 6)] == [7, 7, 6, 4, 0]
    assert {head_cells(n).stride for n in range(1, 6)} == {16}
    # At output stride 8, layer 5 keeps the stride of layer 4, and the dilation of what follows is doubled.
    deep = encoder_cells(8)
    assert [one.stride for one in deep[3:]] == [8] * 6
    assert deep[5].field - deep[4].field == 3 * 2 * 2 * 8


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"),
    [(3, 2, 1, None), (3, 1, 2, None), (4, 4, 1, 0), (5, 1, 1, 1)],
)
def test_fields_are_what_gradients_say(kernel: int, stride: int, dilation: int, padding: int | None) -> None:
    first = torch.nn.Conv1d(1, 1, 3, 2, padding=1, bias=False)
    pad = (kernel - 1) * dilation // 2 if padding is None else padding
    second = torch.nn.Conv1d(1, 1, kernel, stride, padding=pad, dilation=dilation, bias=False)
    for part in (first, second):
        torch.nn.init.ones_(part.weight)
    pixels = torch.zeros(1, 1, 120, requires_grad=True)
    out = second(first(pixels))
    cell = out.shape[-1] // 2
    out[0, 0, cell].backward()
    touched = pixels.grad[0, 0].nonzero()
    cells = Cells().after(3, 2).after(kernel, stride, dilation, padding)
    assert touched.min().item() == cells.offset + cell * cells.stride
    assert (touched.max() - touched.min()).item() + 1 == cells.field


def by_hand(mask: np.ndarray, box: tuple[slice, ...]) -> tuple[float, int]:
    part = mask[box]
    return float(part.sum()), part.size


@pytest.mark.parametrize("size", [(20, 31), (12, 9, 14)])
@pytest.mark.parametrize("sides", [(5, 7, 9), (4,), (1, 60)])
@pytest.mark.parametrize("denominator", ["clipped", "full"])
def test_shares_of_squares_are_those_of_loops(
    size: tuple[int, ...], sides: tuple[int, ...], denominator: str
) -> None:
    labels = torch.randint(0, 4, (2, *size), generator=seeded())
    positions = every(size, [4] * len(size))
    found = shares(foreground(labels, 3), squares(positions, sides), denominator)
    assert found.shape == (2, len(sides), len(positions), 3)
    for p, side in enumerate(sides):
        for n, centre in enumerate(positions.tolist()):
            # Truncation toward zero, as in the released code.
            box = tuple(slice(max(int(c - side / 2), 0), int(c + side / 2)) for c in centre)
            for b, q in itertools.product(range(2), range(3)):
                count, volume = by_hand(labels[b].numpy() == q + 1, box)
                whole = side ** len(size) if denominator == "full" else volume
                assert found[b, p, n, q].item() == pytest.approx(count / max(whole, 1), abs=1e-6)


@pytest.mark.parametrize(("size", "field"), [((15, 22), (7, 7)), ((9, 16, 12), (3, 5, 9))])
def test_shares_of_fields_are_those_of_loops(size: tuple[int, ...], field: tuple[int, ...]) -> None:
    labels = torch.randint(0, 3, (2, *size), generator=seeded())
    positions = every(size, [3] * len(size))
    boxes = fields(positions, field)
    found = shares(foreground(labels, 2), boxes)
    short = shares(foreground(labels, 2), cut_short(boxes, size))
    for n, centre in enumerate(positions.tolist()):
        halves = [(f - 1) // 2 for f in field]
        box = [(max(c - h, 0), min(c + h + 1, s)) for c, h, s in zip(centre, halves, size, strict=True)]
        count, volume = by_hand(labels[1].numpy() == 2, tuple(slice(*one) for one in box))
        assert found[1, 0, n, 1].item() == pytest.approx(count / volume, abs=1e-6)
        cut = tuple(slice(low, min(high, s - 1)) for (low, high), s in zip(box, size, strict=True))
        count, volume = by_hand(labels[1].numpy() == 2, cut)
        assert short[1, 0, n, 1].item() == pytest.approx(count / max(volume, 1), abs=1e-6)


def test_ignored_pixels_count_neither_way() -> None:
    labels = torch.zeros(1, 6, 6, dtype=torch.long)
    labels[0, :2] = 1
    ignored = torch.zeros(1, 6, 6, dtype=torch.bool)
    ignored[0, 1:4] = True
    box = Boxes(torch.tensor([[[0, 0]]]), torch.tensor([[[6, 6]]]))
    for denominator in ("clipped", "full"):
        assert shares(foreground(labels), box, denominator, ignored).item() == pytest.approx(6 / 18)
    nothing = shares(foreground(labels), box, "clipped", torch.ones_like(ignored))
    assert nothing.item() == 0


def test_rows_are_rows_and_the_released_form_exchanges_them() -> None:
    labels = torch.zeros(1, 12, 40, dtype=torch.long)
    labels[0, :, 30:] = 1
    boxes = squares(torch.tensor([[6, 35], [6, 5]]), (5,))
    assert shares(foreground(labels), boxes).flatten().tolist() == [1, 0]
    released = shares(foreground(labels), transposed(boxes))
    # Outside the image the released code has the mean of nothing.
    assert torch.isfinite(released).all()
    assert released.flatten().tolist() == [0, 0]


def test_shares_by_rank_drop_the_lowest_label_whatever_it_is() -> None:
    labels = torch.full((1, 4, 4, 4), 2)
    labels[0, 0] = 3
    box = Boxes(torch.zeros(1, 1, 3).long(), torch.full((1, 1, 3), 3))
    assert ranked_shares(labels, box, 3)[0, 0, 0].tolist() == pytest.approx([9 / 27, 0, 0])
    right = shares(foreground(labels, 3), box, "full")[0, 0, 0]
    assert right.tolist() == pytest.approx([0, 18 / 27, 9 / 27])
    whole = torch.full((1, 4, 4, 4), 1)
    assert not ranked_shares(whole, box, 3).any()


def test_centres_lie_where_the_cells_are() -> None:
    cells = (Cells(4, 19), Cells(16, 21, 7))
    found = centres(torch.tensor([[0, 0], [2, 3]]), cells, margin=9)
    assert found.tolist() == [[36, 151], [44, 199]]


@pytest.mark.parametrize(
    ("size", "settings", "plan", "code"),
    [
        ((72, 200), {}, {}, "small-image"),
        ((96, 96), {"encoder_layers": (3, 9), "labels": "receptive_field"}, {}, "field-too-large"),
        ((96, 96), {}, {"cross_heads": (1, 2)}, "no-head"),
    ],
)
def test_layers_that_cannot_be_are_refused(
    size: tuple[int, int], settings: dict, plan: dict, code: str
) -> None:
    with pytest.raises(SegToolkitError) as caught:
        pdcr_layers(NetworkPlan(**plan), PdcrSettings(**settings), size)
    assert caught.value.code == code


def test_the_smallest_image_of_the_defaults_is_taken() -> None:
    layers = pdcr_layers(NetworkPlan(), PdcrSettings(), (96, 96))
    assert [layer.name for layer in layers] == [
        "encoder.2", "encoder.3", "decoder.low", "decoder.mid", "cross.2", "cross.3",
    ]  # fmt: skip
    assert (
        pdcr_layers(
            NetworkPlan(), PdcrSettings(weights_of_terms={"encoder": 0, "decoder": 0, "cross": 0}), (64, 64)
        )
        == []
    )


def test_counts_are_exact_for_large_volumes() -> None:
    labels: Tensor = torch.ones(1, 100, 200, 300, dtype=torch.uint8)
    box = Boxes(torch.zeros(1, 1, 3).long(), torch.tensor([[[100, 200, 300]]]))
    assert shares(foreground(labels), box).item() == 1
