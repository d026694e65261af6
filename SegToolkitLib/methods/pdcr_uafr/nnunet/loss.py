"""nnU-Net's own loss and PDCR together, in one object that its training step takes for a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from SegToolkitLib.methods.pdcr_uafr.nnunet.skips import WithSkips
from SegToolkitLib.methods.pdcr_uafr.pdcr import Terms
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import Weights


class RegularisedLoss(nn.Module):
    """The loss of the outputs, and while the network trains, the weighted terms of PDCR.

    Args:
        loss: nnU-Net's, with deep supervision or without.
        pdcr: for features named "skip.S", alone or in a wrapper for several GPUs.
        weights: of its terms.
        stages: S of the features, in the order in which they are handed out.
        regions: whether targets are overlapping regions, one a channel.
        ignores: with regions, whether their last channel marks what is to be ignored.
    """

    def __init__(
        self,
        loss: nn.Module,
        pdcr: nn.Module,
        weights: Weights,
        stages: Sequence[int],
        regions: bool = False,
        ignores: bool = False,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.pdcr = pdcr
        self.weights = weights
        self.names = [f"skip.{stage}" for stage in stages]
        self.regions, self.ignores = regions, ignores
        self._seen: list[Tensor] = []

    def forward(self, output: Any, target: Any) -> Tensor:
        if not isinstance(output, WithSkips):
            plain: Tensor = self.loss(output, target)
            return plain
        total: Tensor = self.loss(output.outputs, target)
        full = target[0] if isinstance(target, (list, tuple)) else target
        # Shares of a few dozen voxels and their differences drown in half precision.
        with torch.autocast(full.device.type, enabled=False):
            features = {name: skip.float() for name, skip in zip(self.names, output.skips, strict=True)}
            terms: Terms = self.pdcr(features, self.masks(full))
            self._seen.append(torch.stack([term.detach() for term in terms]))
            return total + terms.weighted(self.weights)

    def masks(self, target: Tensor) -> Tensor:
        """Targets [B, 1, ...] or [B, regions, ...] as PDCR takes them; ignored voxels belong to no region."""
        if not self.regions:
            return target
        if not self.ignores:
            return target != 0
        return (target[:, :-1] != 0) & (target[:, -1:] == 0)

    def means(self) -> dict[str, float]:
        """Mean of each term, not weighted, since this was last asked; empty if there were none."""
        if not self._seen:
            return {}
        means = torch.stack(self._seen).mean(0).tolist()
        self._seen.clear()
        return dict(zip(Terms._fields, means, strict=True))
