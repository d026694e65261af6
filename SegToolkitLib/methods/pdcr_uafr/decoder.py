"""The decoder of DeepLabV3+; key names are those of the authors' checkpoints.

Source: released code of PDCR and UAFR; Chen et al., DeepLabV3+, ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.pdcr_uafr.plan import NetworkPlan
from SegToolkitLib.methods.pdcr_uafr.xception import head


class Decoder(nn.Module):
    """The pyramid's features and those of layer 3, [B, C, Y / 4, X / 4], to logits at that resolution.

    Args:
        plan: of the network.
        classes: background included.
    """

    def __init__(self, plan: NetworkPlan, classes: int) -> None:
        super().__init__()
        w = plan.widths
        joined = w.aspp + w.low_level
        self.conv1 = nn.Conv2d(w.block1, w.low_level, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(w.low_level)
        self.conv_uncertainty_low_level_feat = head(plan, "low_level", w.low_level, plan.uafr_dropout)
        self.conv_uncertainty = head(plan, "decoder", joined, plan.uafr_dropout)
        self.last_conv1 = _convolution(joined, w.aspp, plan.dropout)
        self.last_conv2 = _convolution(w.aspp, w.aspp, plan.last_dropout)
        self.last_conv3 = nn.Conv2d(w.aspp, classes, 1)

    def forward(
        self, x: Tensor, low: Tensor, wanted: Collection[str] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and those of "decoder.low" and "decoder.mid" that are wanted."""
        low = self.conv_uncertainty_low_level_feat(F.relu(self.bn1(self.conv1(low))))
        x = F.interpolate(x, size=low.shape[2:], mode="bilinear", align_corners=True)
        middle = self.last_conv1(self.conv_uncertainty(torch.cat([x, low], dim=1)))
        logits = self.last_conv3(self.last_conv2(middle))
        kept = {"decoder.low": low, "decoder.mid": middle}
        return logits, {name: feature for name, feature in kept.items() if name in wanted}


def _convolution(channels: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        nn.Dropout(dropout),
    )
