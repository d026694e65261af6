"""From slices to scores at use: encode once, then compare with any number of structures.

In eval mode neither support nor query features depend on the other, so the encoder runs once a slice
instead of twice a slice and structure as in the authors' procedure; the scores are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.loss import Pooling, upsample
from SegToolkitLib.methods.alpnet.network import OUTPUT_STRIDE, ALPNet
from SegToolkitLib.methods.alpnet.prototypes import (
    foreground_mode,
    global_prototypes,
    local_prototypes,
    pool,
    resize_mask,
    similarities,
)
from SegToolkitLib.training.loop import autocast


@dataclass(frozen=True)
class StructurePrototypes:
    """What one structure looks like on one or more support slices.

    Attributes:
        background: [N, C].
        foreground: [M, C].
        floor: foreground score below which a query is unlike the outlines; -inf accepts all.
    """

    background: Tensor
    foreground: Tensor
    floor: float = -math.inf


@dataclass
class Predictor:
    """A trained network and how it is applied.

    Args:
        network: moved to ``device`` and set to eval mode here.
        pooling: the window at use.
        device: where to compute.
        precision: see :func:`SegToolkitLib.training.loop.autocast`.
        batch: slices encoded at once.
    """

    network: ALPNet
    pooling: Pooling
    device: torch.device
    precision: str = "auto"
    batch: int = 8

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise SegToolkitError(
                "bad-batch", f"{self.batch} slices cannot be encoded at once.", "Give 1 or more."
            )
        self.network.to(self.device).eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def encode(self, slices: NDArray[np.float32]) -> Tensor:
        """Features [B, C, h, w] of z-scored slices [B, H, W]; H and W are padded to multiples of 8."""
        tensor = torch.as_tensor(np.ascontiguousarray(slices, dtype=np.float32))
        pad = [(-size) % OUTPUT_STRIDE for size in tensor.shape[-2:]]
        tensor = F.pad(tensor[:, None], (0, pad[1], 0, pad[0]), mode="replicate")[:, 0]
        features = []
        for start in range(0, len(tensor), self.batch):
            part = tensor[start : start + self.batch].to(self.device)
            with autocast(self.device, self.precision):
                features.append(self.network(part).float())
        encoded = torch.cat(features)
        if not torch.isfinite(encoded).all():
            raise SegToolkitError(
                "result-not-finite",
                "The network's features are not finite numbers.",
                "Compute in full precision (--precision float32); if that fails too, the model is damaged.",
            )
        return encoded

    @torch.inference_mode()
    def describe(
        self, shots: Sequence[tuple[Tensor, NDArray]], reject: float | None = None
    ) -> StructurePrototypes:
        """Prototypes of a structure, pooled over its shots.

        Args:
            shots: features [C, h, w] and 0/1 outline [H, W] of each support slice. Slices of several
                volumes may differ in size: prototypes have no place.
            reject: share of the outlines' own pixels (0..1) that score below the floor; None sets none.
        """
        window, threshold = self.pooling.window, self.pooling.threshold
        front, back, modes = [], [], []
        for features, outline in shots:
            size = (features.shape[-2], features.shape[-1])
            mask = torch.as_tensor(np.ascontiguousarray(outline)).to(self.device).float()[None]
            pad = [n * OUTPUT_STRIDE - have for n, have in zip(size, mask.shape[-2:], strict=True)]
            mask = F.pad(mask, (0, pad[1], 0, pad[0]))
            front.append((features[None], resize_mask(mask, size)))
            back.append((features[None], resize_mask(1 - mask, size)))
            modes.append(foreground_mode(front[-1][1], threshold))
        background = [local_prototypes(f, m, window, threshold) for f, m in back]
        if not any(len(cells) for cells in background):
            background = [torch.cat([global_prototypes(f, m) for f, m in back]).mean(0, keepdim=True)]
        foreground = torch.cat([global_prototypes(f, m) for f, m in front])
        if "gridconv+" in modes:
            local = [local_prototypes(f, m, window, threshold) for f, m in front]
            foreground = torch.cat([*local, foreground])
        else:
            foreground = foreground.mean(0, keepdim=True)
        found = StructurePrototypes(torch.cat(background), foreground)
        if reject is None:
            return found
        own = [
            self.scores(features[None], found, outline.shape)[0, 1][torch.as_tensor(outline > 0)]
            for features, outline in shots
        ]
        return replace(found, floor=float(np.quantile(torch.cat(own).cpu().numpy(), reject)))

    @torch.inference_mode()
    def scores(self, features: Tensor, structure: StructurePrototypes, size: Sequence[int]) -> Tensor:
        """Background and foreground score [B, 2, H, W] of query features [B, C, h, w]; ``size`` (H, W)."""
        low = torch.cat(
            [pool(similarities(features, p)) for p in (structure.background, structure.foreground)], dim=1
        )
        padded = (low.shape[-2] * OUTPUT_STRIDE, low.shape[-1] * OUTPUT_STRIDE)
        return upsample(low, padded)[..., : size[0], : size[1]]
