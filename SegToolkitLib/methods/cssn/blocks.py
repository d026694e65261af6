"""Building units of both networks; key names are those of the authors' checkpoints.

Instance norm has neither parameters nor running statistics, and no convolution has a bias: a checkpoint
holds convolution weights alone. Tensors are [N, C, Z, Y, X].
Source: Zhang et al., Efficient Context-Aware Network, arXiv 2109.10601; released code of SemiSeg-CSSN.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kernel = tuple[int, int, int]
EPSILON = 1e-5

# Cubes, and the two halves of an anisotropic 3 x 3 x 3: in the z-y plane, then along x.
ONE: Kernel = (1, 1, 1)
THREE: Kernel = (3, 3, 3)
PLANE: Kernel = (3, 3, 1)
LINE: Kernel = (1, 1, 3)


class Unit(nn.Module):
    """Convolution without bias, instance norm and, where asked for, channel dropout and ReLU.

    Args:
        channels: of the input.
        out: of the output.
        kernel: odd sizes (z, y, x); the padding keeps the map's size.
        stride: of the convolution, on each axis.
        active: dropout and ReLU follow, in this order.
        dropout: probability that a whole channel is set to zero in training.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: Kernel,
        stride: int = 1,
        active: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.conv = nn.Conv3d(channels, out, kernel, stride, padding, bias=False)
        self.active = active
        self.dropout = nn.Dropout3d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = instance_norm(self.conv(x))
        return F.relu(self.dropout(x), inplace=True) if self.active else x


class ResidualBlock(nn.Module):
    """Two units whose second has no activation, plus a shortcut, then ReLU.

    Args:
        channels, out, stride: of the block.
        kernels: of the two units.
        dropout: after the first one.
        project: the shortcut is a 1 x 1 x 1 unit; otherwise the input itself.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        dropout: float,
        kernels: tuple[Kernel, Kernel] = (THREE, THREE),
        stride: int = 1,
        project: bool = True,
    ) -> None:
        super().__init__()
        self.residual_unit = units(channels, out, dropout, kernels, stride)
        self.shortcut_unit = Unit(channels, out, ONE, stride) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual_unit(x) + self.shortcut_unit(x), inplace=True)


class FourLayerBlock(nn.Module):
    """The coarse encoder's block: two residual halves, the second with the identity as shortcut."""

    def __init__(self, channels: int, out: int, dropout: float) -> None:
        super().__init__()
        self.residual_unit_1 = units(channels, out, dropout)
        self.shortcut_unit_1 = Unit(channels, out, ONE)
        self.residual_unit_2 = units(out, out, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.residual_unit_1(x) + self.shortcut_unit_1(x), inplace=True)
        return F.relu(self.residual_unit_2(x) + x, inplace=True)


def instance_norm(x: Tensor) -> Tensor:
    """Zero mean and unit variance of every channel of every sample.

    One group a channel is the same as PyTorch's instance norm and a quarter faster on CPUs. The native call
    keeps half precision under autocast, which ``F.group_norm`` does not.
    """
    batch, channels = x.shape[:2]
    voxels = x.shape[2:].numel()
    # On CPUs, PyTorch 2.13's kernel for channels-last maps loses all digits where the mean is large.
    x = x.contiguous()
    normed: Tensor = torch.native_group_norm(x, None, None, batch, channels, voxels, channels, EPSILON)[0]
    return normed


def units(
    channels: int, out: int, dropout: float, kernels: tuple[Kernel, Kernel] = (THREE, THREE), stride: int = 1
) -> nn.Sequential:
    """The residual path: an active unit, strided where asked for, and one without activation."""
    return nn.Sequential(
        Unit(channels, out, kernels[0], stride, active=True, dropout=dropout), Unit(out, out, kernels[1])
    )


def resized(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Trilinear, with aligned corners."""
    return F.interpolate(x, size=tuple(size), mode="trilinear", align_corners=True)
