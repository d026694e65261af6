"""The network of a modality, with the key names of the authors' checkpoints, and all of a model together.

A small U-Net, whose last features a convolution 1 x 1 without bias turns into one map a class; the mean of a
map is the logit of its class. Tensors are [N, C, Y, X].
Source: released code of WSS-CMER. Pooling "top" is ours, after the means of the highest scores of
multiple-instance learning (Durand et al., WELDON, CVPR 2016).
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.cmer.normalise import foreground, full, standardised
from SegToolkitLib.methods.cmer.plan import MULTIPLE, InputPlan, NetworkPlan


class Activation(NamedTuple):
    """What a network makes of slices.

    Attributes:
        logits: of the classes, [N, classes]; the means of ``cam``, or what :meth:`of_top` says.
        cam: raw maps of the classes, [N, classes, Y, X].
        features: that the maps are sums of, [N, width, Y, X].
    """

    logits: Tensor
    cam: Tensor
    features: Tensor

    @classmethod
    def of(cls, cam: Tensor, features: Tensor) -> Activation:
        """With the logits that follow from the maps, in float32 at least."""
        cam = full(cam)
        return cls(cam.mean((2, 3)), cam, features)

    @classmethod
    def of_top(cls, cam: Tensor, features: Tensor, shown: Tensor, part: float) -> Activation:
        """With the mean of the highest pixels of the foreground for the object's logit.

        The maps are then 0 of class 0, and class 1's less class 0's of class 1; 0 outside the foreground.

        Args:
            cam: [N, 2, Y, X].
            features: that they are sums of.
            shown: foreground, bool [N, 1, Y, X].
            part: of the foreground's pixels that counts, at least one of them.
        """
        cam = full(cam)
        evidence = (cam[:, 1:] - cam[:, :1]) * shown
        wanted = (part * shown.sum((1, 2, 3))).ceil().long().clamp(min=1)
        highest = evidence.masked_fill(~shown, -math.inf).flatten(1).topk(int(wanted.max())).values
        rank = torch.arange(highest.shape[1], device=cam.device)
        # A slice without foreground has no evidence at all.
        taken = (rank < wanted[:, None]) & highest.isfinite()
        logit = highest.masked_fill(~taken, 0).sum(1) / wanted
        return cls(
            torch.stack([torch.zeros_like(logit), logit], 1),
            torch.cat([torch.zeros_like(evidence), evidence], 1),
            features,
        )


class DoubleConv(nn.Module):
    """Twice: convolution 3 x 3, norm, ReLU."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(x))


class InConv(nn.Module):
    """The first stage; its own level in the key names."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = DoubleConv(channels, out)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(x))


class Down(nn.Module):
    """Halve rows and columns, then a double convolution."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.mpconv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(channels, out))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.mpconv(x))


class Up(nn.Module):
    """Double rows and columns (nearest), join with the features of that size, then a double convolution."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = DoubleConv(channels, out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return cast(Tensor, self.conv(torch.cat([cropped(skip, x.shape[-2], x.shape[-1]), x], 1)))


class CamNetwork(nn.Module):
    """The network of one modality.

    Args:
        plan: widths, classes and dropout.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        width = plan.width
        self.inc = InConv(plan.image_channels, width)
        self.down1 = Down(width, 2 * width)
        self.down2 = Down(2 * width, 4 * width)
        self.down3 = Down(4 * width, 4 * width)
        self.up1 = Up(8 * width, 2 * width)
        self.up2 = Up(4 * width, width)
        self.up3 = Up(2 * width, width)
        self.backbone = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.dropout = nn.Dropout2d(0.5 if plan.dropout else 0.0)
        self.pooling, self.pooled = plan.pooling, plan.pooled
        self.classifier = nn.Conv2d(width, plan.classes, 1, bias=plan.bias)

    def forward(self, x: Tensor) -> Activation:
        """Of standardised slices [N, channels, Y, X], both sizes 8 or more.

        Maps have the size of the slices where that is a multiple of 8, else they are smaller. Logits are
        means of maps, whatever the plan's pooling: :func:`look` does that.
        """
        first = self.inc(x)
        second = self.down1(first)
        third = self.down2(second)
        x = self.up1(self.down3(third), third)
        x = self.up2(x, second)
        x = self.up3(x, first)
        features = self.dropout(self.backbone(x))
        # In half precision a map has few levels, and many pixels would share its extremes.
        with torch.autocast(features.device.type, enabled=False):
            bias = self.classifier.bias
            cam = F.conv2d(full(features), full(self.classifier.weight), None if bias is None else full(bias))
        return Activation.of(cam, features)


