"""Samples in rounds: all are gone through in an order drawn anew for each round."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError

Place = TypeVar("Place")


@lru_cache(maxsize=64)
def order_of_round(seed: int, kind: int, turn: int, count: int) -> NDArray[np.int64]:
    """Positions 0 ... ``count`` - 1 in the order of a round; the same whenever and wherever it is asked for.

    Args:
        seed: of the run.
        kind: of what is ordered; each kind has orders of its own.
        turn: number of the round, from 0.
        count: positions of a round.
    """
    return np.random.default_rng((seed, kind, turn, count)).permutation(count)


def some_slices(index: Sequence[Place]) -> list[Place]:
    """The slices of a round, as given.

    Raises:
        SegToolkitError: "no-slices": there are none.
    """
    if not index:
        raise SegToolkitError(
            "no-slices", "There is no slice to train on.", "Use more cases (data.cases, data.fold)."
        )
    return list(index)
