"""Connected parts of masks, on small arrays whose answers can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SegToolkitLib.volume.parts import largest_parts


def _reference(mask: np.ndarray, keep: int | None, least: float) -> np.ndarray:
    """By scipy, whose parts are numbered in the order of the array."""
    parts, count = ndimage.label(mask, np.ones((3, 3, 3), int))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    order = [part for part in np.argsort(-sizes, kind="stable")[:keep] if sizes[part] > least]
    return np.isin(parts, np.array(order, dtype=int) + 1)


@pytest.mark.parametrize("keep", [1, 2, 5, None])
@pytest.mark.parametrize("least", [0, 1, 2.5, 40])
@pytest.mark.parametrize("density", [0.02, 0.06, 0.1, 0.5, 1.0])
def test_largest_parts_are_those_of_the_definition_ties_included(
    keep: int | None, least: float, density: float
) -> None:
    mask = np.random.default_rng(3).random((9, 10, 11)) < density
    assert (largest_parts(mask, keep, least) == _reference(mask, keep, least)).all()


def test_parts_touching_at_a_corner_are_one() -> None:
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    assert largest_parts(mask, 1, 0).sum() == 2
    assert not largest_parts(mask, 1, 2).any(), "a part must have strictly more voxels than the limit"


def test_of_two_parts_of_one_size_the_first_stays() -> None:
    mask = np.zeros((1, 1, 7), bool)
    mask[0, 0, [1, 2, 4, 5]] = True
    assert largest_parts(mask, 1, 0)[0, 0].tolist() == [False, True, True, False, False, False, False]


def test_nothing_is_left_of_nothing() -> None:
    assert not largest_parts(np.zeros((2, 4, 4), bool)).any()


def test_without_corners_only_faces_connect() -> None:
    mask = np.zeros((2, 4, 4), bool)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[1, 1, 1] = True
    assert largest_parts(mask, corners=False).sum() == 2
    assert largest_parts(mask).sum() == 3
