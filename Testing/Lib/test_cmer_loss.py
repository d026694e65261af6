"""The loss of each modality, against plain numpy and by what each term means."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from SegToolkitLib.methods.cmer.loss import Terms, View, Views, divergence, losses, unit
from SegToolkitLib.methods.cmer.settings import LossSettings

SLICES, ROWS, COLUMNS = 5, 6, 7
TAGS = torch.tensor([1, 0, 1, 1, 0])


def views_of(modalities: int, seed: int = 0) -> list[Views]:
    source = torch.Generator().manual_seed(seed)

    def view() -> View:
        return View(
            torch.randn(SLICES, 2, generator=source, dtype=torch.float64).requires_grad_(),
            torch.rand(SLICES, ROWS, COLUMNS, generator=source, dtype=torch.float64).requires_grad_(),
        )

    return [Views(view(), view()) for _ in range(modalities)]


def softmax(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits - logits.max(1, keepdims=True))
    return power / power.sum(1, keepdims=True)


def plain(views: list[Views], settings: LossSettings) -> list[dict[str, float]]:
    """The equations, slice by slice."""
    given = [[(v.logits.detach().numpy(), v.maps.detach().numpy()) for v in both] for both in views]
    y, found = TAGS.numpy(), []
    for i, own in enumerate(given):
        ce = np.mean([-np.log(softmax(p)[range(SLICES), y]).mean() for p, _ in own])
        er = np.mean([np.mean((own[0][1][n] - own[1][1][n]) ** 2) * y[n] for n in range(SLICES)])
        kl, cmer, others = 0.0, 0.0, [j for j in range(len(given)) if j != i]
        for j, view in itertools.product(others, (0, 1)):
            t = settings.temperature
            p, q = softmax(given[j][view][0] / t), softmax(own[view][0] / t)
            kl += t**2 * (p * np.log(p / q)).sum(1).mean()
            logits, maps = given[j][1 - view]
            for n in range(SLICES):
                a, b = own[view][1][n], maps[n]
                apart = (a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2
                cmer += apart.mean() * y[n] * (logits[n].argmax() == 1) / SLICES
        kl, cmer = 0.5 * kl / len(others), 0.5 * cmer / len(others)
        if settings.cmer_reduction == "sum":
            cmer *= ROWS * COLUMNS
        total = settings.ce_weight * ce + settings.er_weight * er
        total += settings.kl_weight * kl + settings.cmer_weight * cmer
        found.append({"ce": ce, "er": er, "kl": kl, "cmer": cmer, "total": total})
    return found


@pytest.mark.parametrize("modalities", [2, 3, 4])
@pytest.mark.parametrize(
    "settings",
    [
        LossSettings(),
        LossSettings(cmer_reduction="sum"),
        LossSettings(temperature=2, ce_weight=0.3, er_weight=7, kl_weight=0, cmer_weight=1000),
        LossSettings(kl="released"),
    ],
    ids=["defaults", "sum", "other weights", "released KL"],
)
def test_the_terms_are_those_of_the_equations(modalities: int, settings: LossSettings) -> None:
    views = views_of(modalities)
    for got, wanted in zip(losses(views, TAGS, settings), plain(views, settings), strict=True):
        assert {name: getattr(got, name).item() for name in Terms._fields} == pytest.approx(wanted, rel=1e-9)


def test_other_modalities_are_constants() -> None:
    views = views_of(3)
    losses(views, TAGS, LossSettings())[1].total.backward()
    grown = [[leaf.grad is not None for view in both for leaf in view] for both in views]
    assert grown == [[False] * 4, [True] * 4, [False] * 4]


def test_the_gradient_of_the_sum_is_that_of_each_modalitys_own_loss() -> None:
    views, again = views_of(3), views_of(3)
    torch.stack([one.total for one in losses(views, TAGS, LossSettings())]).sum().backward()
    for index, both in enumerate(views):
        wanted = torch.autograd.grad(
            losses(again, TAGS, LossSettings())[index].total, [leaf for view in again[index] for leaf in view]
        )
        for leaf, gradient in zip([leaf for view in both for leaf in view], wanted, strict=True):
            assert leaf.grad is not None
            torch.testing.assert_close(leaf.grad, gradient)


def replaced(views: list[Views], modality: int, view: int, **values: Tensor) -> list[Views]:
    both = list(views[modality])
    both[view] = both[view]._replace(**values)
    return [Views(*both) if index == modality else one for index, one in enumerate(views)]


def test_slices_without_the_object_add_nothing_but_count() -> None:
    views, settings = views_of(2), LossSettings()
    maps = views[0].first.maps.detach().clone()
    maps[TAGS == 0] = 0
    changed = replaced(views, 0, 0, maps=maps)
    for name in ("er", "cmer"):
        one, other = (getattr(losses(each, TAGS, settings)[0], name) for each in (views, changed))
        assert one == other
    half = torch.tensor([1, 0, 0, 0, 0])
    first = (views[0].first.maps[0] - views[0].second.maps[0]).square().mean()
    torch.testing.assert_close(losses(views, half, settings)[0].er, first / SLICES)


def test_a_teacher_that_misses_the_object_does_not_teach_from_that_view() -> None:
    views, settings = views_of(2), LossSettings()
    denies = torch.tensor([[1.0, -1.0]]).expand(SLICES, 2).double()
    for view in (0, 1):
        views = replaced(views, 1, view, logits=denies)
    first, second = losses(views, TAGS, settings)
    assert first.cmer == 0
    assert second.cmer > 0
    # One that sees it in the second view teaches the first view.
    taught = losses(replaced(views, 1, 1, logits=-denies), TAGS, settings)[0].cmer
    apart = unit(views[0].first.maps) - unit(views[1].second.maps)
    torch.testing.assert_close(taught, 0.5 * (apart.square().mean((1, 2)) * TAGS).mean())


def test_the_mean_of_the_cross_modality_term_is_bounded_by_the_pixels_and_the_sum_by_2() -> None:
    views = views_of(2, seed=5)
    mean, total = (losses(views, TAGS, LossSettings(cmer_reduction=how))[0].cmer for how in ("mean", "sum"))
    assert 0 < mean <= 2 / (ROWS * COLUMNS)
    torch.testing.assert_close(total, mean * ROWS * COLUMNS)


@pytest.mark.parametrize("blank", ["own", "teacher", "both"])
def test_blank_maps_give_finite_losses_and_gradients(blank: str) -> None:
    source = torch.Generator().manual_seed(2)
    leaves = []

    def view(empty: bool) -> View:
        maps = torch.rand(SLICES, ROWS, COLUMNS, generator=source)
        leaves.append((torch.zeros_like(maps) if empty else maps).requires_grad_())
        return View(torch.tensor([[0.0, 1.0]]).expand(SLICES, 2), leaves[-1])

    views = [
        Views(view(blank != "teacher"), view(blank != "teacher")),
        Views(view(blank != "own"), view(blank != "own")),
    ]
    terms = losses(views, TAGS, LossSettings())
    torch.stack([one.total for one in terms]).sum().backward()
    assert all(torch.isfinite(one.total) for one in terms)
    assert all(leaf.grad is not None and torch.isfinite(leaf.grad).all() for leaf in leaves)


@pytest.mark.parametrize("apart", [1e-1, 1e-2, 1e-3])
def test_kl_of_networks_that_nearly_agree_is_exact_where_single_precision_is_not(apart: float) -> None:
    source = torch.Generator().manual_seed(1)
    teacher = torch.randn(16, 2, generator=source)
    student = teacher + apart * torch.randn(16, 2, generator=source)
    p, q = (softmax(one.double().numpy() / 10) for one in (teacher, student))
    wanted = 100 * (p * np.log(p / q)).sum(1).mean()
    stable = divergence(teacher, student, LossSettings())
    assert stable.dtype == torch.float32
    assert stable.item() == pytest.approx(wanted, rel=1e-5)
    if apart < 1e-2:
        released = divergence(teacher, student, LossSettings(kl="released")).item()
        assert abs(released - wanted) > 1e-4 * wanted


@pytest.mark.parametrize("kl", ["stable", "released"])
def test_a_teacher_gets_no_gradient(kl: str) -> None:
    teacher, student = (torch.tensor([[0.5, x]]).requires_grad_() for x in (1.0, -1.0))
    divergence(teacher, student, LossSettings(kl=kl)).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.any()


def test_half_precision_logits_do_not_change_the_kind_of_the_loss() -> None:
    student = torch.tensor([[0.5, 1.0]]).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = divergence(torch.tensor([[0.5, 1.1]]), student, LossSettings())
    loss.backward()
    assert loss.dtype == torch.float32
    assert student.grad is not None
    assert student.grad.dtype == torch.float32


def test_one_modality_alone_learns_from_its_tags() -> None:
    (only,) = losses(views_of(1), TAGS, LossSettings())
    assert only.kl == only.cmer == 0
    torch.testing.assert_close(only.total, only.ce + only.er)
