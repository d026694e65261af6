"""From the volume to the network's size and from its logits back, slab by slab on the network's device.

Neither the volume nor the logits ever exist as floating-point numbers at full size. Interpolation is
trilinear with aligned corners. Arrays and boxes are [z, y, x].
Source: input and output layer of the released code of SemiSeg-CSSN; slabs and boxes are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.methods.cssn.plan import Size
from SegToolkitLib.methods.cssn.prepare import Box
from SegToolkitLib.methods.cssn.regions import box_from
from SegToolkitLib.volume.parts import Mask

# Voxels of a slab at full size; as float32 so many take 8 MB, and some steps need a few copies.
SLAB_VOXELS = 2**21
# Beyond this logit a probability differs from 0 or 1 by less than 0.0025: no doubt.
SURE = 6.0


def resampled(voxels: NDArray, size: Size, device: torch.device) -> Tensor:
    """Resample an array of any number type and strides to the size; float32 [z, y, x] on the device.

    As interpolation is done in float32 whatever the network's type, values that half precision cannot hold
    (padding of -100,000, say) need no clipping before it.
    """
    result = torch.empty(size, device=device)
    first, weights = _places(size[0], voxels.shape[0])
    following = np.minimum(first + 1, voxels.shape[0] - 1)
    planes = max(1, SLAB_VOXELS // (voxels.shape[1] * voxels.shape[2]))
    for low in range(0, size[0], planes):
        part = slice(low, low + planes)
        below, above = (_floats(voxels, index[part], device) for index in (first, following))
        weight = torch.from_numpy(weights[part]).to(device)[:, None, None]
        result[part] = F.interpolate(
            below.lerp_(above, weight)[:, None], size[1:], mode="bilinear", align_corners=True
        )[:, 0]
    return result


def _floats(voxels: NDArray, planes: NDArray[np.intp], device: torch.device) -> Tensor:
    return torch.from_numpy(voxels[planes].astype(np.float32, order="C")).to(device)


def _places(wanted: int, voxels: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Index below each wanted place, and how far it is towards the next."""
    places = np.arange(wanted) * ((voxels - 1) / max(1, wanted - 1))
    first = np.minimum(places.astype(np.intp), max(0, voxels - 2))
    return first, (places - first).astype(np.float32)


def organ_mask(logits: Tensor, size: tuple[int, int, int], threshold: float) -> tuple[Box, Mask] | None:
    """Where the resampled logits of one organ reach a threshold.

    A sigmoid rises, so that comparing logits is comparing probabilities. Only the surroundings of the voxels
    that reach the threshold are resampled: nothing between voxels below it can.

    Args:
        logits: [z, y, x] of one organ, at the network's size.
        size: to resample to.

    Returns:
        A box of that size, and the mask in it; None for an organ that is nowhere.
    """
    box = reach(logits, size, threshold)
    if box is None:
        return None
    mask = np.empty(box.shape, dtype=bool)
    for part, values in interpolated(logits, size, box):
        mask[part] = (values >= threshold).cpu().numpy()
    return box, mask


