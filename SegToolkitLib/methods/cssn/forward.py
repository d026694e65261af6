"""How inference runs the two networks: the numbers of their ``forward`` in less time and memory.

Much of a plain forward pass is no arithmetic: instance norm, the joined map of 48 channels at full
resolution, fresh memory for every result. Here maps lie channels last (which oneDNN's convolutions like
best), the norm and what follows it happen in place while a piece is in the processor's cache, and of the
joined map one slab exists at a time. ``make bench`` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.cssn.blocks import FourLayerBlock, ResidualBlock, Unit, resized
from SegToolkitLib.methods.cssn.network import CoarseNet, FineNet, decoder_name, encoder_name

EPSILON = 1e-5
# Numbers normalised at once: so many fit a processor's cache; a GPU prefers few large pieces.
CACHED_NUMBERS = 2**19
VOXELS_IN_ROW = 32
# Planes of an upsampled map made at once: the fewer, the less memory. On CPUs PyTorch leaves oneDNN where
# fewer than about ten planes of 16 channels are convolved, and is ten times slower then.
PLANES, PLANES_GPU = 16, 8


def for_inference(network: nn.Module, device: torch.device, kind: torch.dtype) -> nn.Module:
    """The network on a device, its weights laid out as :func:`forward` wants them."""
    for parameter in network.eval().to(device, kind).parameters():
        parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return network


@torch.inference_mode()
def forward(network: nn.Module, x: Tensor) -> Tensor:
    """Logits [1, classes, Z, Y, X] of one normalised volume [1, 1, Z, Y, X]; within rounding ``network(x)``.

    Args:
        network: a CoarseNet or FineNet from :func:`for_inference`.
        x: on its device, of its type.
    """
    if isinstance(network, CoarseNet):
        return _coarse(network, x)
    assert isinstance(network, FineNet)
    return _fine(network, x)


def _coarse(network: CoarseNet, x: Tensor) -> Tensor:
    kept = []
    for stage in range(network.depth):
        x = _four_layers(cast(FourLayerBlock, network.get_submodule(encoder_name(stage))), x)
        kept.append(x)
        x = F.max_pool3d(x, 3, stride=2, padding=1)
    x = _four_layers(cast(FourLayerBlock, network.get_submodule(encoder_name(network.depth))), x)
    for stage in reversed(range(network.depth)):
        block = cast(ResidualBlock, network.get_submodule(decoder_name(stage)))
        first, second = cast(Iterable[Unit], block.residual_unit)
        same = kept.pop()
        y, shortcut = _of_joined([first.conv, cast(Unit, block.shortcut_unit).conv], same, x)
        del same, x  # the two largest maps are not needed any more
        y = _convolved(second, _activated(y))
        x = _summed(y, shortcut, norm_added=True)
    return _final(network.final.weight, x)


def _fine(network: FineNet, x: Tensor) -> Tensor:
    kept = []
    for stage in range(network.depth + 1):
        for block in network.get_submodule(encoder_name(stage)).children():
            x = _residual(cast(ResidualBlock, block), x)
        kept.append(x)
    # The context block works on the smallest map: nothing to gain there.
    x = network.context_block(kept.pop())
    for stage in reversed(range(network.depth)):
        x = _activated(_convolved(cast(Unit, network.get_submodule(f"trans_{stage + 1}")), x))
        same = kept.pop()
        x = resized(x, same.shape[2:]).add_(same)
        del same
        for block in network.get_submodule(decoder_name(stage)).children():
            x = _residual(cast(ResidualBlock, block), x)
    return _final(network.final.weight, x)


def _of_joined(convolutions: Sequence[nn.Conv3d], same: Tensor, below: Tensor) -> list[Tensor]:
    """What convolutions of stride 1 make of the encoder's map joined with the upsampled one from below.

    A convolution of joined maps is the sum of one for each map, so they need not be joined; and the upsampled
    map is made and used slab by slab, once for all convolutions.

    Args:
        convolutions: with kernels of 1 or 3 voxels.
        same: [1, C, Z, Y, X].
        below: [1, D, z, y, x].
    """
    (channels, planes), weights = same.shape[1:3], [c.weight for c in convolutions]
    sums = [_product(weight[:, :channels], same) for weight in weights]
    step = PLANES if same.device.type == "cpu" else PLANES_GPU
    for low in range(0, planes, step):
        high = min(low + step, planes)
        # One plane more on each side for the kernels of three; beyond the map it is zero.
        slab = _upsampled(below, same.shape[2:], max(0, low - 1), min(planes, high + 1))
        missing = (0, 0, 0, 0, int(low == 0), int(high == planes))
        slab = F.pad(slab, missing) if any(missing) else slab
        for total, weight in zip(sums, weights, strict=True):
            own = weight[:, channels:]
            total[:, :, low:high] += (
                _product(own, slab, (0, 1, 1)) if own.shape[2] == 3 else _product(own, slab[:, :, 1:-1])
            )
    return sums


def _product(weight: Tensor, x: Tensor, padding: Sequence[int] | None = None, stride: int = 1) -> Tensor:
    """Convolution without bias [1, C, Z, Y, X], channels last; by default padded to keep the size."""
    if weight.shape[2:].numel() == 1:
        # As a product of matrices it takes a quarter of the convolution's time.
        voxels = _voxels(x)[::stride, ::stride, ::stride]
        return (voxels @ weight.flatten(1).T)[None].permute(0, 4, 1, 2, 3)
    around = tuple(n // 2 for n in weight.shape[2:]) if padding is None else tuple(padding)
    weight = weight.contiguous(memory_format=torch.channels_last_3d)
    return F.conv3d(x, weight, None, stride, around).contiguous(memory_format=torch.channels_last_3d)


def _upsampled(below: Tensor, size: Sequence[int], low: int, high: int) -> Tensor:
    """Planes low to high of a map resampled to the size (z, y, x), channels last."""
    source = _voxels(below)
    planes = source.shape[0]
    places = torch.arange(low, high, device=below.device) * ((planes - 1) / max(1, size[0] - 1))
    first = places.long().clamp(max=max(0, planes - 2))
    weights = (places - first).to(below.dtype)[:, None, None, None]
    following = (first + 1).clamp(max=planes - 1)
    between = source.index_select(0, first).lerp_(source.index_select(0, following), weights)
    # Plane by plane, as pictures with their channels last.
    pictures = between.permute(0, 3, 1, 2)
    above = F.interpolate(pictures, tuple(size[1:]), mode="bilinear", align_corners=True)
    return above.permute(1, 0, 2, 3)[None]


def _voxels(x: Tensor) -> Tensor:
    """A channels-last map [1, C, Z, Y, X] as a view [Z, Y, X, C]."""
    return x.permute(0, 2, 3, 4, 1)[0]


def _four_layers(block: FourLayerBlock, x: Tensor) -> Tensor:
    x = _summed(_path(block.residual_unit_1, x), _convolved(block.shortcut_unit_1, x), norm_added=True)
    return _summed(_path(block.residual_unit_2, x), x, norm_added=False)


def _residual(block: ResidualBlock, x: Tensor) -> Tensor:
    y = _path(block.residual_unit, x)
    if isinstance(block.shortcut_unit, Unit):
        return _summed(y, _convolved(block.shortcut_unit, x), norm_added=True)
    return _summed(y, x, norm_added=False)


def _path(units: nn.Sequential, x: Tensor) -> Tensor:
    """Both units of a residual path, but for the second one's norm."""
    first, second = cast(Iterable[Unit], units)
    return _convolved(second, _activated(_convolved(first, x)))


