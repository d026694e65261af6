"""Convolutions for CPUs: values and gradients are those of PyTorch's layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from SegToolkitLib.methods.cooperative.convolution import channels_last, convolved, is_plain, upsampled

EXACT = {"rtol": 1e-10, "atol": 1e-12}


def noise(*shape: int) -> Tensor:
    return channels_last(torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))


def with_gradients(
    function: Callable[[Tensor], Tensor], x: Tensor, *modules: nn.Module
) -> tuple[Tensor, list[Tensor]]:
    """The result, and gradients in ``x`` and all parameters of a sum with uneven weights."""
    x = x.detach().requires_grad_()
    y = function(x)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(4))
    inputs = [x, *(one for module in modules for one in module.parameters())]
    found = torch.autograd.grad((y * weights).sum(), inputs, allow_unused=True)
    return y.detach(), [torch.zeros_like(i) if g is None else g for i, g in zip(inputs, found, strict=True)]


def assert_same(ours: tuple[Tensor, list[Tensor]], theirs: tuple[Tensor, list[Tensor]]) -> None:
    torch.testing.assert_close(ours[0], theirs[0], **EXACT)
    for one, other in zip(ours[1], theirs[1], strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("channels", "kernel", "stride"), [(16, 3, 1), (3, 3, 1), (16, 3, 2), (16, 1, 1)])
@pytest.mark.parametrize("size", [(12, 8), (2, 4)])
def test_a_convolution_is_the_layers(
    channels: int, kernel: int, stride: int, bias: bool, size: tuple[int, int]
) -> None:
    layer = nn.Conv2d(channels, 20, kernel, stride, kernel // 2, bias=bias).double()
    x = noise(2, channels, *size)
    assert_same(
        with_gradients(lambda x: convolved(layer, x), x, layer), with_gradients(layer, x.contiguous(), layer)
    )


@pytest.mark.parametrize("kernel", [3, 1])
@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (5, 3)])
def test_an_upsampling_and_a_convolution_are_the_two_layers(
    kernel: int, learned: bool, bias: bool, size: tuple[int, int]
) -> None:
    up = nn.ConvTranspose2d(5, 5, 2, stride=2) if learned else nn.Upsample(scale_factor=2)
    up, layer = up.double(), nn.Conv2d(5, 7, kernel, padding=kernel // 2, bias=bias).double()
    x = noise(2, 5, *size)
    ours = with_gradients(lambda x: upsampled(up, layer, x), x, up, layer)
    assert_same(ours, with_gradients(lambda x: layer(up(x)), x, up, layer))


def test_a_bias_before_a_norm_has_no_gradient_and_all_else_has_the_same() -> None:
    layer, norm = nn.Conv2d(16, 16, 3, padding=1).double(), nn.BatchNorm2d(16).double()
    x = noise(2, 16, 6, 6)
    ours = with_gradients(lambda x: norm(convolved(layer, x, normed=True)), x, layer, norm)
    theirs = with_gradients(lambda x: norm(layer(x)), x, layer, norm)
    assert theirs[1][2].abs().max() < 1e-10
    assert_same(ours, theirs)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_lie_innermost_and_numbers_stay(channels: int) -> None:
    x = torch.randn(2, channels, 4, 6)
    last = channels_last(x)
    assert torch.equal(last, x)
    assert last.stride() == (24 * channels, 1, 6 * channels, channels)
    layer = nn.Conv2d(channels, 4, 3, padding=1)
    assert layer(last).is_contiguous(memory_format=torch.channels_last)


def test_other_orders_and_kinds_of_numbers_are_left_to_pytorch() -> None:
    layer = nn.Conv2d(16, 16, 3, padding=1)
    x = torch.randn(2, 16, 6, 6, requires_grad=True)
    torch.testing.assert_close(convolved(layer, x), layer(x))
    assert not is_plain(x.half())
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_plain(x)
        assert convolved(layer, x).dtype == torch.bfloat16
        up = nn.Upsample(scale_factor=2)
        assert upsampled(up, layer, x).dtype == torch.bfloat16
