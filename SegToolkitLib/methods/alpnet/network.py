"""The encoders of ALPNet: dilated residual networks with output stride 8.

Key names are those of the authors' released checkpoints (``encoder.backbone.layer3.5.conv2.weight``).
Source: Ouyang et al., ECCV 2020; He et al., CVPR 2016; Chen et al., DeepLabV3, arXiv:1706.05587.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OUTPUT_STRIDE = 8

# Layers of the DeepLab head that the authors' checkpoints carry but their forward pass never calls.
PASSENGER_PREFIXES = ("encoder.asppconv.", "encoder.aspp_out.")


class Bottleneck(nn.Module):
    """1x1 -> 3x3 (stride, dilation) -> 1x1 with four times the width, plus the identity."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, dilation: int, project: bool) -> None:
        super().__init__()
        out = width * self.expansion
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = _projection(channels, out, stride) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, channels, h, w] to [B, 4 * width, h / stride, w / stride]."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        identity = x if self.downsample is None else self.downsample(x)
        return F.relu(y + identity, inplace=True)


class BasicBlock(nn.Module):
    """3x3 (stride, dilation) -> 3x3 (dilation), plus the identity."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, dilation: int, project: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(channels, width, stride) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, channels, h, w] to [B, width, h / stride, w / stride]."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        identity = x if self.downsample is None else self.downsample(x)
        return F.relu(y + identity, inplace=True)


def _projection(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class DilatedResNet(nn.Module):
    """A ResNet whose layers 3 and 4 are dilated by 2 and 4 instead of strided.

    The first block of a dilated layer keeps the dilation of the layer before it (1 and 2), as in
    torchvision's ``replace_stride_with_dilation=[False, True, True]``.

    Args:
        block: ``Bottleneck`` or ``BasicBlock``.
        depths: number of blocks in each of the four layers.
        widths: width of the blocks in each of the four layers; the stem has ``widths[0]`` channels.
    """

    def __init__(
        self, block: type[Bottleneck] | type[BasicBlock], depths: Sequence[int], widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = widths[0]
        layers: list[nn.Sequential] = []
        strides, dilations = (1, 2, 1, 1), (1, 1, 2, 4)
        for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks = []
            for position in range(depth):
                first = position == 0
                dilation = dilations[max(index - 1, 0)] if first else dilations[index]
                stride = strides[index] if first else 1
                project = first and (stride != 1 or channels != width * block.expansion)
                blocks.append(block(channels, width, stride, dilation, project))
                channels = width * block.expansion
            layers.append(nn.Sequential(*blocks))
        # Named one by one, because the names are checkpoint keys.
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, 3, H, W] to [B, out_channels, ceil(H / 8), ceil(W / 8)]."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.maxpool(x)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return x


class Encoder(nn.Module):
    """Backbone and the 1x1 projection to the feature space of the prototypes."""

    def __init__(self, backbone: DilatedResNet, channels: int = 256) -> None:
        super().__init__()
        self.backbone = backbone
        self.localconv = nn.Conv2d(backbone.out_channels, channels, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map slices [B, 3, H, W] to features [B, channels, ceil(H / 8), ceil(W / 8)]."""
        return self.localconv(self.backbone(images))


class ALPNet(nn.Module):
    """The trainable part of the method: the encoder. The prototypes have no parameters.

    Args:
        encoder: see :func:`build_network`.

    Attributes:
        passengers: tensors of an authors' checkpoint that the forward pass never uses. They are not
            parameters (so neither trained nor decayed) and are written back by
            :meth:`authors_state_dict`.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.passengers: dict[str, Tensor] = {}

    def forward(self, slices: Tensor) -> Tensor:
        """Encode grey slices.

        Args:
            slices: [B, H, W], z-scored intensities; repeated to three channels here.

        Returns:
            Features [B, C, ceil(H / 8), ceil(W / 8)].
        """
        return self.encoder(slices[:, None].expand(-1, 3, -1, -1))

    def authors_state_dict(self) -> dict[str, Tensor]:
        """Return the state with the authors' keys, passengers included."""
        return {**self.state_dict(), **self.passengers}

    def load_authors_state_dict(self, state: dict[str, Tensor]) -> tuple[list[str], list[str]]:
        """Load a state with the authors' keys and keep its passengers.

        Returns:
            Missing and unexpected keys, both sorted; nothing is loaded unless both are empty.

        Raises:
            RuntimeError: a tensor has another shape than the network's.
        """
        own = {k: v for k, v in state.items() if not k.startswith(PASSENGER_PREFIXES)}
        wanted = self.state_dict().keys()
        missing, unexpected = sorted(wanted - own.keys()), sorted(own.keys() - wanted)
        if not missing and not unexpected:
            self.load_state_dict(own)
            self.passengers = {k: v.clone() for k, v in state.items() if k.startswith(PASSENGER_PREFIXES)}
        return missing, unexpected


def build_network(
    encoder: str = "resnet101",
    *,
    channels: int = 256,
    compact_widths: Sequence[int] = (32, 64, 128, 256),
    generator_seed: int | None = None,
) -> ALPNet:
    """Build a network with fresh weights.

    Args:
        encoder: "resnet101" (the authors') or "compact" (a dilated ResNet-18 for CPUs).
        channels: channels of the features that prototypes are made of.
        compact_widths: widths of the compact encoder's four layers.
        generator_seed: seeds the initial weights without touching the caller's random state.
    """
    with torch.random.fork_rng(devices=[], enabled=generator_seed is not None):
        if generator_seed is not None:
            torch.manual_seed(generator_seed)
        if encoder == "resnet101":
            backbone = DilatedResNet(Bottleneck, (3, 4, 23, 3), (64, 128, 256, 512))
        elif encoder == "compact":
            backbone = DilatedResNet(BasicBlock, (2, 2, 2, 2), compact_widths)
        else:
            raise ValueError(f"unknown encoder {encoder!r}")
        for module in backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        return ALPNet(Encoder(backbone, channels))
