"""Batch norms in training: exact, counted as the release counts, and silent where they should be."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from SegToolkitLib.methods.cooperative.convolution import channels_last
from SegToolkitLib.methods.cooperative.normalised import normalised
from SegToolkitLib.methods.cooperative.norms import RunningStatistics, fixed_affine, norms_of, untracked


def noise(*shape: int, seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return channels_last(2 * torch.randn(shape, dtype=torch.float64, generator=generator) + 1)


def norm_of(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels).double()
    nn.init.normal_(norm.weight, 1, 0.3)
    nn.init.normal_(norm.bias)
    return norm


def buffers(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.named_buffers()}


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 16, 1, 1), (1, 2, 7, 1)])
def test_results_gradients_and_running_statistics_are_pytorchs(shape: tuple[int, ...]) -> None:
    ours = norm_of(shape[1])
    theirs = copy.deepcopy(ours)
    found = []
    for norm, call in ((ours, lambda x: normalised(ours, x)), (theirs, theirs)):
        for seed in (1, 2):
            x = noise(*shape, seed=seed)
            x = (x if norm is ours else x.contiguous()).requires_grad_()
            y = call(x)
            gradients = torch.autograd.grad((y.sin()).sum(), [x, *norm.parameters()])
        found.append((y, gradients))
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(buffers(ours), buffers(theirs))
    assert int(ours.num_batches_tracked) == 2


def test_statistics_of_many_pixels_are_exact() -> None:
    x = (torch.randn(8, 4, 192, 192) + 1.5).contiguous(memory_format=torch.channels_last)
    norm = nn.BatchNorm2d(4)
    with torch.no_grad():
        got = normalised(norm, x)
    exact = nn.BatchNorm2d(4).double()(x.double()).float()
    assert (got - exact).abs().max() < 2e-6


def test_in_evaluation_running_statistics_count() -> None:
    norm, x = norm_of(3).eval(), noise(2, 3, 4, 4)
    before = buffers(norm)
    torch.testing.assert_close(normalised(norm, x), norm(x))
    torch.testing.assert_close(buffers(norm), before)


class Two(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        for norm in norms_of(self):
            x = normalised(norm, x)
        return x


def test_untracked_passes_leave_statistics_and_still_normalise_by_the_batch() -> None:
    network, x = Two(norm_of(3), norm_of(3)), noise(2, 3, 4, 4)
    before = buffers(network)
    with untracked(network):
        y = network(x)
        torch.testing.assert_close(normalised(network[0], x.contiguous()), normalised(network[0], x))
    torch.testing.assert_close(buffers(network), before)
    torch.testing.assert_close(network(x), y)
    assert int(network[0].num_batches_tracked) == 1


def test_an_error_inside_puts_tracking_and_gradients_back() -> None:
    network = Two(norm_of(3))
    with pytest.raises(ValueError, match="inside"), untracked(network), fixed_affine(network):
        raise ValueError("inside")
    assert network[0].track_running_stats
    assert network[0].weight.requires_grad


def test_scales_that_are_fixed_learn_nothing_from_that_pass_and_from_others_as_before() -> None:
    network, x = Two(norm_of(3)), noise(2, 3, 4, 4).requires_grad_()
    network[0].bias.requires_grad_(False)
    first = network(x).sin().sum()
    with fixed_affine(network):
        second = network(x).cos().sum()
    assert network[0].weight.requires_grad
    assert not network[0].bias.requires_grad
    (alone,) = torch.autograd.grad(first, network[0].weight, retain_graph=True)
    (both,) = torch.autograd.grad(first + second, network[0].weight)
    torch.testing.assert_close(both, alone)


def test_a_pass_that_is_counted_again_counts_as_two() -> None:
    once = Two(norm_of(3), norm_of(3))
    twice = copy.deepcopy(once)
    once(noise(2, 3, 4, 4, seed=7))
    twice(noise(2, 3, 4, 4, seed=7))
    before, x = RunningStatistics(once), noise(2, 3, 4, 4)
    once(x)
    before.count_again()
    twice(x)
    twice(x)
    torch.testing.assert_close(buffers(once), buffers(twice))
