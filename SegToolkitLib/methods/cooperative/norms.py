"""Bookkeeping of batch norms: which passes update running statistics, and which teach scale and shift.

Hard examples are normalised by their own statistics, apart from those of clean images, and leave no trace in
the running ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def norms_of(*modules: nn.Module) -> list[nn.BatchNorm2d]:
    """All batch norms in these modules."""
    return [one for module in modules for one in module.modules() if isinstance(one, nn.BatchNorm2d)]


@contextmanager
def untracked(*modules: nn.Module) -> Iterator[None]:
    """Forward passes inside, in training mode, leave running statistics alone."""
    tracked = [norm for norm in norms_of(*modules) if norm.track_running_stats]
    for norm in tracked:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in tracked:
            norm.track_running_stats = True


@contextmanager
def fixed_affine(*modules: nn.Module) -> Iterator[None]:
    """Forward passes inside give no gradient to the norms' scales and shifts."""
    parameters = [one for norm in norms_of(*modules) for one in norm.parameters() if one.requires_grad]
    for one in parameters:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in parameters:
            one.requires_grad_(True)


class RunningStatistics:
    """Running statistics of a module before a forward pass, to count that pass a second time.

    Args:
        module: as it is before the pass.
    """

    def __init__(self, module: nn.Module) -> None:
        self._before = [(norm, *_statistics(norm)) for norm in norms_of(module)]

    @torch.no_grad()
    def count_again(self) -> None:
        """Update as if the pass that followed were made once more, with the same batch.

        A pass turns r into (1 - m) r + m s; twice it, with the statistics s of the batch unknown, is
        (2 - m) times the result of the first minus (1 - m) r.
        """
        for norm, *before in self._before:
            momentum = norm.momentum or 0.0
            for running, old in zip(_running(norm), before, strict=True):
                running.mul_(2 - momentum).sub_(old, alpha=1 - momentum)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)


def _running(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    mean, variance = _running(norm)
    return mean.clone(), variance.clone()
