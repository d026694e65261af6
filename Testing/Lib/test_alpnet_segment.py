"""Few-shot segmentation as a person uses it: support, query, grid, range, confidence, suggestion."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.matching import by_chunk, by_nearest_slice, by_relative_position
from SegToolkitLib.methods.alpnet.result import slice_confidence
from SegToolkitLib.methods.alpnet.segment import FewShotSegmenter
from SegToolkitLib.methods.alpnet.settings import NetworkSettings
from SegToolkitLib.methods.alpnet.slices import slice_axis, to_slices
from SegToolkitLib.models.card import Licence, ModelCard, Preprocessing
from SegToolkitLib.volume import CropBox, Reorient, Segment, Segmentation, Volume, prepare

SETTINGS = NetworkSettings(encoder="compact", compact_widths=(16, 16, 24, 32), channels=48)


def card(spacing: float | None = None) -> ModelCard:
    return ModelCard(
        name="test",
        title="test",
        method="alpnet",
        settings=SETTINGS.model_dump(mode="json"),
        preprocessing=Preprocessing(modality="MR", orientation="LAS", spacing=(spacing, spacing, None)),
        licence=Licence(name="none", permissive=True),
    )


class IntensityNetwork(torch.nn.Module):
    """Stands in for a trained encoder: each cell says which grey value it has.

    With it, whatever comes out at the wrong place is the fault of the code around the network.
    """

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        cells = torch.nn.functional.avg_pool2d(slices[:, None], 8)
        centres = torch.linspace(-3, 3, 13).reshape(1, -1, 1, 1)
        return torch.exp(-((cells - centres) ** 2) / 0.5)


def segmenter(spacing: float | None = None) -> FewShotSegmenter:
    return FewShotSegmenter(IntensityNetwork(), card(spacing), batch=4)  # type: ignore[arg-type]


def patient(depth: int = 6, size: int = 96, seed: int = 0) -> tuple[Volume, Volume]:
    """A bright and a dark column on a textured background, LAS, 1.5 x 1.5 x 6 mm."""
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 4, size=(depth, size, size))
    label = np.zeros((depth, size, size), dtype=np.uint8)
    label[:, 8:48, 8:48] = 1
    label[:, 48:88, 56:88] = 2
    image[label == 1] += 120
    image[label == 2] -= 80
    direction = np.diag([1.0, -1.0, 1.0])
    return (
        Volume(image.astype(np.float32), (1.5, 1.5, 6), (10, 20, -30), direction, "patient"),
        Volume(label, (1.5, 1.5, 6), (10, 20, -30), direction, "outline"),
    )


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.fixture(scope="module")
def outlined() -> FewShotSegmenter:
    tool = segmenter()
    image, label = patient()
    tool.set_support(image, label, [2], {1: "bright", 2: "dark"})
    return tool


def test_an_outline_on_one_slice_gives_the_rest_of_the_volume(outlined: FewShotSegmenter) -> None:
    image, label = patient()
    result = outlined.segment(image)
    for number, name in enumerate(("bright", "dark"), start=1):
        assert dice(result.labels.voxels == number, label.voxels == number) > 0.8, name
    assert [s.name for s in result.segmentation.segments] == ["bright", "dark"]


def test_another_patient_is_segmented_with_the_same_outline(outlined: FewShotSegmenter) -> None:
    image, label = patient(depth=8, seed=5)
    result = outlined.segment(image)
    assert dice(result.labels.voxels == 1, label.voxels == 1) > 0.8
    assert any("relative position" in note for note in result.notes)


@pytest.mark.parametrize("code", ["LAS", "RPI", "SLA", "ASR", "PIR", "IRA"])
def test_the_result_lies_on_the_querys_grid_whatever_its_orientation(
    outlined: FewShotSegmenter, code: str
) -> None:
    image, label = patient()
    turned = prepare(image, [Reorient(code)]).volume
    truth = prepare(label, [Reorient(code)]).volume
    result = outlined.segment(turned)
    assert result.labels.same_grid(turned)
    assert result.confidence.same_grid(turned)
    assert dice(result.labels.voxels == 1, truth.voxels == 1) > 0.8


def test_an_oblique_volume_with_other_pixels_comes_back_on_its_grid() -> None:
    image, label = patient()
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    tilted = Volume(image.voxels, image.spacing, image.origin, turn @ image.direction, "tilted")
    outline = Volume(label.voxels, image.spacing, image.origin, turn @ image.direction, "outline")
    tool = segmenter(spacing=2.0)
    tool.set_support(tilted, outline, [2], {1: "bright"})
    result = tool.segment(tilted)
    assert result.labels.same_grid(tilted)
    assert dice(result.labels.voxels == 1, label.voxels == 1) > 0.8


def test_a_slice_range_limits_what_is_labelled(outlined: FewShotSegmenter) -> None:
    image, _ = patient()
    result = outlined.segment(image, slices=(1, 3))
    assert result.labels.voxels[1:4].any((1, 2)).all()
    assert not result.labels.voxels[[0, 4, 5]].any()
    assert not result.confidence.voxels[[0, 4, 5]].any()
    assert sorted(result.slice_confidence) == [1, 2, 3]


def test_each_structure_may_have_its_own_range(outlined: FewShotSegmenter) -> None:
    image, _ = patient()
    labels = outlined.segment(image, slices={"bright": (0, 1), "dark": (3, 5)}).labels.voxels
    assert set(np.unique(labels[:2])) == {0, 1}
    assert set(np.unique(labels[3:])) == {0, 2}


def test_the_drawn_slice_comes_back_as_it_was_drawn(outlined: FewShotSegmenter) -> None:
    image, label = patient()
    assert np.array_equal(outlined.segment(image).labels.voxels[2], label.voxels[2])
    assert not np.array_equal(outlined.segment(image, keep_outlines=False).labels.voxels[2], label.voxels[2])


def test_the_next_slice_to_outline_is_the_least_certain_open_one(outlined: FewShotSegmenter) -> None:
    image, label = patient()
    spoilt = image.voxels.copy()
    spoilt[4][label.voxels[4] == 1] -= 60  # half way to the background
    result = outlined.segment(image.with_voxels(spoilt))
    assert result.next_slice == 4
    assert result.slice_confidence[4] == min(result.slice_confidence.values())
    assert result.slice_confidence[4] < result.slice_confidence[3]


def test_confidence_is_a_probability_on_every_computed_voxel(outlined: FewShotSegmenter) -> None:
    image, _ = patient()
    confidence = outlined.segment(image, reject=None, follow=None).confidence.voxels
    assert confidence.dtype == np.float32
    assert confidence.min() >= 0.5 - 1e-3
    assert confidence.max() <= 1
    assert outlined.segment(image).confidence.voxels.min() >= 0


def test_several_supports_are_used_together_and_names_keep_their_colours() -> None:
    tool = segmenter()
    image, label = patient()
    other, other_label = patient(seed=3)
    segments = [Segment(1, "bright", (0.1, 0.2, 0.3), "A~B~C~~D~~")]
    tool.add_support(image, Segmentation(label, segments), [1], {1: "bright"})
    tool.add_support(other, other_label, [0, 4], {1: "bright", 2: "dark"})
    assert tool.structures == ["bright", "dark"]
    result = tool.segment(patient(seed=8)[0])
    kept = result.segmentation.segments[0]
    assert (kept.name, kept.colour, kept.terminology) == ("bright", (0.1, 0.2, 0.3), "A~B~C~~D~~")
    assert dice(result.labels.voxels == 2, label.voxels == 2) > 0.8


def test_support_is_encoded_once_and_every_query_slice_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = segmenter()
    image, label = patient()
    tool.set_support(image, label, [1, 4], {1: "bright", 2: "dark"})
    encoded: list[int] = []
    original = tool.predictor.encode
    monkeypatch.setattr(tool.predictor, "encode", lambda s: (encoded.append(len(s)), original(s))[1])
    for seed in (5, 6):
        tool.segment(patient(seed=seed)[0])
    assert sum(encoded) == 2 + 6 + 6


def test_confidence_falls_with_doubt_and_with_what_our_rules_took_away() -> None:
    mask = np.zeros((3, 10, 10), dtype=bool)
    mask[:, :5] = True
    sure = mask.astype(np.float32)
    sure[1] = np.where(mask[1], 0.6, 0.4)
    sure[2, 7:9] = 0.9  # found, and taken away
    confidence, worth = slice_confidence(sure[None], mask[None])
    assert worth.all()
    assert confidence.tolist() == pytest.approx([1.0, 50 / (50 + 40), 50 / (50 + 18)], abs=1e-3)


def test_only_slices_that_show_a_good_part_of_a_structure_are_suggested(outlined: FewShotSegmenter) -> None:
    image, _ = patient(depth=9)
    voxels = image.voxels.copy()
    voxels[6:] = np.random.default_rng(0).normal(100, 4, voxels[6:].shape)  # both structures end
    result = outlined.segment(image.with_voxels(voxels), slices=None)
    assert not result.labels.voxels[6:].any()
    assert result.next_slice is not None
    assert result.next_slice < 6


def test_outlining_a_second_slice_later_is_the_same_as_outlining_both_at_once() -> None:
    image, label = patient()
    together, later = segmenter(), segmenter()
    together.set_support(image, label, [1, 4], {1: "bright"})
    later.set_support(image, label, [1], {1: "bright"})
    later.add_support(image, label, [4], {1: "bright"})
    first, second = together.segment(image), later.segment(image)
    assert np.array_equal(first.labels.voxels, second.labels.voxels)
    assert np.array_equal(first.confidence.voxels, second.confidence.voxels)


@pytest.mark.parametrize("slices", [None, (0, 11)])
def test_a_volume_stored_head_first_gets_the_same_outlines(
    monkeypatch: pytest.MonkeyPatch, slices: tuple[int, int] | None
) -> None:
    image, label = patient(depth=12)
    query, _ = patient(depth=12, seed=9)
    tool = segmenter()
    tool.set_support(image, label, [1, 10], {1: "bright"})
    used: list[list[tuple[int, int]]] = []
    original = tool._shots
    monkeypatch.setattr(
        tool,
        "_shots",
        lambda *a: (lambda found: (used.append([found[z][0] for z in sorted(found)]), found)[1])(
            original(*a)
        ),
    )
    upright = tool.segment(query, slices).labels
    turned = tool.segment(prepare(query, [Reorient("LAI")]).volume, slices).labels
    assert [z for _, z in used[0]] == [z for _, z in reversed(used[1])]
    assert {z for _, z in used[0]} == {1, 10}
    assert np.array_equal(upright.voxels, turned.voxels[::-1])


def test_volumes_sliced_along_different_directions_are_not_compared() -> None:
    image, label = patient()
    tool = segmenter()
    tool.set_support(image, label, [1], {1: "bright"})
    coronal = Volume(image.voxels, (1.5, 1.5, 6), image.origin, np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]))
    with pytest.raises(SegToolkitError, match="different directions"):
        tool.segment(coronal)


def test_two_labels_of_one_name_are_one_structure() -> None:
    image, label = patient()
    tool = segmenter()
    tool.set_support(image, label, [2], {1: "both", 2: "both"})
    assert tool.structures == ["both"]
    assert np.array_equal(tool.segment(image).labels.voxels[2] > 0, label.voxels[2] > 0)


def test_a_support_that_cannot_be_used_leaves_the_earlier_one() -> None:
    image, label = patient()
    tool = segmenter()
    tool.set_support(image, label, [2], {1: "bright"})
    with pytest.raises(SegToolkitError):
        tool.set_support(image, label.with_voxels(label.voxels * 0))
    assert tool.structures == ["bright"]
    assert tool.segment(image).labels.voxels.any()


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda t, i, lab: t.segment(i), "No structure"),
        (lambda t, i, lab: t.set_support(i, lab, [9]), "Slice 9 does not exist"),
        (lambda t, i, lab: t.set_support(i, lab.with_voxels(lab.voxels * 0)), "is empty"),
        (lambda t, i, lab: t.set_support(i, lab, [1], {7: "ghost"}), "ghost is not outlined"),
        (lambda t, i, lab: (t.set_support(i, lab, [1]), t.segment(i, slices=(3, 99))), "3 to 99"),
        (lambda t, i, lab: (t.set_support(i, lab, [1]), t.segment(i, structures=["x"])), "'x' has not"),
        (
            lambda t, i, lab: t.set_support(
                i, Volume(lab.voxels[:3], lab.spacing, lab.origin, lab.direction)
            ),
            "voxels",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence_with_a_hint(call, word: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SegToolkitError) as error:
        call(segmenter(), *patient())
    assert word in error.value.message
    assert error.value.hint


@pytest.mark.parametrize(
    ("spacing", "shape", "expected"),
    [
        ((1, 1, 5), (10, 64, 64), 2),
        ((5, 1, 1), (64, 64, 10), 0),
        ((1, 1, 1), (64, 64, 64), 2),
        ((1, 1, 1), (1, 64, 64), 2),
    ],
)
def test_slices_are_taken_across_the_coarsest_axis(
    spacing: tuple[float, float, float], shape: tuple[int, int, int], expected: int
) -> None:
    volume = Volume(np.zeros(shape), spacing, (0, 0, 0), np.eye(3))
    assert slice_axis(volume, "acquired") == expected


@pytest.mark.parametrize(("plane", "axis"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
def test_slice_numbers_are_those_of_the_volume_in_every_plane(plane: str, axis: int) -> None:
    image, _ = patient(depth=20)
    stack = to_slices(image, card().preprocessing, plane)  # type: ignore[arg-type]
    assert stack.axis == axis
    own = np.moveaxis(image.voxels, 2 - axis, 0)
    for z in (0, 7, len(stack) - 1):
        assert stack.prepared.volume.voxels[z].sum() == pytest.approx(float(own[z].sum()), rel=1e-4)


def test_chunks_are_the_authors_and_other_rules_are_by_distance() -> None:
    assert by_chunk([2, 10, 11, 19, 20, 40], 2, 29, 3) == [0, 0, 1, 1, 2, 2]
    assert by_chunk([5, 9], 7, 7, 3) == [0, 0]
    assert by_relative_position([0, 5, 9], 10, [2, 10, 18], 20) == [0, 1, 2]
    assert by_nearest_slice([0, 4, 6, 30], [2, 8]) == [0, 0, 1, 1]


def test_a_full_label_map_and_one_slice_give_the_structures_on_that_slice() -> None:
    image, label = patient()
    partly = label.voxels.copy()
    partly[3][partly[3] == 2] = 0
    tool = segmenter()
    tool.set_support(image, label.with_voxels(partly), [3])
    assert tool.structures == ["label 1"]
    tool.add_support(image, label.with_voxels(partly), [1])
    assert tool.structures == ["label 1", "label 2"]


def test_a_mask_that_slicer_cropped_is_put_back_in_its_place() -> None:
    image, label = patient()
    box = prepare(label, [CropBox((4, 4, 1), (92, 92, 5))]).volume
    tool = segmenter()
    tool.set_support(image, Segmentation(box, [Segment(1, "bright", (1, 0, 0))]), [2], {1: "bright"})
    assert np.array_equal(tool.segment(image).labels.voxels[2] > 0, label.voxels[2] == 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda image, label: FewShotSegmenter(IntensityNetwork(), card(), batch=0),  # type: ignore[arg-type]
        lambda image, label: segmenter().set_support(image, label, [2], {0: "air"}),
        lambda image, label: segmenter().set_support(
            image, label.with_voxels(-label.voxels.astype(np.int16))
        ),
        lambda image, label: FewShotSegmenter(IntensityNetwork(), card(), device="gpu7"),  # type: ignore[arg-type]
    ],
)
def test_values_that_make_no_sense_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SegToolkitError) as error:
        call(*patient())
    assert error.value.hint


@pytest.mark.parametrize("wrong", [{"structures": []}, {"reject": 2.0}, {"slices": {"nobody": (0, 1)}}])
def test_questions_that_make_no_sense_are_refused(outlined: FewShotSegmenter, wrong: dict) -> None:
    with pytest.raises(SegToolkitError):
        outlined.segment(patient()[0], **wrong)


def test_a_constant_volume_is_named() -> None:
    image, label = patient()
    with pytest.raises(SegToolkitError, match="voxel of patient has the same value"):
        segmenter().set_support(image.with_voxels(image.voxels * 0 + 7), label, [2])


def test_slices_along_the_trained_axis_keep_the_trained_columns_and_rows() -> None:
    """A network that learnt from volumes with exchanged columns and rows must see them so."""
    voxels = np.random.default_rng(0).normal(size=(5, 30, 20)).astype(np.float32)
    volume = prepare(Volume(voxels, (1, 2, 6), (0, 0, 0), np.eye(3)), [Reorient("PLS")]).volume
    plan = Preprocessing(modality="MR", orientation="PLS", spacing=(2.0, 1.0, None))
    stack = to_slices(volume, plan)
    assert stack.prepared.volume.orientation == "PLS"
    assert stack.pixels.shape == volume.voxels.shape
    assert np.allclose(stack.pixels, (volume.voxels - volume.voxels.mean()) / volume.voxels.std(), atol=1e-4)
    assert to_slices(volume, plan, "coronal").prepared.volume.orientation == "LSP"
