"""Parts of organs and the region around them, on small arrays whose answers can be told by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from SegToolkitLib.methods.cssn.plan import InferencePlan
from SegToolkitLib.methods.cssn.prepare import Box
from SegToolkitLib.methods.cssn.regions import (
    box_of,
    least_voxels,
    organ_box,
    paint_parts,
    region_box,
)


def test_later_organs_lie_over_earlier_ones() -> None:
    labels = np.zeros((3, 3, 3), np.uint8)
    both = np.ones((3, 3, 3), bool)
    paint_parts(labels, both, 1, 1, 0)
    both[1:] = False
    paint_parts(labels, both, 2, 1, 0)
    paint_parts(labels, np.zeros_like(both), 3, 1, 0)
    assert (labels[0] == 2).all()
    assert (labels[1:] == 1).all()


def test_box_of_nothing_is_none() -> None:
    assert box_of(np.zeros((2, 3, 4))) is None
    assert organ_box(np.zeros((2, 3, 4), np.uint8), 3) is None


def _body() -> np.ndarray:
    """A large organ in the middle, a false find far above, and one part of the large organ cut off."""
    labels = np.zeros((100, 10, 10), np.uint8)
    labels[40:60, 2:8, 2:8] = 1
    labels[95:98, 9, 9] = 4
    labels[5, 0, 0] = 1
    return labels


@pytest.mark.parametrize(
    ("half_height", "z"),
    [(None, (5, 98)), (1000, (5, 98)), (12.4, (38, 63)), (12.5, (38, 63)), (13.5, (36, 65)), (3, (47, 54))],
    ids=["no limit", "limit beyond", "12.4 -> 12", "12.5 -> 12", "13.5 -> 14", "within the organ"],
)
def test_region_is_limited_around_the_largest_part(half_height: float | None, z: tuple[int, int]) -> None:
    # The centre is z = 49.5, which rounds to 50, the even one.
    box = organ_box(_body(), half_height)
    assert box is not None
    assert (box.start[0], box.stop[0]) == z
    assert (box.start[1:], box.stop[1:]) == ((0, 0), (10, 10))


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        # 4 * 2.5 = 10 and 7 * 2.5 = 17.5 -> 17; 20 mm are 8 voxels of 2.5 mm.
        (Box((4, 4, 4), (8, 8, 8)), 20.0, Box((2, 2, 2), (25, 25, 25))),
        (Box((4, 4, 4), (8, 8, 8)), 1.0, Box((9, 9, 9), (17, 17, 17))),
        # 3 * 2.5 = 7.5 -> 7, and only then the margin of 1.4 voxels: 5.6 -> 5.
        (Box((3, 3, 3), (8, 8, 8)), 3.5, Box((5, 5, 5), (18, 18, 18))),
        (Box((0, 0, 0), (20, 20, 20)), 20.0, Box((0, 0, 0), (50, 50, 50))),
        (Box((6, 6, 6), (7, 7, 7)), 0.0, Box((15, 15, 15), (16, 16, 16))),
    ],
    ids=["margin", "margin of part of a voxel", "truncated twice", "clamped", "one voxel stays"],
)
def test_region_box_rounds_as_released(box: Box, margin: float, expected: Box) -> None:
    assert region_box(box, (2.5,) * 3, (50,) * 3, (2.5,) * 3, margin) == expected


@pytest.mark.parametrize(
    ("stage", "rules", "expected"),
    [
        # Voxels of 1 x 1 x 2 mm; the network's are 2, 3 and 4 times as long.
        ("coarse", {"coarse_least_mm3": 960}, 960 / 48),
        ("fine", {"fine_least_mm3": 960}, 960 / 48),
        ("fine", {"fine_least_mm3": 960, "least_rule": "literal"}, 960 / 2),
    ],
)
def test_smallest_part_is_counted_by_the_rule(stage: Any, rules: dict[str, Any], expected: float) -> None:
    found = least_voxels(InferencePlan(**rules), stage, (2, 1, 1), (20, 30, 40), (10, 10, 10))
    assert found == pytest.approx(expected)
