"""Validation within a run: without a trace in the training, and which one was the best."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from SegToolkitLib.training.checkpoint import random_state, restore_random_state


@dataclass
class Judge:
    """Remembers the best validation, and how many there were since.

    Attributes:
        best: value of the metric; None before the first.
        step: of the best.
        since: validations after it.
    """

    best: float | None = None
    step: int | None = None
    since: int = 0

    def take(self, value: float | None, mode: Literal["max", "min"], step: int) -> bool:
        """Take in a validation; tell whether it is the best so far. What is no number never is."""
        better = value is not None and math.isfinite(value)
        if better and self.best is not None:
            assert value is not None
            better = value > self.best if mode == "max" else value < self.best
        if better:
            self.best, self.step, self.since = value, step, 0
        else:
            self.since += 1
        return better

    def is_out_of_patience(self, patience: int | None) -> bool:
        """Whether ``patience`` validations in a row brought nothing better."""
        return patience is not None and self.since >= patience


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards modes and random states are as they were."""
    modes = [(module, module.training) for module in network.modules()]
    states: dict[str, Any] = random_state()
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        restore_random_state(states)