def best_organ(logits: Tensor, size: tuple[int, int, int], threshold: float) -> NDArray[np.uint8]:
    """The number (from 1) of the channel of the largest resampled logit, if that reaches a threshold, else 0.

    Args:
        logits: [C, z, y, x].
        size: to resample to; that of the result.
    """
    labels = np.zeros(size, dtype=np.uint8)
    boxes = [reach(channel, size, threshold) for channel in logits]
    rows = max(1, SLAB_VOXELS // (size[1] * size[2]))
    for low in range(0, size[0], rows):
        high = min(low + rows, size[0])
        best = torch.full((high - low, *size[1:]), threshold, device=logits.device)
        winner = torch.zeros(best.shape, dtype=torch.uint8, device=logits.device)
        for number, (channel, box) in enumerate(zip(logits, boxes, strict=True), start=1):
            if box is None or box.start[0] >= high or box.stop[0] <= low:
                continue
            first, last = max(low, box.start[0]), min(high, box.stop[0])
            inside = Box((first, *box.start[1:]), (last, *box.stop[1:]))
            for part, values in interpolated(channel, size, inside):
                z = slice(part.start + first - low, part.stop + first - low)
                place = (z, *box.slices[1:])
                # The first of equals stays, as with argmax; the threshold itself counts.
                ahead = (values > best[place]) | ((values == threshold) & (winner[place] == 0))
                best[place] = torch.where(ahead, values, best[place])
                winner[place][ahead] = number
        labels[low:high] = winner.cpu().numpy()
    return labels


def doubt(logits: Tensor, size: tuple[int, int, int], threshold: float) -> NDArray[np.float32]:
    """How unsure the network is at each voxel, 0 (sure) to 1 (an organ's probability is at its threshold).

    Of one organ it is 1 - |2 p - 1|, the threshold moved to one half; the least sure organ counts.

    Args:
        logits: [C, z, y, x].
        size: to resample to; that of the result.
    """
    nearest = np.full(size, math.inf, dtype=np.float32)
    for channel in logits:
        box = reach(channel, size, threshold - SURE)
        if box is None:
            continue
        for part, values in interpolated(channel, size, box):
            place = nearest[box.slices][part]
            np.minimum(place, (values - threshold).abs_().cpu().numpy(), out=place)
    for plane in nearest:
        plane[:] = 1 - np.tanh(plane / 2)
        plane[plane < 1 - math.tanh(SURE / 2)] = 0
    return nearest


def reach(logits: Tensor, size: tuple[int, int, int], threshold: float) -> Box | None:
    """The box of the resampled voxels that can reach a threshold; None if none can.

    Args:
        logits: [z, y, x] of one organ.
        size: to resample to.
    """
    used = logits >= threshold
    spans = []
    for axis, wanted in enumerate(size):
        flat = used.amax(dim=[a for a in range(3) if a != axis]).nonzero()
        if not len(flat):
            return None
        step = (logits.shape[axis] - 1) / max(1, wanted - 1)
        if wanted == 1:
            spans.append((0, 1))
            continue
        low, high = int(flat[0]) - 1, int(flat[-1]) + 1
        spans.append((max(0, math.ceil(low / step)), min(wanted, math.floor(high / step) + 1)))
    return box_from(spans)


def interpolated(logits: Tensor, size: tuple[int, int, int], box: Box) -> Iterator[tuple[slice, Tensor]]:
    """Resample to a size, but compute a box of it alone, in slabs.

    Args:
        logits: [z, y, x] of one organ.
        size: that the whole would be resampled to.
        box: of that size.

    Yields:
        Planes of the box, and float32 values [planes, y, x] there.
    """
    tables = [
        _matrix(n, wanted, span, logits.device)
        for n, wanted, span in zip(logits.shape, size, zip(*box, strict=True), strict=True)
    ]
    (z, z_used), (y, y_used), (x, x_used) = tables
    near = logits[z_used, y_used, x_used].float()
    rows = max(1, SLAB_VOXELS // (y.shape[0] * x.shape[0]))
    for low in range(0, z.shape[0], rows):
        part = slice(low, min(low + rows, z.shape[0]))
        planes = torch.tensordot(z[part], near, dims=1)
        yield part, torch.matmul(torch.matmul(y, planes), x.T)


def _matrix(voxels: int, wanted: int, span: tuple[int, int], device: torch.device) -> tuple[Tensor, slice]:
    """The matrix [span, used voxels] that interpolates one axis, and which voxels it uses.

    A product with a matrix that is nearly all zeros beats gathering neighbours: every processor does it at
    full speed, and the matrices are small because an organ is.
    """
    first, weights = _places(wanted, voxels)
    first, weights = first[slice(*span)], weights[slice(*span)]
    start, stop = int(first[0]), min(int(first[-1]) + 2, voxels)
    matrix = np.zeros((len(first), stop - start), np.float32)
    rows = np.arange(len(first))
    matrix[rows, first - start] = 1 - weights
    matrix[rows, np.minimum(first + 1, voxels - 1) - start] += weights
    return torch.from_numpy(matrix).to(device), slice(start, stop)
