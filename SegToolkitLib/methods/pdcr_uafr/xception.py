"""The aligned Xception of DeepLabV3+; key names are those of the authors' checkpoints.

Where the authors' in-place ReLUs rectify a tensor that something else reads later (a skip, a list of
features), the same values are taken here on purpose, and no tensor is changed after it was made.
Source: released code of PDCR and UAFR; Chen et al., DeepLabV3+, ECCV 2018; Chollet, Xception, CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Collection

import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.pdcr_uafr.layers import HEAD_KERNELS
from SegToolkitLib.methods.pdcr_uafr.plan import NetworkPlan, Position
from SegToolkitLib.methods.pdcr_uafr.uafr import UAFR

# Where the heads of the first five positions are called.
HEADS: dict[Position, str] = {
    "conv1": "conv_uncertainty1",
    "conv2": "conv_uncertainty2",
    "conv3": "conv_uncertainty5",
    "conv4": "conv_uncertainty6",
    "conv5": "conv_uncertainty",
}
# Blocks whose outputs are layers 6 to 9.
LATE_BLOCKS = {4: 6, 5: 7, 6: 8, 7: 9}


class SepConv(nn.Module):
    """Depthwise 3 x 3, norm, 1 x 1 convolution; sizes are divided by the stride and rounded up."""

    def __init__(self, channels: int, out: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            channels, channels, 3, stride, padding=dilation, dilation=dilation, groups=channels, bias=False
        )
        self.bn = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pointwise(self.bn(self.conv1(x)))
        return x


class Block(nn.Module):
    """Separable convolutions with a skip around them.

    Args:
        channels, out: of input and output.
        count: of separable convolutions, the strided or last one left out.
        stride: of the block.
        dilation: of the counted convolutions.
        start_relu: the input is rectified first, for the skip as well.
        grow_first: the first convolution changes the channels; otherwise the last counted one.
        is_last: one more convolution where the stride is 1.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        count: int,
        stride: int = 1,
        dilation: int = 1,
        start_relu: bool = True,
        grow_first: bool = True,
        is_last: bool = False,
    ) -> None:
        super().__init__()
        if out != channels or stride != 1:
            self.skip: nn.Conv2d | None = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.skipbn: nn.BatchNorm2d | None = nn.BatchNorm2d(out)
        else:
            self.skip = self.skipbn = None
        width = out if grow_first else channels
        steps = [(channels, width), *[(width, width)] * (count - 2), (width, out)]
        parts: list[nn.Module] = []
        for before, after in steps:
            parts += [nn.ReLU(), SepConv(before, after, 1, dilation), nn.BatchNorm2d(after)]
        if stride != 1 or is_last:
            parts += [nn.ReLU(), SepConv(out, out, stride), nn.BatchNorm2d(out)]
        # The first ReLU is done before, but keeps its number.
        self.start_relu = start_relu
        self.rep = nn.Sequential(*([nn.Identity()] if start_relu else []), *parts[1:])

    def forward(self, x: Tensor) -> Tensor:
        if self.start_relu:
            x = F.relu(x)
        skip = x
        if self.skip is not None and self.skipbn is not None:
            skip = self.skipbn(self.skip(x))
        return self.rep(x) + skip


