"""The five networks, with the key names of the authors' released checkpoints.

The fast-thinking part (FTN) segments and reconstructs: an image encoder, a decoder of images and one of
segmentations. The slow-thinking part (STN) corrects shapes: an encoder and a decoder of segmentations.
Source: Chen et al., MICCAI 2021, arXiv 2107.01079, and the released code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.cooperative.blocks import SLOPE, ConvBlock, DownBlock, UpBlock
from SegToolkitLib.methods.cooperative.convolution import channels_last, convolved
from SegToolkitLib.methods.cooperative.normalised import normalised
from SegToolkitLib.methods.cooperative.plan import NetworkPlan

Name = Literal["image_encoder", "image_decoder", "segmentation_decoder", "shape_encoder", "shape_decoder"]
# The authors' files are called so.
NAMES: tuple[Name, ...] = (
    "image_encoder",
    "image_decoder",
    "segmentation_decoder",
    "shape_encoder",
    "shape_decoder",
)
# Standard deviation of fresh norms' scales.
SCALE_STD = 0.02


class Codes(NamedTuple):
    """Codes of images [N, C, Y / 16, X / 16], both 0 or more.

    Attributes:
        image: images are decoded from it.
        shape: segmentations are decoded from it.
    """

    image: Tensor
    shape: Tensor


class Encoder(nn.Module):
    """From a map [N, inputs, Y, X] to a code [N, C, Y / 16, X / 16], 0 or more; Y and X are multiples of 16.

    Args:
        inputs: channels of the map.
        channels: of the five stages; the code has the last number.
        dropout: of whole channels, after each block but the first.
    """

    def __init__(self, inputs: int, channels: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.inc = ConvBlock(inputs, channels[0])
        self.down1 = DownBlock(channels[0], channels[1], dropout)
        self.down2 = DownBlock(channels[1], channels[2], dropout)
        self.down3 = DownBlock(channels[2], channels[3], dropout)
        self.down4 = DownBlock(channels[3], channels[4], dropout)
        self.final_conv = nn.Sequential(nn.Conv2d(channels[4], channels[4], 1), nn.BatchNorm2d(channels[4]))

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.inc(channels_last(x)), SLOPE, inplace=True)
        for block in (self.down1, self.down2, self.down3, self.down4):
            x = block(x)
        layer, norm = cast(nn.Conv2d, self.final_conv[0]), cast(nn.BatchNorm2d, self.final_conv[1])
        return F.relu(normalised(norm, convolved(layer, x, self.training)), inplace=True)


class Decoupler(ConvBlock):
    """From the image code to the shape code: a block, then ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x), inplace=True)


class ImageEncoder(nn.Module):
    """From an image to its two codes; the second is the first one, filtered.

    Args:
        plan: of the networks.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        width = plan.channels[-1]
        self.general_encoder = Encoder(plan.image_channels, plan.channels, plan.encoder_dropout)
        self.code_decoupler = Decoupler(width, width, plan.decoupler_bias)
        self.code = plan.code

    def forward(self, x: Tensor) -> Codes:
        code = self.general_encoder(x)
        if self.code == "unfiltered":
            return Codes(code, code)
        shape = self.code_decoupler(code)
        return Codes(shape if self.code == "shared" else code, shape)


class Decoder(nn.Module):
    """From a code to a map [N, out, Y, X], sixteen times as long and wide.

    Args:
        channels: of the encoder's five stages.
        out: channels of the map.
        learned: upsampling by transposed convolutions; otherwise by nearest neighbours.
        sigmoid: bounds the map by 0 and 1.
        dropout: of whole channels, after each block.
    """

    def __init__(
        self, channels: Sequence[int], out: int, learned: bool, sigmoid: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        first, second, third, _, code = channels
        self.up1 = UpBlock(code, third, learned, dropout)
        self.up2 = UpBlock(third, second, learned, dropout)
        self.up3 = UpBlock(second, first, learned, dropout)
        self.up4 = UpBlock(first, first, learned, dropout)
        self.final_conv = nn.Conv2d(first, out, 1)
        self.sigmoid = sigmoid

    def forward(self, x: Tensor) -> Tensor:
        x = channels_last(x)
        for block in (self.up1, self.up2, self.up3, self.up4):
            x = block(x)
        x = convolved(self.final_conv, x)
        return x.sigmoid() if self.sigmoid else x


class Networks(nn.ModuleDict):
    """All five, by the names of the authors' files.

    Args:
        plan: of the networks.
        classes: background included.
    """

    def __init__(self, plan: NetworkPlan, classes: int) -> None:
        widths = plan.channels
        sigmoid = plan.reconstruction == "sigmoid"
        super().__init__(
            {
                "image_encoder": ImageEncoder(plan),
                "image_decoder": Decoder(widths, plan.image_channels, True, sigmoid, plan.decoder_dropout),
                "segmentation_decoder": Decoder(widths, classes, False, dropout=plan.decoder_dropout),
                "shape_encoder": Encoder(classes, widths, plan.encoder_dropout),
                "shape_decoder": Decoder(widths, classes, False, dropout=plan.decoder_dropout),
            }
        )
        self.plan = plan
        self.classes = classes

    def encode(self, images: Tensor) -> Codes:
        """Codes of images [N, channels, Y, X] within 0 and 1."""
        return cast(Codes, self["image_encoder"](images))

    def reconstruct(self, code: Tensor) -> Tensor:
        """Images [N, channels, Y, X] of image codes."""
        return cast(Tensor, self["image_decoder"](code))

    def segment(self, code: Tensor) -> Tensor:
        """Logits [N, classes, Y, X] of shape codes."""
        return cast(Tensor, self["segmentation_decoder"](code))

    def correct(self, shape: Tensor) -> Tensor:
        """Logits [N, classes, Y, X] of a segmentation given as probabilities, or as 0 and 1."""
        return cast(Tensor, self["shape_decoder"](self["shape_encoder"](shape)))


def build_networks(plan: NetworkPlan, classes: int, seed: int | None = None) -> Networks:
    """Build the networks with fresh weights: Kaiming normal, fan-in.

    Args:
        plan: of the networks.
        classes: background included.
        seed: of the weights; the caller's random state is left alone then. None draws from that state.
    """
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        networks = Networks(plan, classes)
        for module in networks.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, SCALE_STD)
        for decoder in networks.children():
            if isinstance(decoder, Decoder) and decoder.final_conv.bias is not None:
                nn.init.zeros_(decoder.final_conv.bias)
    return networks
