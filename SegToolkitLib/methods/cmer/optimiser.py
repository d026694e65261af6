"""The optimiser of a run."""

from __future__ import annotations

import torch
from torch import nn

from SegToolkitLib.methods.cmer.settings import OptimiserSettings


def build_optimiser(networks: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """One AdamW for all networks, which makes the steps of one for each: it treats each weight by itself.

    Args:
        networks: their parameters all decay, also those of norms and biases, as released.
        settings: of the run.
    """
    return torch.optim.AdamW(
        networks.parameters(),
        settings.learning_rate,
        settings.betas,
        settings.epsilon,
        weight_decay=settings.weight_decay,
    )
