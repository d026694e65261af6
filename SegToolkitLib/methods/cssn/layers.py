"""Layers without parameters around the networks: to the network's size and scale, and back.

Source: the input and output layer of the released code of SemiSeg-CSSN.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from SegToolkitLib.methods.cssn.blocks import resized
from SegToolkitLib.methods.cssn.plan import Intensity

EPSILON = 1e-5


def resample(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bring [N, C, Z, Y, X] to the size (z, y, x): trilinear, with aligned corners."""
    return resized(x, tuple(size))


def normalised(x: Tensor, intensity: Intensity, unbiased: bool = True) -> Tensor:
    """Clip and z-score volumes that have the network's size; each volume by itself.

    Args:
        x: [Z, Y, X] or [N, 1, Z, Y, X], in the image's unit (HU).
        intensity: what to clip to.
        unbiased: divide by the unbiased standard deviation, as the released input layer; the released
            training divides by the population's.

    Returns:
        The same shape and kind of numbers; statistics are those of float32.
    """
    volumes = x.float().reshape(x.shape[0] if x.ndim == 5 else 1, -1)
    if intensity.mode == "window":
        volumes = volumes.clamp(*intensity.window)
    else:
        low, high = (_percentile(volumes, percent) for percent in intensity.percentiles)
        volumes = torch.minimum(torch.maximum(volumes, low), high)
    std, mean = torch.std_mean(volumes, dim=1, keepdim=True, correction=int(unbiased))
    return ((volumes - mean) / (std + EPSILON)).reshape(x.shape).to(x.dtype)


def _percentile(volumes: Tensor, percent: float) -> Tensor:
    """The nearest rank, [N, 1]; ``torch.quantile`` refuses more than 2 ** 24 voxels."""
    rank = 1 + round(percent / 100 * (volumes.shape[1] - 1))
    return volumes.kthvalue(rank, dim=1, keepdim=True).values
