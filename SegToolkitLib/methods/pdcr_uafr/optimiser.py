"""The optimiser of a run.

Source: released code of PDCR and UAFR; You et al., Large Batch Training of Convolutional Networks, 2017.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from SegToolkitLib.methods.pdcr_uafr.settings import OptimiserSettings

TRUST = 1e-3
LARC_EPSILON = 1e-8


def build_optimiser(parameters: Iterable[nn.Parameter], settings: OptimiserSettings) -> torch.optim.Optimizer:
    """One optimiser with one rate for all weights.

    With ``larc``, call :func:`scale_gradients` before each step: the penalty on weights is in there then.
    """
    decay = 0.0 if settings.larc else settings.weight_decay
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, settings.learning_rate, settings.momentum, weight_decay=decay)
    return torch.optim.Adam(parameters, settings.learning_rate, settings.betas, weight_decay=decay)


@torch.no_grad()
def scale_gradients(optimiser: torch.optim.Optimizer, weight_decay: float) -> None:
    """Give each tensor's gradient a size in proportion to that of its weights (LARC without clipping).

    Args:
        optimiser: whose parameters' gradients are changed; none has a penalty on weights of its own.
        weight_decay: L2 penalty.
    """
    for group in optimiser.param_groups:
        for one in group["params"]:
            if one.grad is None:
                continue
            size, slope = one.norm(), one.grad.norm()
            one.grad += weight_decay * one
            factor = TRUST * size / (slope + weight_decay * size + LARC_EPSILON)
            # A tensor or gradient of zeros keeps its gradient.
            one.grad *= torch.where((size > 0) & (slope > 0), factor, torch.ones_like(factor))
