"""Building units of the encoders and decoders; key names are those of the authors' checkpoints.

Tensors are [N, C, Y, X]. There are no skip connections but the one around each block.
Source: released code of cooperative training (FCN_16_standard).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.cooperative.convolution import convolved, upsampled
from SegToolkitLib.methods.cooperative.normalised import normalised

SLOPE = 0.2


class ConvBlock(nn.Sequential):
    """Convolution 3 x 3, norm, leaky ReLU, convolution 3 x 3, norm.

    Args:
        channels, out: of input and output.
        bias: of the convolutions.
    """

    def __init__(self, channels: int, out: int, bias: bool = True) -> None:
        super().__init__(
            nn.Conv2d(channels, out, 3, padding=1, bias=bias),
            nn.BatchNorm2d(out),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(out, out, 3, padding=1, bias=bias),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.after_first(convolved(self.first, x, self.training))

    def after_first(self, x: Tensor) -> Tensor:
        """Everything that follows the first convolution."""
        norm, second, last = self[1], self[3], self[4]
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(second, nn.Conv2d)
        assert isinstance(last, nn.BatchNorm2d)
        x = F.leaky_relu(normalised(norm, x), SLOPE, inplace=True)
        return normalised(last, convolved(second, x, self.training))

    @property
    def first(self) -> nn.Conv2d:
        """The first convolution."""
        layer = self[0]
        assert isinstance(layer, nn.Conv2d)
        return layer


class DownBlock(nn.Module):
    """Halve rows and columns, then a block with a convolution 1 x 1 around it, then leaky ReLU."""

    def __init__(self, channels: int, out: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.conv = ConvBlock(channels, out)
        self.conv_input = nn.Conv2d(channels, out, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = convolved(self.down, x)
        x = self.conv(x).add_(convolved(self.conv_input, x))
        return self.dropout(F.leaky_relu(x, SLOPE, inplace=True))


class UpBlock(nn.Module):
    """Double rows and columns, then as :class:`DownBlock`.

    Args:
        channels, out: of input and output.
        learned: double with a transposed convolution; otherwise with nearest neighbours.
        dropout: of whole channels.
    """

    def __init__(self, channels: int, out: int, learned: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.up = (
            nn.ConvTranspose2d(channels, channels, 2, stride=2)
            if learned
            else nn.Upsample(scale_factor=2, mode="nearest")
        )
        self.conv = ConvBlock(channels, out)
        self.conv_input = nn.Conv2d(channels, out, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        first = upsampled(self.up, self.conv.first, x, self.conv.training)
        x = self.conv.after_first(first).add_(upsampled(self.up, self.conv_input, x))
        return self.dropout(F.leaky_relu(x, SLOPE, inplace=True))
