"""A result beside a reference: the same figures however the two files are cut, turned and named."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from automatic_cases import boxes, image, turned
from SegToolkitLib.automatic.compare import compare
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.surface import surface_distances
from SegToolkitLib.volume import Grid, Segment, Segmentation, Volume, onto_grid
from SegToolkitLib.volume.lattice import content_box, cut, sub_grid

NAMES = {1: "liver", 2: "spleen", 3: "right kidney", 4: "left kidney"}


def named(labels: Volume, names: dict[int, str] | None = None) -> Segmentation:
    return Segmentation(labels, [Segment(value, name, (1, 0, 0)) for value, name in (names or NAMES).items()])


def reference() -> Volume:
    return image().with_voxels(boxes())


def moved() -> Volume:
    """The boxes one voxel further along i, and the spleen half as high."""
    labels = np.roll(boxes(), 1, axis=2)
    labels[8][labels[8] == 2] = 0
    return image().with_voxels(labels)


def figures(a: Segmentation, b: Segmentation) -> np.ndarray:
    rows, notes = compare(a, b, 2.0)
    assert notes == []
    return np.array([[v for v in asdict(row).values() if not isinstance(v, str)] for row in rows])


def test_figures_are_those_of_the_plain_arrays() -> None:
    rows, _ = compare(named(reference()), named(moved()), 1.0, {"spleen": 5.0})
    a, b = reference().voxels, moved().voxels
    for value, row in zip(NAMES, rows, strict=True):
        tolerance = 5.0 if value == 2 else 1.0
        one, two = a == value, b == value
        distances = surface_distances(one, two, image().spacing[::-1])
        assert row.name == NAMES[value]
        assert row.dsc == pytest.approx(2 * (one & two).sum() / (one.sum() + two.sum()))
        assert (row.nsd, row.tolerance_mm) == (pytest.approx(distances.nsd(tolerance)), tolerance)
        assert row.hd95_mm == pytest.approx(distances.hd95())
        assert row.assd_mm == pytest.approx(distances.assd())
        assert row.reference_ml == pytest.approx(one.sum() * 4.5 / 1000)
        assert row.result_ml == pytest.approx(two.sum() * 4.5 / 1000)


def cropped(volume: Volume) -> Volume:
    found = content_box(volume.voxels)
    assert found is not None
    grid = sub_grid(volume.grid, *found)
    return Volume(cut(volume.voxels, *found, 0), grid.spacing, grid.origin, grid.direction)


@pytest.mark.parametrize("code", ["LPS", "RAS", "SLA", "IPR"])
def test_cropping_and_turning_change_nothing(code: str) -> None:
    plain = figures(named(reference()), named(moved()))
    for one, two in (
        (cropped(reference()), moved()),
        (reference(), cropped(moved())),
        (reference(), turned(moved(), code)),
        (turned(cropped(reference()), code), cropped(moved())),
    ):
        np.testing.assert_allclose(figures(named(one), named(two)), plain, rtol=1e-6)


def test_a_result_on_finer_voxels_is_compared_on_those_of_the_reference() -> None:
    fine_grid = Grid((40, 40, 30), (1.0, 0.75, 0.75), (-40.0, 12.125, 298.875), np.eye(3))
    fine = onto_grid(moved(), fine_grid, label=True)
    plain, again = figures(named(reference()), named(moved())), figures(named(reference()), named(fine))
    np.testing.assert_allclose(again[:, 0], plain[:, 0], atol=0.05)
    np.testing.assert_allclose(again[:, -2], plain[:, -2])


def test_overlapping_segments_are_compared_whole() -> None:
    ring = np.zeros((10, 20, 30), np.uint8)
    ring[2:8, 4:14, 4:14] = 7
    layers = (reference(), image().with_voxels(ring))
    segments = [Segment(1, "liver", (1, 0, 0)), Segment(7, "spleen", (1, 0, 0), layer=1)]
    both = Segmentation(image().with_voxels(np.maximum(ring, boxes())), segments, layers)
    rows, notes = compare(both, both)
    assert notes == []
    assert [(row.dsc, row.nsd, row.hd95_mm) for row in rows] == [(1, 1, 0), (1, 1, 0)]
    assert rows[0].reference_ml == pytest.approx(448 * 4.5 / 1000)
    assert rows[1].reference_ml == pytest.approx(600 * 4.5 / 1000)


def test_structures_are_paired_by_what_their_names_mean() -> None:
    ours = named(reference(), {1: "Oesophagus", 2: "My  Thing", 3: "kidney_right", 4: "only here"})
    theirs = named(reference(), {3: "Right Kidney", 1: "esophagus", 2: "my thing", 4: "only there"})
    rows, notes = compare(ours, theirs)
    paired, alone = rows[:3], rows[3:]
    assert [(row.name, row.dsc) for row in paired] == [
        ("Oesophagus", 1),
        ("My  Thing", 1),
        ("kidney_right", 1),
    ]
    assert [row.name for row in alone] == ["only here", "only there"]
    assert notes == ["only here is in the reference only.", "only there is in the result only."]


def test_what_one_lacks_scores_nothing_and_what_both_lack_has_no_score() -> None:
    less = moved().voxels.copy()
    less[less == 2] = 0
    result = named(moved().with_voxels(less), {**NAMES, 5: "pancreas"})
    rows = {row.name: row for row in compare(named(reference(), {**NAMES, 5: "pancreas"}), result)[0]}
    missed, nowhere = rows["spleen"], rows["pancreas"]
    assert (missed.dsc, missed.nsd, missed.hd95_mm, missed.result_ml) == (0, 0, np.inf, 0)
    assert missed.reference_ml > 0
    assert np.isnan([nowhere.dsc, nowhere.nsd, nowhere.hd95_mm, nowhere.assd_mm]).all()
    assert (nowhere.reference_ml, nowhere.result_ml) == (0, 0)


def test_what_has_no_partner_scores_nothing() -> None:
    """A mean over the rows would otherwise be the better, the more organs were missed."""
    ours = named(reference(), {1: "liver", 2: "spleen", 7: "pancreas"})
    theirs = named(reference(), {1: "liver", 3: "right kidney", 8: "gallbladder"})
    rows = {row.name: row for row in compare(ours, theirs)[0]}
    assert list(rows) == ["liver", "spleen", "pancreas", "right kidney", "gallbladder"]
    missed, made_up = rows["spleen"], rows["right kidney"]
    for row in (missed, made_up):
        assert (row.dsc, row.nsd, row.hd95_mm, row.assd_mm) == (0, 0, np.inf, np.inf)
    assert missed.result_ml == made_up.reference_ml == 0
    assert missed.reference_ml == pytest.approx((reference().voxels == 2).sum() * 4.5 / 1000)
    assert made_up.result_ml == pytest.approx((reference().voxels == 3).sum() * 4.5 / 1000)
    # A name without a voxel is nothing that was missed or made up.
    assert np.isnan([rows["pancreas"].dsc, rows["gallbladder"].dsc]).all()


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(SegToolkitError) as error:
        compare(named(reference()), named(reference(), {1: "heart"}))
    assert error.value.code == "nothing-in-common"
    assert "heart" in error.value.message
    away = replace(reference(), origin=(90_000.0, 90_000.0, 0.0))
    with pytest.raises(SegToolkitError) as error:
        compare(named(reference()), named(away))
    assert error.value.code == "far-apart"


def test_progress_counts_structures() -> None:
    heard: list[tuple[int, int]] = []
    compare(named(reference()), named(moved()), progress=lambda *step: heard.append(step))
    assert heard == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