class Xception(nn.Module):
    """Images [B, channels, Y, X] to features of stride 16 (or 8), and those of layer 3 for the decoder.

    Args:
        plan: of the network.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        w, deep = plan.widths, plan.output_stride == 8
        dilation = 2 if deep else 1
        self.blocks = w.middle_blocks + 4  # with the first three and the last
        self.conv1 = nn.Conv2d(plan.channels, w.conv1, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(w.conv1)
        self.conv2 = nn.Conv2d(w.conv1, w.conv2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(w.conv2)
        self.block1 = Block(w.conv2, w.block1, 2, 2, start_relu=False)
        self.block2 = Block(w.block1, w.block2, 2, 2, start_relu=False)
        self.block3 = Block(w.block2, w.middle, 2, 1 if deep else 2, is_last=True)
        for number in range(4, self.blocks):
            self.add_module(f"block{number}", Block(w.middle, w.middle, 3, dilation=dilation))
        last = Block(w.middle, w.last_block, 2, dilation=dilation, grow_first=False, is_last=True)
        self.add_module(f"block{self.blocks}", last)
        self.conv3 = SepConv(w.last_block, w.conv3, dilation=2 * dilation)
        self.bn3 = nn.BatchNorm2d(w.conv3)
        self.conv4 = SepConv(w.conv3, w.conv4, dilation=2 * dilation)
        self.bn4 = nn.BatchNorm2d(w.conv4)
        self.conv5 = SepConv(w.conv4, w.conv5, dilation=2 * dilation)
        self.bn5 = nn.BatchNorm2d(w.conv5)
        self.conv_uncertainty1 = head(plan, "conv1", w.conv1)
        self.conv_uncertainty2 = head(plan, "conv2", w.conv2)
        self.conv_uncertainty5 = head(plan, "conv3", w.conv3)
        self.conv_uncertainty6 = head(plan, "conv4", w.conv4)
        self.conv_uncertainty = head(plan, "conv5", w.conv5)
        inputs = (w.conv1, w.conv2, w.block1, w.block2, w.middle)
        for layer in plan.cross_heads:
            self.add_module(head_name(layer), _cross_head(layer, inputs[layer - 1], w.cross))

    def forward(self, x: Tensor, wanted: Collection[str] = ()) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Run the backbone.

        Args:
            x: images.
            wanted: features: "encoder.1" to "encoder.9", and "cross.1" to "cross.5" where there is a head.

        Returns:
            Deep features; those of layer 3; the wanted ones that are this part's.
        """
        kept: dict[str, Tensor] = {}

        def keep(layer: int, feature: Tensor) -> None:
            if f"encoder.{layer}" in wanted:
                kept[f"encoder.{layer}"] = feature

        def cross(layer: int, feature: Tensor) -> None:
            if f"cross.{layer}" in wanted:
                kept[f"cross.{layer}"] = self.get_submodule(head_name(layer))(feature)

        # Cross-layer heads come first: without gradients, UAFR's heads weigh features where they lie.
        x = F.relu(self.bn1(self.conv1(x)))
        cross(1, x)
        x = self.conv_uncertainty1(x)
        keep(1, x)
        x = F.relu(self.bn2(self.conv2(x)))
        cross(2, x)
        x = self.conv_uncertainty2(x)
        keep(2, x)
        low = x = F.relu(self.block1(x))
        cross(3, x)
        keep(3, x)
        x = self.block2(x)
        cross(4, x)
        keep(4, F.relu(x))
        x = self.block3(x)
        cross(5, x)
        keep(5, F.relu(x))
        for number in range(4, self.blocks + 1):
            x = self.get_submodule(f"block{number}")(x)
            if number in LATE_BLOCKS and f"encoder.{LATE_BLOCKS[number]}" in wanted:
                keep(LATE_BLOCKS[number], F.relu(x))
        x = F.relu(x)
        x = self.conv_uncertainty5(F.relu(self.bn3(self.conv3(x))))
        x = self.conv_uncertainty6(F.relu(self.bn4(self.conv4(x))))
        x = self.conv_uncertainty(F.relu(self.bn5(self.conv5(x))))
        return x, low, kept


def head(plan: NetworkPlan, position: Position, channels: int, dropout: float = 0.0) -> nn.Module:
    """The head at a position; passes features on where the plan has none there."""
    uafr = plan.uafr
    if position not in uafr.positions:
        return nn.Identity()
    return UAFR(channels, uafr.hidden, uafr.kernel, uafr.norm, dropout=dropout, inplace=True)


def head_name(layer: int) -> str:
    """Of the cross-layer head of a layer."""
    return f"conv{layer}_multilayerloss"


def _cross_head(layer: int, channels: int, out: int) -> nn.Sequential:
    kernel = HEAD_KERNELS[layer]
    convolution = nn.Conv2d(channels, out, kernel, stride=kernel, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU())
