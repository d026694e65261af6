"""Slices and class activation maps brought to a common scale.

Source: released code of WSS-CMER; the normalisation of maps is that of SEAM (Wang et al., CVPR 2020).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STD_EPSILON = 1e-12
MAP_EPSILON = 1e-8
# Rows and columns.
PLANE = (-2, -1)


def full(x: Tensor) -> Tensor:
    """The same in single precision, where it is in less."""
    return x if x.is_floating_point() and x.dtype.itemsize >= 4 else x.float()


def standardised(slices: Tensor, how: str = "slice") -> Tensor:
    """Mean 0 and standard deviation 1 (n - 1) of each plane, over all its pixels; at least in float32.

    Args:
        slices: [..., Y, X]; every plane stands for itself.
        how: "foreground" takes the pixels above the plane's least value alone, and sets the others to 0.

    Returns:
        The same shape; a plane of one value is exactly 0.
    """
    slices = full(slices)
    if how == "foreground":
        return _foreground(slices)
    mean = slices.mean(PLANE, keepdim=True)
    std = slices.std(PLANE, keepdim=True)
    # The mean of equal numbers is off by a rounding error, which the division would make large.
    flat = slices.amax(PLANE, keepdim=True) == slices.amin(PLANE, keepdim=True)
    return ((slices - mean) / (std + STD_EPSILON)).masked_fill(flat, 0)


def foreground(slices: Tensor) -> Tensor:
    """What is above the least value of its plane: [..., Y, X], bool of the same shape."""
    return slices > slices.amin(PLANE, keepdim=True)


def _foreground(slices: Tensor) -> Tensor:
    shown = foreground(slices)
    count = shown.sum(PLANE, keepdim=True)
    mean = (slices * shown).sum(PLANE, keepdim=True) / count.clamp(min=1)
    apart = (slices - mean) * shown
    std = (apart.square().sum(PLANE, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
    # Where all that is shown has one value there is nothing to see but the outline.
    return torch.where(std > STD_EPSILON, apart / (std + STD_EPSILON), torch.zeros_like(apart))


def normalised(raw: Tensor) -> Tensor:
    """A raw map without what is negative, from its least value (0) to its largest (1).

    Gradients flow through both extremes. A map without a positive pixel is 0, and so is its gradient.

    Args:
        raw: [..., Y, X]; every plane stands for itself. At least in float32: half precision cannot hold the
            small numbers in here.

    Returns:
        The same shape, 0 to 1.
    """
    raw = F.relu(full(raw))
    low, high = raw.amin(PLANE, keepdim=True), raw.amax(PLANE, keepdim=True)
    return F.relu(raw - low - MAP_EPSILON) / (high - low + MAP_EPSILON)
