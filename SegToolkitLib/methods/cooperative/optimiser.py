"""The optimiser of a run."""

from __future__ import annotations

import torch
from torch import nn

from SegToolkitLib.methods.cooperative.settings import OptimiserSettings


def build_optimiser(networks: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """One optimiser for all networks, which makes the steps of five: it treats each weight by itself.

    Args:
        networks: its parameters.
        settings: of the run.
    """
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(
        networks.parameters(), settings.learning_rate, settings.betas, weight_decay=settings.weight_decay
    )
