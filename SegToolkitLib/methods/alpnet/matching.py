"""Which support slice serves which query slice.

With a slice range (where the structure begins and ends in the query) the authors' chunks are used: the
m-th of n outlined slices serves the m-th n-th of the range. Without one, relative positions in the
two volumes are compared. Within one volume the nearest outlined slice serves. Source: Ouyang et al.,
ECCV 2020, section 4.1 (protocol); the two other rules are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from SegToolkitLib.methods.alpnet.protocol import chunk_of


def by_chunk(query_slices: Sequence[int], first: int, last: int, supports: int) -> list[int]:
    """Index of the support (0 .. supports - 1, ordered along the structure) for every query slice.

    Args:
        query_slices: slice numbers.
        first, last: first and last slice of the structure in the query.
        supports: number of outlined slices.
    """
    return [chunk_of(z, first, last, supports) for z in query_slices]


def by_relative_position(
    query_slices: Sequence[int], query_depth: int, support_slices: Sequence[int], support_depth: int
) -> list[int]:
    """Index of the support whose place in its whole volume is nearest to that of each query slice.

    Args:
        query_slices: slice numbers in the query.
        query_depth, support_depth: slices in the two volumes.
        support_slices: outlined slices, ascending.
    """
    query = (np.asarray(query_slices) + 0.5) / query_depth
    support = (np.asarray(support_slices) + 0.5) / support_depth
    return _nearest(query, support)


def by_nearest_slice(query_slices: Sequence[int], support_slices: Sequence[int]) -> list[int]:
    """Index of the nearest outlined slice of the same volume for each query slice."""
    return _nearest(np.asarray(query_slices, dtype=float), np.asarray(support_slices, dtype=float))


def _nearest(query: np.ndarray, support: np.ndarray) -> list[int]:
    # argmin takes the first of two equally near ones, so ties are settled the same way every time.
    return [int(index) for index in np.abs(query[:, None] - support[None]).argmin(1)]
