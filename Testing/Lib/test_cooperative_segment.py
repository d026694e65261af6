"""Segmenting volumes: any geometry, the quick mode, maps on the input's voxels, warnings, little memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cooperative_cases import made_heart
from cooperative_model import CHANNELS, LABELS, make_model, tiny_plan, usual_codes
from SegToolkitLib.anatomy import labels_of
from SegToolkitLib.automatic.run import check_options, segment_volume
from SegToolkitLib.automatic.segmenter import AutomaticOptions
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative import automatic
from SegToolkitLib.methods.cooperative.network import build_networks
from SegToolkitLib.methods.cooperative.plan import (
    DISAGREEMENT,
    MAPS,
    RESIDUAL,
    UNCERTAINTY,
    InferencePlan,
    InputPlan,
    ModelPlan,
    NetworkPlan,
)
from SegToolkitLib.methods.cooperative.predict import disagreement, predict, uncertainty
from SegToolkitLib.methods.cooperative.segment import CooperativeSegmenter
from SegToolkitLib.models.card import read_card
from SegToolkitLib.volume import Reorient, Volume

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")


def made_segmenter(
    plan: ModelPlan | None = None, labels: dict[str, int] | None = None
) -> CooperativeSegmenter:
    plan, labels = plan or tiny_plan(), labels or LABELS
    networks = build_networks(plan.network, len(labels) + 1, seed=0)
    return CooperativeSegmenter(plan, networks.state_dict(), labels_of(labels), CPU)


def turned(volume: Volume, degrees: float = 25.0) -> Volume:
    """The same voxels, tilted in the room."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, cos, -sin], [0, sin, cos]]
    )
    return Volume(volume.voxels, volume.spacing, volume.origin, turn @ np.asarray(volume.direction))


def picture() -> Volume:
    image, _ = made_heart(3)
    return Volume(image.voxels[2:3], (1.5, 1.5, 1.0), (0, 0, 0), np.eye(3))


VOLUMES = {
    "as stored": lambda: made_heart(1)[0],
    "oblique": lambda: turned(made_heart(1)[0]),
    "slices along the first axis": lambda: Reorient("SLP").apply(made_heart(1)[0])[0],
    "slices along the second axis": lambda: Reorient("ASL").apply(made_heart(1)[0])[0],
    "one slice": picture,
    "larger than the crop": lambda: made_heart(1, (3, 70, 64))[0],
    "a few pixels": lambda: made_heart(1, (2, 9, 12))[0],
}


@pytest.mark.parametrize("name", VOLUMES)
def test_results_and_maps_lie_on_the_input_s_voxels(name: str) -> None:
    volume = VOLUMES[name]()
    result = made_segmenter().segment(volume, AutomaticOptions(maps=list(MAPS)))
    assert result.labels.same_grid(volume)
    assert result.labels.voxels.dtype == np.uint8
    assert set(np.unique(result.labels.voxels)) <= {0, *LABELS.values()}
    for found in result.maps.values():
        assert found.same_grid(volume)
        assert found.voxels.dtype == np.float32
        assert 0 <= found.voxels.min() <= found.voxels.max() <= 1


@pytest.mark.parametrize("code", ["SLP", "ASL", "LPS"])
def test_a_permuted_volume_gives_the_permuted_result(code: str) -> None:
    volume, segmenter = made_heart(2)[0], made_segmenter()
    plain = segmenter.segment(volume).labels
    other = segmenter.segment(Reorient(code).apply(volume)[0]).labels
    back = Reorient(volume.orientation).apply(other, label=True)[0]
    # Rows may have become columns for the networks, which then see another picture; slices stay slices.
    assert back.same_grid(volume)
    assert [one.any() for one in back.voxels] == [one.any() for one in plain.voxels]


def test_labels_have_the_values_of_the_card_and_only_those_wanted() -> None:
    volume = made_heart()[0]
    names = {"LV": 9, "RV": 4, "MYO": 200}
    # labels_of sorts by value: classes 1, 2, 3 are 4, 9, 200.
    everything = made_segmenter(labels=names).segment(volume).labels.voxels
    plain = made_segmenter().segment(volume).labels.voxels
    assert np.array_equal(everything, np.array([0, 4, 9, 200], np.uint8)[plain])
    some = made_segmenter(labels=names).segment(volume, AutomaticOptions(labels=[9, 200])).labels.voxels
    assert np.array_equal(some, np.where(everything == 4, 0, everything))


def test_quick_leaves_out_the_shape_correction() -> None:
    volume, segmenter = made_heart()[0], made_segmenter()
    quick = segmenter.segment(volume, AutomaticOptions(mode="quick"))
    alone = made_segmenter(tiny_plan(inference=InferencePlan(passes=1))).segment(volume)
    full = segmenter.segment(volume)
    assert np.array_equal(quick.labels.voxels, alone.labels.voxels)
    assert not np.array_equal(quick.labels.voxels, full.labels.voxels)