class Networks(nn.ModuleList):
    """One network a modality, in the order of the modalities.

    Args:
        plan: of each.
        modalities: how many.
    """

    def __init__(self, plan: NetworkPlan, modalities: int) -> None:
        super().__init__(CamNetwork(plan) for _ in range(modalities))
        self.plan = plan

    def see(self, index: int, slices: Tensor, fit: InputPlan) -> Activation:
        """:func:`look` of one modality's network."""
        return look(cast(CamNetwork, self[index]), slices, fit)


def look(network: CamNetwork, slices: Tensor, plan: InputPlan) -> Activation:
    """What the network makes of slices as they are: standardised, seen, and pooled as its plan says.

    Args:
        network: of the modality.
        slices: raw, [N, channels, Y, X] in any unit.
        plan: how they come to the network.
    """
    found = activation(network, standardised(slices, plan.standardise), plan)
    if network.pooling == "mean":
        return found
    shown = foreground(slices).any(1, keepdim=True)
    if shown.shape[-2:] != found.cam.shape[-2:]:
        shown = F.interpolate(shown.to(found.cam), found.cam.shape[-2:], mode="nearest") > 0
    return Activation.of_top(found.cam, found.features, shown, network.pooled)


def activation(network: CamNetwork, slices: Tensor, plan: InputPlan) -> Activation:
    """What the network itself makes of slices of any size.

    With ``fit`` "pad", maps are as large as the slices, and logits are the means over them: what was padded
    has no say. With "crop" they are the network's own.

    Args:
        network: of the modality.
        slices: standardised, [N, channels, Y, X].
        plan: how sizes that are no multiples of 8 are met.
    """
    rows, columns = slices.shape[-2:]
    down, right = -rows % MULTIPLE, -columns % MULTIPLE
    if plan.fit == "crop" or not (down or right):
        return cast(Activation, network(slices))
    # On both sides, so that mirrored slices are padded alike but for a line.
    top, left = down // 2, right // 2
    found = network(F.pad(slices, (left, right - left, top, down - top)))
    box = (..., slice(top, top + rows), slice(left, left + columns))
    return Activation.of(found.cam[box], found.features[box])


def cropped(x: Tensor, rows: int, columns: int) -> Tensor:
    """Cut the larger half of what is too much off the start of each axis, and the smaller off its end."""
    top, left = (x.shape[-2] - rows + 1) // 2, (x.shape[-1] - columns + 1) // 2
    return x[..., top : top + rows, left : left + columns]


def bare_networks(plan: NetworkPlan, modalities: int) -> Networks:
    """The networks as shapes alone, which takes neither memory nor time."""
    with torch.device("meta"):
        return Networks(plan, modalities)


def build_networks(plan: NetworkPlan, modalities: int, generator: torch.Generator) -> Networks:
    """Networks with fresh weights: Xavier normal; biases uniform within 1 / sqrt(fan in).

    Args:
        plan: of each.
        modalities: how many; 2 or more.
        generator: of all weights, on the CPU.
    """
    networks = bare_networks(plan, modalities).to_empty(device="cpu")
    for module in networks.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight, generator=generator)
            if module.bias is not None:
                bound = 1 / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return networks
