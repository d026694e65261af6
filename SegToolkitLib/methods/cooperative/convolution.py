"""Convolutions as the networks have them, cheaper on CPUs: same results but for rounding.

* An upsampling and the convolution after it are linear, so they are one transposed convolution: 4 products
  a pixel and pair of channels in place of 9, and no upsampled map. GPUs and mixed precision have the layers.
* A norm by statistics of the batch takes out every constant, so a bias before it has the gradient 0.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SIDES = (0, -1)


def channels_last(x: Tensor) -> Tensor:
    """The same numbers with the channels innermost, also where there is a single channel."""
    if x.shape[1] > 1:
        return x.contiguous(memory_format=torch.channels_last)
    # PyTorch takes such a map for contiguous either way, and judges the result by the strides.
    _, _, rows, columns = x.shape
    return x.contiguous().as_strided(x.shape, (rows * columns, 1, columns, 1))


def convolved(layer: nn.Conv2d, x: Tensor, normed: bool = False) -> Tensor:
    """``layer(x)``.

    Args:
        layer: padded with zeros, in one group.
        x: [N, C, Y, X].
        normed: a norm by statistics of the batch follows.
    """
    return F.conv2d(x, layer.weight, _bias(layer, normed), layer.stride, layer.padding)


def upsampled(up: nn.Module, layer: nn.Conv2d, x: Tensor, normed: bool = False) -> Tensor:
    """``layer(up(x))``.

    Args:
        up: doubles rows and columns: nearest neighbours, or a transposed convolution of 2 x 2.
        layer: of kernel 1 or 3, padded by half of that; without a stride.
        x: [N, C, Y, X].
        normed: as in :func:`convolved`.
    """
    if not is_plain(x):
        return cast(Tensor, layer(up(x)))
    bias, weight = _bias(layer, normed), layer.weight
    padding = weight.shape[2] // 2
    if not isinstance(up, nn.ConvTranspose2d):
        if padding == 0:
            return cast(Tensor, up(F.conv2d(x, weight, bias)))
        return F.conv_transpose2d(x, _nearest_kernel(weight), bias, stride=2, padding=1)
    kernel = F.conv2d(up.weight, weight, padding=2 * padding)
    assert up.bias is not None
    if padding == 0:
        constant = weight[:, :, 0, 0] @ up.bias
        return F.conv_transpose2d(x, kernel, constant if bias is None else bias + constant, stride=2)
    z = F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)
    # The bias of the upsampling, convolved: it is less at the borders, beyond which there is none.
    around = F.conv2d(up.bias[None, :, None, None].expand(1, -1, 3, 3), weight, padding=1)[0]
    return cast(Tensor, _AddZones.apply(z, around))


def is_plain(x: Tensor) -> bool:
    """Whether the ways of this package for CPUs serve ``x``."""
    kinds = (torch.float32, torch.float64)
    return x.device.type == "cpu" and x.dtype in kinds and not torch.is_autocast_enabled("cpu")


def _bias(layer: nn.Conv2d, normed: bool) -> Tensor | None:
    return layer.bias.detach() if normed and layer.bias is not None else layer.bias


def _nearest_kernel(weight: Tensor) -> Tensor:
    """Kernel [in, out, 4, 4] of the transposed convolution, of stride 2, that equals nearest neighbours and
    the convolution [out, in, 3, 3] after them."""
    taps = weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    return torch.einsum("ky,lx,bayx->abkl", taps, taps, weight)


class _AddZones(torch.autograd.Function):
    """Add a map that is constant but for its outermost pixels, given as [C, 3, 3]: corners, edges, centre."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, around: Tensor) -> Tensor:
        centre = around[:, 1, 1]
        z.add_(centre[:, None, None])
        z[:, :, SIDES] += around[:, SIDES, 1][..., None] - centre[:, None, None]
        z[..., SIDES] += around[:, 1, SIDES][:, None] - centre[:, None, None]
        # The corners now have both edges' differences; put in what they should have.
        twice = around[:, SIDES, 1][..., None] + around[:, 1, SIDES][:, None] - centre[:, None, None]
        for i in SIDES:
            for j in SIDES:
                z[..., i, j] += around[:, i, j] - twice[:, i, j]
        ctx.mark_dirty(z)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        summed = gradient.new_zeros(gradient.shape[1], 3, 3)
        rows, columns = gradient[:, :, SIDES].sum(0), gradient[..., SIDES].sum(0)
        corners = rows[..., SIDES]
        summed[:, SIDES, 1] = rows.sum(2) - corners.sum(2)
        summed[:, 1, SIDES] = columns.sum(1) - corners.sum(1)
        for i in SIDES:
            for j in SIDES:
                summed[:, i, j] = corners[:, i, j]
        summed[:, 1, 1] = gradient.sum((0, 2, 3)) - summed.sum((1, 2))
        return gradient, summed