def _activated(y: Tensor) -> Tensor:
    """ReLU of the normalised map, in its place."""
    scale, shift = _norm(y)
    for part in _pieces(y):
        torch.addcmul(shift, part, scale, out=part).relu_()
    return y


def _summed(y: Tensor, added: Tensor, *, norm_added: bool) -> Tensor:
    """ReLU of the normalised y plus ``added``, which may have to be normalised, too; in place of y."""
    scale, shift = _norm(y)
    if norm_added:
        other_scale, other_shift = _norm(added)
        shift = shift + other_shift
    for part, other in zip(_pieces(y), _pieces(added), strict=True):
        torch.addcmul(shift, part, scale, out=part)
        (part.addcmul_(other, other_scale) if norm_added else part.add_(other)).relu_()
    return y


def _convolved(unit: Unit, x: Tensor) -> Tensor:
    """The unit's convolution alone."""
    return _product(unit.conv.weight, x, stride=unit.conv.stride[0])


def _final(weight: Tensor, x: Tensor) -> Tensor:
    """A convolution of one voxel; [1, classes, Z, Y, X], each class in one piece."""
    rows = _voxels(x).view(-1, x.shape[1])
    return (weight.flatten(1) @ rows.T).view(1, weight.shape[0], *x.shape[2:])


def _norm(x: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and summand that give each channel mean 0 and variance 1, repeated along a piece's row."""
    pieces = _pieces(x)
    # Apple's GPUs have no double precision.
    kind = torch.float32 if x.device.type == "mps" else torch.float64
    sums = torch.zeros((2, pieces[0].shape[1]), dtype=kind, device=x.device)
    for piece in pieces:
        numbers = piece.float()
        sums += torch.stack([numbers.sum(0), numbers.square().sum(0)])
    repeats = pieces[0].shape[1] // x.shape[1]
    mean, squares = sums.view(2, repeats, -1).sum(1) / x[0, 0].numel()
    scale = ((squares - mean.square()).clamp(min=0) + EPSILON).rsqrt()
    return scale.to(x.dtype).repeat(repeats), (-mean * scale).to(x.dtype).repeat(repeats)


def _pieces(x: Tensor) -> list[Tensor]:
    """Views [rows, n * C] of a channels-last map, n voxels a row.

    Sums over rows of 16 channels take four times as long as over rows of 512 numbers.
    """
    voxels, channels = x[0, 0].numel(), x.shape[1]
    row = math.gcd(voxels, VOXELS_IN_ROW)
    rows = _voxels(x).view(-1, row * channels)  # a view, never a copy: what is done to it must happen to x
    size = CACHED_NUMBERS if x.device.type == "cpu" else 32 * CACHED_NUMBERS
    return list(rows.split(max(1, size // (row * channels))))
