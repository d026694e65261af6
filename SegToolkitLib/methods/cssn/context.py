"""The context block at the deepest stage of EfficientSegNet: pyramid and strip pooling, by averages.

Source: Zhang et al., arXiv 2109.10601, section 2.3; Hou et al., strip pooling, CVPR 2020.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.cssn.blocks import ONE, THREE, Kernel, Unit, resized


class ContextBlock(nn.Module):
    """Adds what is far away to each voxel of a map.

    Args:
        channels: of the input and of the output; a multiple of 4.
        strip: size (z, y, x) of the map. It is no parameter of the weights: the same ones serve other sizes.
        dropout: channel dropout.
    """

    def __init__(self, channels: int, strip: Kernel, dropout: float) -> None:
        super().__init__()
        width = channels // 4

        def active(inputs: int, out: int, kernel: Kernel) -> Unit:
            return Unit(inputs, out, kernel, active=True, dropout=dropout)

        z, y, x = strip
        self.strips: tuple[Kernel, ...] = ((1, y, x), (z, 1, x), (z, y, 1))
        self.trans_layer = active(channels, width, ONE)
        self.conv1_1 = active(width, width, ONE)
        self.conv1_2 = active(width, width, ONE)
        self.conv2_0 = Unit(width, width, THREE)
        self.conv2_1 = Unit(width, width, THREE)
        self.conv2_2 = Unit(width, width, THREE)
        self.conv2_3 = Unit(width, width, (3, 1, 1))
        self.conv2_4 = Unit(width, width, (1, 3, 1))
        self.conv2_5 = Unit(width, width, (1, 1, 3))
        self.conv2_6 = active(width, width, THREE)
        self.conv2_7 = active(width, width, THREE)
        self.conv3 = Unit(2 * width, width, ONE)
        self.score_layer = nn.Sequential(
            active(width, width, THREE), nn.Conv3d(width, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, z, y, x] to the same shape."""
        x0 = self.trans_layer(x)
        both = torch.cat([self._pyramid(self.conv1_1(x0)), self._strips(self.conv1_2(x0))], dim=1)
        return self.score_layer(F.relu(x0 + self.conv3(both)))

    def _pyramid(self, x: Tensor) -> Tensor:
        halves = resized(self.conv2_1(_pooled(x, 2)), x.shape[2:])
        quarters = resized(self.conv2_2(_pooled(x, 4)), x.shape[2:])
        return self.conv2_6(F.relu(self.conv2_0(x) + halves + quarters))

    def _strips(self, x: Tensor) -> Tensor:
        convolutions = (self.conv2_3, self.conv2_4, self.conv2_5)
        lines = [
            resized(convolution(_pooled(x, kernel)), x.shape[2:])
            for convolution, kernel in zip(convolutions, self.strips, strict=True)
        ]
        return self.conv2_7(F.relu(lines[0] + lines[1] + lines[2]))


def _pooled(x: Tensor, kernel: int | Kernel) -> Tensor:
    """Averages; in float32, as PyTorch has no others on CPUs."""
    return F.avg_pool3d(x.float(), kernel).to(x.dtype)