def test_quick_has_no_disagreement_and_says_so() -> None:
    options = AutomaticOptions(mode="quick", maps=[DISAGREEMENT, RESIDUAL])
    result = made_segmenter().segment(made_heart()[0], options)
    assert list(result.maps) == [RESIDUAL]
    assert any("shape correction" in note for note in result.notes)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_one_slice_at_a_time_gives_the_same(passes: int) -> None:
    plan = tiny_plan(inference=InferencePlan(passes=passes, chunk=4), typicality=usual_codes())
    volume, segmenter = made_heart()[0], made_segmenter(plan)
    whole, small = (
        segmenter.segment(volume, AutomaticOptions(small=small, maps=[UNCERTAINTY, RESIDUAL]))
        for small in (False, True)
    )
    assert np.array_equal(whole.labels.voxels, small.labels.voxels)
    for name in (UNCERTAINTY, RESIDUAL):
        assert np.allclose(whole.maps[name].voxels, small.maps[name].voxels, atol=1e-5)


@pytest.mark.parametrize(("limit", "told"), [(-1.0, True), (1e9, False)])
def test_slices_unlike_the_training_are_told_of(limit: float, told: bool) -> None:
    volume = made_heart()[0]
    result = made_segmenter(tiny_plan(typicality=usual_codes(limit))).segment(volume)
    assert any(f"All {volume.shape[0]} slices look unlike" in note for note in result.notes) == told


def test_a_result_at_the_border_of_the_crop_is_told_of() -> None:
    plan = tiny_plan(input=InputPlan(spacing_mm=1.5, crop=16))
    notes = made_segmenter(plan).segment(made_heart()[0]).notes
    assert any("24 mm wide" in note and "cut off" in note for note in notes)
    assert not made_segmenter().segment(made_heart()[0]).notes, "the crop holds all of the volume"


def test_progress_can_end_the_work() -> None:
    class EnoughError(Exception):
        """Raised on the way."""

    def stop(phase: str, step: int, total: int) -> None:
        if phase == "slices" and step:
            raise EnoughError

    plan = tiny_plan(inference=InferencePlan(chunk=1))
    with pytest.raises(EnoughError):
        made_segmenter(plan).segment(made_heart()[0], progress=stop)


def test_networks_for_several_channels_are_refused() -> None:
    plan = tiny_plan(network=NetworkPlan(channels=CHANNELS, image_channels=2))
    with pytest.raises(SegToolkitError, match="2 channels"):
        made_segmenter(plan)


def test_a_model_folder_is_described_and_loaded_by_its_card(tmp_path: Path) -> None:
    make_model(tmp_path / "tiny")
    card = read_card(tmp_path / "tiny")
    described = automatic.describe(card)
    assert described["modes"] == ["full", "quick"]
    assert described["maps"] == MAPS
    assert described["grid"] == "slices of 48 x 48 pixels of 1.5 mm"
    options = check_options(AutomaticOptions(maps=[UNCERTAINTY]), card, described)
    segmenter = automatic.load(tmp_path / "tiny", card, CPU, "auto")
    done = segment_volume(segmenter, card, made_heart()[0], options, described=described)
    assert [row.name for row in done.rows] == list(LABELS)
    assert list(done.result.maps) == [UNCERTAINTY]


def test_a_model_of_a_single_pass_offers_neither_quick_nor_disagreement(tmp_path: Path) -> None:
    card = make_model(tmp_path / "one", tiny_plan(inference=InferencePlan(passes=1)))
    described = automatic.describe(card)
    assert described["modes"] == ["full"]
    assert DISAGREEMENT not in described["maps"]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [([9.0, 0, 0], [9.0, 0, 0], 0.0), ([90.0, 0, 0], [0, 90.0, 0], 1.0), ([90.0, 0], [0.0, 0], 0.5)],
)
def test_disagreement_is_the_total_variation_distance(first: Any, last: Any, expected: float) -> None:
    maps = (torch.tensor(one).reshape(1, -1, 1, 1) for one in (first, last))
    assert float(disagreement(*maps)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("logits", "expected"), [([1.0, 1, 1, 1], 1.0), ([200.0, 0, 0, 0], 0.0)])
def test_uncertainty_is_the_entropy_in_parts_of_the_largest(logits: Any, expected: float) -> None:
    assert float(uncertainty(torch.tensor(logits).reshape(1, -1, 1, 1))) == pytest.approx(expected, abs=1e-6)


def test_only_the_largest_part_of_each_structure_is_kept_where_asked() -> None:
    networks = build_networks(NetworkPlan(channels=CHANNELS), 4, seed=0).eval()
    pixels = np.random.default_rng(0).random((3, 48, 48)).astype(np.float32)
    plain, kept = (
        predict(networks, pixels, InferencePlan(largest_component=keep)).labels for keep in (False, True)
    )
    assert set(np.unique(kept)) == set(np.unique(plain))
    assert (kept > 0).sum() < (plain > 0).sum()
    assert (kept[kept > 0] == plain[kept > 0]).all()
