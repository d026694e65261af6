"""The published split: one validation set drawn at random, the rest in quarters.

Source: released data preparation of SemiSeg-CSSN (scikit-learn's ``train_test_split``, 20 %, seed 0).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from SegToolkitLib.dataset.splits import Split
from SegToolkitLib.errors import SegToolkitError

VALIDATION_SHARE = 0.2
SEED = 0
LEAST_CASES = 5


def published_folds(
    ids: Sequence[str], validation_share: float = VALIDATION_SHARE, seed: int = SEED
) -> list[Split]:
    """Cut cases into the authors' five folds.

    Fold 0 validates on the first fifth of a permutation of the ids; folds 1 to 4 each on a quarter of
    fold 0's training cases, in the order of their names. Patients are not looked at.

    Args:
        ids: of the labelled cases as the files' names have them, in any order; they are sorted by their
            bytes, so "0010" must not come as "10".
        validation_share: part of the cases that validates in fold 0.
        seed: of the permutation.

    Raises:
        SegToolkitError: "folds": too few cases for five folds.
    """
    if len(ids) < LEAST_CASES:
        raise SegToolkitError(
            "folds",
            f"The published split makes five folds, for which {len(ids)} labelled cases are too few.",
            "Use the data set's own folds (data.split=dataset).",
        )
    names = sorted(ids, key=str.encode)
    # The generator of scikit-learn's splitter: only it gives the published permutation.
    permutation = np.random.RandomState(seed).permutation(len(names))
    held_out = {int(index) for index in permutation[: math.ceil(validation_share * len(names))]}
    first = Split(
        train=tuple(name for index, name in enumerate(names) if index not in held_out),
        val=tuple(name for index, name in enumerate(names) if index in held_out),
    )
    n = len(first.train)
    cuts = [0, int(0.25 * n), int(0.5 * n), int(0.75 * n), n]
    quarters = [first.train[start:stop] for start, stop in itertools.pairwise(cuts)]
    return [
        first,
        *(Split(tuple(name for name in names if name not in set(quarter)), quarter) for quarter in quarters),
    ]
