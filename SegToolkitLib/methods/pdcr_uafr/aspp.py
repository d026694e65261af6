"""The pyramid of dilated convolutions; key names are those of the authors' checkpoints.

Source: released code of PDCR and UAFR; Chen et al., DeepLabV3+, ECCV 2018.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.pdcr_uafr.plan import NetworkPlan, Position
from SegToolkitLib.methods.pdcr_uafr.xception import head

RATES = {16: (1, 6, 12, 18), 8: (1, 12, 24, 36)}
BRANCHES: tuple[Position, ...] = ("aspp1", "aspp2", "aspp3", "aspp4")


class Branch(nn.Module):
    """A dilated convolution, norm and ReLU."""

    def __init__(self, channels: int, out: int, rate: int) -> None:
        super().__init__()
        kernel, padding = (1, 0) if rate == 1 else (3, rate)
        self.atrous_conv = nn.Conv2d(channels, out, kernel, padding=padding, dilation=rate, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.atrous_conv(x)))


class Pyramid(nn.Module):
    """Features [B, C, Y, X] to [B, 256, Y, X].

    Training needs batches of two or more: the branch that sees the whole map norms one value an image.

    Args:
        plan: of the network.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        channels, out = plan.widths.conv5, plan.widths.aspp
        for number, (position, rate) in enumerate(zip(BRANCHES, RATES[plan.output_stride], strict=True), 1):
            self.add_module(position, Branch(channels, out, rate))
            self.add_module(f"conv_uncertainty{number}", head(plan, position, out, plan.uafr_dropout))
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
        )
        self.conv_uncertainty = head(plan, "aspp", 5 * out, plan.uafr_dropout)
        self.conv1 = nn.Conv2d(5 * out, out, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.dropout = nn.Dropout(plan.dropout)

    def forward(self, x: Tensor) -> Tensor:
        found = [
            self.get_submodule(f"conv_uncertainty{number}")(self.get_submodule(position)(x))
            for number, position in enumerate(BRANCHES, 1)
        ]
        # One value, so the interpolation that the release makes of it only repeats it.
        found.append(self.global_avg_pool(x).expand(-1, -1, *x.shape[2:]))
        x = self.conv_uncertainty(torch.cat(found, dim=1))
        return self.dropout(F.relu(self.bn1(self.conv1(x))))
