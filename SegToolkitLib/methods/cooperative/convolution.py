"""Convolutions as the networks have them, cheaper on CPUs: same results but for rounding.

Three savings, all for float32 maps whose channels lie innermost (channels last):

* An upsampling and the convolution after it are linear, so they are one transposed convolution: 4 products
  a pixel and pair of channels in place of 9, and no upsampled map.
* The gradient of a 3 x 3 kernel is nine products of matrices over all pixels. PyTorch 2.13 takes up to twice
  as long for it.
* A norm by statistics of the batch takes out every constant, so a bias before it has the gradient 0.

Everywhere else (GPUs, mixed precision) the layers are simply called.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Maps of more pixels are gone through image by image: a product over all of them would leave the cache.
WHOLE_BATCH = 48 * 48
# With fewer channels, or fewer products for each weight of the kernel, PyTorch's own gradient is faster.
LEAST_CHANNELS = 16
LEAST_PRODUCTS = 2**22
SIDES = (0, -1)

_state = threading.local()


def channels_last(x: Tensor) -> Tensor:
    """The same numbers with the channels innermost, also where there is a single channel."""
    if x.shape[1] > 1:
        return x.contiguous(memory_format=torch.channels_last)
    # PyTorch takes such a map for contiguous either way, and judges the result by the strides.
    _, _, rows, columns = x.shape
    return x.contiguous().as_strided(x.shape, (rows * columns, 1, columns, 1))


@contextmanager
def frozen_weights() -> Iterator[None]:
    """Backward passes inside leave out gradients of kernels, where nobody asks for them.

    PyTorch does not tell a function written in Python which of its gradients are wanted.
    """
    _state.frozen = True
    try:
        yield
    finally:
        _state.frozen = False


def convolved(layer: nn.Conv2d, x: Tensor, normed: bool = False) -> Tensor:
    """``layer(x)``.

    Args:
        layer: kernels of 1 or 3, padded by half of that.
        x: [N, C, Y, X].
        normed: a norm by statistics of the batch follows.
    """
    if not is_plain(x):
        return cast(Tensor, layer(x))
    bias = _bias(layer, normed)
    (stride, _), (padding, _) = layer.stride, cast(tuple[int, int], layer.padding)
    if torch.is_grad_enabled() and _is_suited(layer, x):
        return cast(Tensor, _Convolution.apply(x, layer.weight, bias))
    return F.conv2d(x, layer.weight, bias, stride, padding)


def upsampled(up: nn.Module, layer: nn.Conv2d, x: Tensor, normed: bool = False) -> Tensor:
    """``layer(up(x))``.

    Args:
        up: doubles rows and columns: nearest neighbours, or a transposed convolution of 2 x 2.
        layer: as in :func:`convolved`, without a stride.
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


def _is_suited(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether the gradient of this package is right, and the faster one."""
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and min(layer.weight.shape[:2]) >= LEAST_CHANNELS
        and x.numel() * layer.out_channels >= LEAST_PRODUCTS
        and min(x.shape[2:]) >= 3
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def _bias(layer: nn.Conv2d, normed: bool) -> Tensor | None:
    return layer.bias.detach() if normed and layer.bias is not None else layer.bias


def _nearest_kernel(weight: Tensor) -> Tensor:
    """Kernel [in, out, 4, 4] of the transposed convolution, of stride 2, that equals nearest neighbours and
    the convolution [out, in, 3, 3] after them."""
    taps = weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    return torch.einsum("ky,lx,bayx->abkl", taps, taps, weight)


class _Convolution(torch.autograd.Function):
    """A convolution of 3 x 3 with stride 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        frozen = getattr(_state, "frozen", False)
        return (
            _input_gradient(x, weight, gradient) if wants_x else None,
            kernel_gradient(x, gradient) if wants_weight and not frozen else None,
            gradient.sum((0, 2, 3)) if wants_bias and not frozen else None,
        )


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


def _input_gradient(x: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
    # torch.nn.grad.conv2d_input would not hear of the memory order.
    pairs = ([1, 1], [1, 1], [1, 1])
    found = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, *pairs, False, [0, 0], 1, [True, False, False]
    )
    return cast(Tensor, found[0])


def kernel_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Gradient [out, in, 3, 3] of the kernel of a convolution with stride 1 and padding 1.

    Args:
        x: input [N, in, Y, X], channels last, of three rows and columns or more.
        gradient: of the output [N, out, Y, X], channels last.
    """
    images, pixels = x.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
    rows, columns = x.shape[2:]
    found = x.new_zeros(3, gradient.shape[1], 3 * x.shape[1])
    step = len(images) if rows * columns <= WHOLE_BATCH else 1
    for start in range(0, len(images), step):
        for pair, sums in zip(
            _pairs(images[start : start + step], pixels[start : start + step]), found, strict=True
        ):
            _add_row(*pair, sums)
    for pair, sums in zip(_pairs(images, pixels), found, strict=True):
        _mend_edges(*pair, sums)
    return found.unflatten(2, (3, -1)).permute(1, 3, 0, 2)


def _pairs(images: Tensor, pixels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Rows of the input, and those of the gradient that each row of the kernel joins them with."""
    return [(images[:, :-1], pixels[:, 1:]), (images, pixels), (images[:, 1:], pixels[:, :-1])]


def _add_row(images: Tensor, pixels: Tensor, found: Tensor) -> None:
    """Add a row of the kernel's gradient to ``found`` [out, 3 in].

    Row after row, a map is one long list of pixels. Three pixels side by side are three times as many
    channels of every third place, so one product serves all three columns of the kernel.
    """
    count, rows, columns, inputs = images.shape
    outputs = pixels.shape[3]
    for first in range(3):
        places = (rows * columns - first) // 3
        left = pixels.as_strided(
            (count, outputs, places),
            (pixels.stride(0), 1, 3 * outputs),
            pixels.storage_offset() + (first + 1) * outputs,
        )
        right = images.as_strided(
            (count, places, 3 * inputs),
            (images.stride(0), 3 * inputs, 1),
            images.storage_offset() + first * inputs,
        )
        if count == 1:
            found.addmm_(left[0], right[0])
        else:
            found += torch.bmm(left, right).sum(0)


def _mend_edges(images: Tensor, pixels: Tensor, found: Tensor) -> None:
    """Take out what :func:`_add_row` joined across ends of rows, and add the first and the last pixel."""
    inputs = images.shape[3]
    left, middle, right = (slice(n * inputs, (n + 1) * inputs) for n in range(3))
    wrong = [
        (pixels[:, 1:, 0], images[:, :-1, -1], left, -1),
        (pixels[:, :-1, -1], images[:, 1:, 0], right, -1),
        (pixels[:, 0, 0], images[:, 0, 0], middle, 1),
        (pixels[:, 0, 0], images[:, 0, 1], right, 1),
        (pixels[:, -1, -1], images[:, -1, -1], middle, 1),
        (pixels[:, -1, -1], images[:, -1, -2], left, 1),
    ]
    for one, other, part, sign in wrong:
        found[:, part].addmm_(one.flatten(0, -2).t(), other.flatten(0, -2), alpha=sign)
