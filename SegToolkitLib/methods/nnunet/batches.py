"""nnU-Net's batches by their numbers: each depends on the seed and its number alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

# Kinds of what is drawn; each has numbers of its own.
TRAINING, VALIDATION = 1, 2


@contextmanager
def seeded(*words: int) -> Iterator[None]:
    """Seed the global generators, which nnU-Net draws from, and put them back afterwards.

    Args:
        words: numbers, 0 or more, that seed together.
    """
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    first, second, third = np.random.SeedSequence(words).generate_state(3).tolist()
    torch.default_generator.manual_seed(first)
    np.random.seed(second)  # noqa: NPY002
    random.seed(third)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])


class Batches:
    """Draws batches by their numbers; may be sent to another process.

    Args:
        loader: nnU-Net's, with its transforms.
        seed: of the run.
        kind: TRAINING or VALIDATION.
    """

    def __init__(self, loader: Any, seed: int, kind: int) -> None:
        self.loader, self.seed, self.kind = loader, seed, kind

    def draw(self, number: int) -> dict[str, Any]:
        """The batch of this number: "data" [B, C, ...], "target" [B, 1, ...] or a list of them from full
        resolution down, "keys"."""
        with seeded(self.seed, self.kind, number):
            batch: dict[str, Any] = self.loader.generate_train_batch()
        return batch
