"""The two-stage inference: equal to the specification step by step, whatever the grid of the volume."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
import torch

from cssn_plain import PlainPipeline
from SegToolkitLib.automatic.segmenter import AutomaticOptions
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.forward import for_inference, forward
from SegToolkitLib.methods.cssn.frame import canonical_view
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import InferencePlan, ModelPlan, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.prepare import Box
from SegToolkitLib.methods.cssn.segment import CssnSegmenter
from SegToolkitLib.methods.cssn.weights import for_stage
from SegToolkitLib.models.card import Label
from SegToolkitLib.volume import CropBox, Reorient, Volume
from SegToolkitLib.volume.lattice import sub_grid
from SegToolkitLib.volume.placing import onto_grid

CPU = torch.device("cpu")
DOUBT = AutomaticOptions(maps=["uncertainty"])
VALUES = (2, 3, 7)
LABELS = [Label(value=value, name=f"organ {value}") for value in VALUES]
NARROW = {"channels": (4, 8, 8, 8)}
PLAN = ModelPlan(
    coarse=StagePlan(network=NetworkPlan(kind="unet", **NARROW), size=(32, 24, 16)),
    fine=StagePlan(network=NetworkPlan(kind="efficient", blocks=(1, 1, 1), **NARROW), size=(32, 64, 32)),
)
# Left as they come out of the random networks, regions would be crumbs; these rules keep enough of them.
RULES: dict[str, Any] = {"coarse_least_mm3": 300, "fine_least_mm3": 200, "margin_mm": 6}
NOTHING_FOUND = {"coarse_least_mm3": 1e9}


def _plan(**rules: Any) -> ModelPlan:
    return PLAN.model_copy(update={"inference": InferencePlan(**(RULES | rules))})


def _networks() -> tuple[torch.nn.Module, torch.nn.Module]:
    assert PLAN.coarse
    assert PLAN.fine
    return build_network(PLAN.coarse, 3, seed=1).eval(), build_network(PLAN.fine, 3, seed=32).eval()


def _segmenter(plan: ModelPlan) -> CssnSegmenter:
    coarse, fine = _networks()
    state = for_stage(coarse.state_dict(), "coarse") | for_stage(fine.state_dict(), "fine")
    return CssnSegmenter(plan, state, LABELS, CPU)


def _scan(shape: tuple[int, int, int] = (40, 36, 44), dtype: Any = np.int16) -> Volume:
    """Blobs of tissue in air, head first and face up (RAS)."""
    random = np.random.default_rng(5)
    place = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    voxels = np.full(shape, -1000.0)
    for _ in range(7):
        centre, radius = random.uniform(-0.6, 0.6, 3), random.uniform(0.2, 0.5)
        voxels[((place - centre[:, None, None, None]) ** 2).sum(0) < radius**2] = random.uniform(-200, 300)
    voxels += random.normal(0, 10, shape)
    return Volume(
        voxels.astype(dtype), (2.0, 1.7, 3.1), (5.0, -7.0, 11.0), np.diag([-1.0, -1.0, 1.0]), "scan"
    )


def _oblique(volume: Volume) -> Volume:
    a, b = np.deg2rad([17, -11])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    direction = about_z @ about_x @ volume.direction
    return Volume(volume.voxels, volume.spacing, volume.origin, direction, "oblique")


ORIENTATIONS = ["".join(code) for order in permutations(["RL", "AP", "SI"]) for code in product(*order)]


@pytest.fixture(scope="module")
def expected() -> Volume:
    scan = _scan()
    labels = PlainPipeline(_plan(), *_networks(), VALUES).segment(scan)
    assert set(np.unique(labels)) == {0, *VALUES}, "the scan must show every organ, or the tests test little"
    assert (labels == 0).mean() > 0.3
    return scan.with_voxels(labels)


def test_equals_the_specification_step_by_step(expected: Volume) -> None:
    result = _segmenter(_plan()).segment(_scan())
    assert (result.labels.voxels == expected.voxels).mean() > 0.9995
    assert result.labels.voxels.dtype == np.uint8
    assert set(result.seconds) == {"resample", "coarse", "box", "fine", "restore"}
    assert not result.notes


@pytest.fixture(scope="module")
def doubt() -> Volume:
    return _segmenter(_plan()).segment(_scan(), DOUBT).maps["uncertainty"]


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_views_are_what_reorienting_gives(code: str) -> None:
    turned = Reorient(code).apply(_scan((3, 4, 5)))[0]
    wanted = Reorient("RAS").apply(turned)[0]
    view, frame = canonical_view(turned)
    assert (view == wanted.voxels).all()
    assert frame.spacing == wanted.spacing[::-1]
    box = Box((1, 0, 2), (3, 2, 5))
    part = sub_grid(turned.grid, *frame.box(box, turned.grid))
    cropped = CropBox(box.start[::-1], box.stop[::-1]).apply(wanted)[0]
    assert part.same(Reorient(code).apply(cropped)[0].grid)


@pytest.mark.parametrize("code", ["RAS", "LPS", "LAI", "PIR", "SLA"])
def test_every_orientation_has_the_same_result_at_the_same_place(
    code: str, expected: Volume, doubt: Volume
) -> None:
    turned = Reorient(code).apply(_scan())[0]
    result = _segmenter(_plan()).segment(turned, DOUBT)
    assert result.labels.same_grid(turned)
    back = onto_grid(result.labels, expected, label=True)
    assert (back.voxels == expected.voxels).mean() > 0.9995
    assert np.allclose(
        onto_grid(result.maps["uncertainty"], doubt, label=False).voxels, doubt.voxels, atol=1e-3
    )


@pytest.mark.parametrize(
    "dtype", [np.int16, np.int32, np.float32, np.float64, ">i2"], ids=lambda kind: np.dtype(kind).str
)
def test_number_type_of_the_volume_does_not_matter(dtype: Any, expected: Volume) -> None:
    voxels = _scan().voxels.astype(dtype)
    result = _segmenter(_plan()).segment(_scan().with_voxels(voxels))
    assert (result.labels.voxels == expected.voxels).mean() > 0.9995


def test_two_bytes_a_number_give_nearly_the_same(expected: Volume) -> None:
    """The way of a GPU, as far as a processor can go it."""
    coarse, fine = _networks()
    state = for_stage(coarse.state_dict(), "coarse") | for_stage(fine.state_dict(), "fine")
    segmenter = CssnSegmenter(_plan(), state, LABELS, CPU, "bfloat16")
    result = segmenter.segment(_scan(), AutomaticOptions(small=True))
    assert (result.labels.voxels == expected.voxels).mean() > 0.9


def test_oblique_volumes_are_taken_along_the_nearest_axes(expected: Volume) -> None:
    tilted = _oblique(_scan())
    result = _segmenter(_plan()).segment(tilted)
    assert result.labels.same_grid(tilted)
    assert (result.labels.voxels == expected.voxels).mean() > 0.9995


@pytest.mark.parametrize("shape", [(1, 30, 34), (30, 1, 34), (2, 3, 2), (1, 1, 1), (7, 90, 40)])
def test_thin_and_tiny_volumes_have_a_result_on_their_own_grid(shape: tuple[int, int, int]) -> None:
    scan = Volume(np.random.default_rng(0).normal(0, 200, shape), (3, 4, 5), (0, 0, 0), np.eye(3))
    for options in (DOUBT, AutomaticOptions(mode="quick")):
        assert _segmenter(_plan()).segment(scan, options).labels.same_grid(scan)


def test_padding_far_below_air_does_not_break_half_precision_ranges() -> None:
    voxels = _scan().voxels.astype(np.float32)
    voxels[:, :3] = -1e5
    result = _segmenter(_plan()).segment(_scan().with_voxels(voxels))
    assert result.labels.voxels.any()


@pytest.mark.parametrize("on_empty", ["whole", "empty"])
def test_nothing_found_by_the_coarse_stage_is_said_and_handled(on_empty: str) -> None:
    result = _segmenter(_plan(on_empty=on_empty, **NOTHING_FOUND)).segment(_scan())
    assert len(result.notes) == 1
    assert result.labels.voxels.any() == (on_empty == "whole")
    assert ("empty" in result.notes[0]) == (on_empty == "empty")


def test_only_the_chosen_organs_are_labelled(expected: Volume) -> None:
    result = _segmenter(_plan()).segment(_scan(), AutomaticOptions(labels=[3]))
    found = result.labels.voxels
    assert set(np.unique(found)) == {0, 3}
    # What other organs had been painted over is shown, too.
    assert (found == 3)[expected.voxels == 3].mean() > 0.999


def test_region_of_is_where_the_organs_lie() -> None:
    box = _segmenter(_plan()).region_of(_scan())
    assert all(0 <= a < b <= n for a, b, n in zip(box.start, box.stop, _scan().shape, strict=True))
    whole = _segmenter(_plan(**NOTHING_FOUND)).region_of(_scan())
    assert whole.shape == _scan().shape


@pytest.mark.parametrize("kept", ["coarse", "fine"])
def test_a_model_of_one_stage_labels_the_whole_volume(kept: str) -> None:
    plan = _plan()
    both = _segmenter(plan)
    state = {}
    for stage, network in zip(("coarse", "fine"), _networks(), strict=True):
        if stage == kept:
            state = for_stage(network.state_dict(), stage)
    alone = CssnSegmenter(
        plan.model_copy(update={("fine" if kept == "coarse" else "coarse"): None}),
        state,
        LABELS,
        CPU,
    )
    result = alone.segment(_scan())
    assert result.labels.voxels.any()
    if kept == "coarse":
        quick = both.segment(_scan(), AutomaticOptions(mode="quick"))
        assert (quick.labels.voxels == result.labels.voxels).all()
        assert "fine" not in quick.seconds


def test_exclusive_gives_each_voxel_to_the_largest_logit() -> None:
    rules = {"exclusive": True, "fine_least_mm3": 0, "components": dict.fromkeys(VALUES)}
    plan = _plan(**rules).model_copy(update={"coarse": None})
    _, fine = _networks()
    segmenter = CssnSegmenter(plan, for_stage(fine.state_dict(), "fine"), LABELS, CPU)
    scan = _scan()
    found = segmenter.segment(scan).labels.voxels
    logits = _fine_logits(scan, fine)
    wanted = np.where(logits.max(0) >= 0, np.array(VALUES)[logits.argmax(0)], 0)
    assert (found == wanted).mean() > 0.9995


def test_doubt_is_one_at_the_threshold_and_none_far_from_it() -> None:
    plan = _plan().model_copy(update={"coarse": None})
    _, fine = _networks()
    segmenter = CssnSegmenter(plan, for_stage(fine.state_dict(), "fine"), LABELS, CPU)
    found = segmenter.segment(_scan(), DOUBT).maps["uncertainty"]
    margin = 1 - np.abs(2 / (1 + np.exp(-_fine_logits(_scan(), fine))) - 1)
    assert np.abs(found.voxels - margin.max(0)).max() < 0.006
    assert found.voxels.max() > 0.9


def _fine_logits(scan: Volume, network: torch.nn.Module) -> np.ndarray:
    """Of the whole volume, at its own size."""
    assert PLAN.fine
    x = torch.from_numpy(scan.voxels.astype(np.float32))[None, None]
    small = torch.nn.functional.interpolate(x, PLAN.fine.size, mode="trilinear", align_corners=True)
    small = small.clamp(*PLAN.fine.intensity.window)
    with torch.no_grad():
        logits = network((small - small.mean()) / (small.std() + 1e-5))
    full = torch.nn.functional.interpolate(logits, scan.shape, mode="trilinear", align_corners=True)
    return full[0].numpy()


def test_a_colour_picture_is_refused() -> None:
    picture = Volume(np.zeros((1, 8, 8, 3), np.uint8), (1, 1, 1), (0, 0, 0), np.eye(3))
    with pytest.raises(SegToolkitError) as caught:
        _segmenter(_plan()).segment(picture)
    assert caught.value.code == "colour-volume"


@pytest.mark.parametrize(
    ("kind", "size", "channels"),
    [
        ("unet", (32, 48, 32), (4, 6, 8, 8, 8)),
        ("unet", (40, 24, 32), (16, 8, 8, 8)),
        ("efficient", (64, 64, 128), (4, 4, 8, 8, 8)),
        ("efficient", (32, 64, 40), (6, 4, 8, 8)),
    ],
)
def test_fast_forward_equals_the_networks(kind: str, size: Any, channels: Any) -> None:
    network = NetworkPlan(kind=kind, channels=channels, blocks=(2,) * (len(channels) - 1))
    model = build_network(StagePlan(network=network, size=size), 5, seed=3).eval()
    x = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(0)) * 2 + 1
    with torch.no_grad():
        expected = model(x)
    got = forward(for_inference(model, CPU, torch.float32), x)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 1e-4 * expected.abs().max()
