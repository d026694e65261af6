"""Slices and class activation maps brought to a common scale.

Source: released code of WSS-CMER; the normalisation of maps is that of SEAM (Wang et al., CVPR 2020).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

STD_EPSILON = 1e-12
MAP_EPSILON = 1e-8
# Rows and columns.
PLANE = (-2, -1)
# Where the mean of a volume lies that is standardised as a whole, in standard deviations, and the least that
# foreground comes to: 0 is left to what is not foreground, in the slices as they are kept and moved.
VOLUME_MEAN, VOLUME_LEAST = 4.0, 0.01


def full(x: Tensor) -> Tensor:
    """The same in single precision, where it is in less."""
    return x if x.is_floating_point() and x.dtype.itemsize >= 4 else x.float()


def standardised(slices: Tensor, how: str = "slice") -> Tensor:
    """Mean 0 and standard deviation 1 (n - 1) of each plane, over all its pixels; at least in float32.

    Args:
        slices: [..., Y, X]; every plane stands for itself.
        how: "foreground" takes the pixels above the plane's least value alone, and sets the others to 0;
            "volume" is for slices of a :func:`volume_standardised`, whose mean goes to 0, as what is no
            foreground does.

    Returns:
        The same shape; a plane of one value is exactly 0, but after "volume".
    """
    slices = full(slices)
    if how == "foreground":
        return _foreground(slices)
    if how == "volume":
        return torch.where(slices > 0, slices - VOLUME_MEAN, 0.0)
    mean = slices.mean(PLANE, keepdim=True)
    std = slices.std(PLANE, keepdim=True)
    # The mean of equal numbers is off by a rounding error, which the division would make large.
    flat = slices.amax(PLANE, keepdim=True) == slices.amin(PLANE, keepdim=True)
    return ((slices - mean) / (std + STD_EPSILON)).masked_fill(flat, 0)


def volume_standardised(voxels: NDArray[np.float32], shown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The foreground with standard deviation 1 around ``VOLUME_MEAN``; 0 elsewhere.

    Args:
        voxels: of a volume, any shape.
        shown: which of them are foreground.

    Returns:
        The same shape; foreground is ``VOLUME_LEAST`` or more, and ``VOLUME_MEAN`` where it has one value.
    """
    if not shown.any():
        return np.zeros_like(voxels)
    mean, std = voxels[shown].mean(dtype=np.float64), voxels[shown].std(dtype=np.float64)
    scaled = (voxels - mean) / (std if std > STD_EPSILON else 1) + VOLUME_MEAN
    return np.where(shown, np.maximum(scaled, VOLUME_LEAST), 0).astype(np.float32)


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
