"""PDCR and UAFR, sampled feature vectors: where they lie, what is around them, how apart classes are."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import silhouette_score

from pdcr_runs import WIDTHS, Heard, made_pictures, tiny, trained
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.sheet import label_colour
from SegToolkitLib.methods.pdcr_uafr import separation as separation_module
from SegToolkitLib.methods.pdcr_uafr.network import build_network
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings, Weights
from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan, ModelPlan, NetworkPlan, UafrPlan, Widths
from SegToolkitLib.methods.pdcr_uafr.segment import PdcrUafrSegmenter
from SegToolkitLib.methods.pdcr_uafr.separation import coordinates, separation, separation_within_images
from SegToolkitLib.methods.pdcr_uafr.slices import normalised, resized, stacked
from SegToolkitLib.methods.pdcr_uafr.vectors import Vectors, evenly, gather, layers_to_show
from SegToolkitLib.models.card import Label
from SegToolkitLib.volume import Reorient, Volume, read_volume, write_volume

pytestmark = pytest.mark.usefixtures("one_thread")

PLAN = ModelPlan(
    network=NetworkPlan(widths=Widths(**WIDTHS), uafr=UafrPlan(positions=("conv1",), hidden=2)),
    input=InputPlan(size=(48, 64)),
)
LABELS = [Label(value=3, name="a"), Label(value=7, name="b")]
CLASSES = {3: 1, 7: 2}


def segmenter(seed: int = 0) -> PdcrUafrSegmenter:
    state = build_network(PLAN.network, 3, seed=seed).state_dict()
    return PdcrUafrSegmenter(PLAN, state, LABELS, torch.device("cpu"))


def cloud(seed: int, count: int = 40, channels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, count)
    return rng.normal(0, 1, (count, channels)) + 2 * np.eye(channels)[classes], classes


@pytest.mark.parametrize("special", ["", "a class of one vector", "a vector of zeros", "lengths"])
def test_separation_is_what_pairs_of_vectors_give(special: str) -> None:
    features, classes = cloud(0)
    if special == "a class of one vector":
        classes[0] = 9
    if special == "a vector of zeros":
        features[0] = 0
    if special == "lengths":
        features *= np.arange(1, len(features) + 1)[:, None]
    found = separation(features, classes)
    assert found.silhouette == pytest.approx(silhouette_score(features, classes, metric="cosine"))
    length = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosines = (features / length) @ (features / length).T
    same = classes[:, None] == classes
    assert found.cosine_between == pytest.approx(cosines[~same].mean())
    assert found.cosine_within == pytest.approx(cosines[same & ~np.eye(len(same), dtype=bool)].mean())


def test_separation_has_no_value_where_it_has_no_pairs() -> None:
    features, _ = cloud(0)
    one = separation(features, np.zeros(len(features), int))
    assert np.isnan([one.silhouette, one.cosine_between]).all()
    assert np.isfinite(one.cosine_within)
    assert np.isnan(separation(features[:2], np.array([0, 1])).cosine_within)


def test_images_are_compared_within_themselves() -> None:
    # Two images whose classes have the same two directions, exchanged.
    features = np.tile(np.eye(2, dtype=np.float32), (4, 1))
    classes = np.array([0, 1, 0, 1, 1, 0, 1, 0])
    images = np.array([5, 5, 5, 5, 8, 8, 8, 8])
    shares = np.eye(2, dtype=np.float32)[classes]
    made = Vectors(features, shares, ["x"] * 8, np.zeros((8, 3), int), images)
    assert separation(features, made.classes).silhouette < 0.1
    inside, count = separation_within_images(made)
    assert (inside.silhouette, inside.cosine_within, inside.cosine_between, count) == (1, 1, 0, 2)
    # An image of one class says nothing.
    alone = Vectors(features, shares[:1].repeat(8, 0), ["x"] * 8, np.zeros((8, 3), int), images)
    assert separation_within_images(alone)[1] == 0


@pytest.mark.parametrize(
    ("counts", "wanted", "expected"),
    [
        ((90, 10), 20, (10, 10)),
        ((90, 3), 20, (17, 3)),
        ((50, 50, 50), 9, (3, 3, 3)),
        ((4, 2), 20, (4, 2)),
        ((30,), 5, (5,)),
    ],
)
def test_classes_have_as_many_vectors_as_there_can_be(
    counts: tuple[int, ...], wanted: int, expected: tuple[int, ...]
) -> None:
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    drawn = [evenly(classes, wanted, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    for one in drawn:
        assert torch.bincount(classes[one]).tolist() == list(expected)
        assert len(one.unique()) == len(one)
    assert drawn[0].equal(drawn[1])
    assert len(classes) <= wanted or not drawn[0].equal(drawn[2])


def test_two_coordinates_hold_all_of_a_plane() -> None:
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 1, 30)
    flat = np.column_stack([np.cos(angles), np.sin(angles)]) @ np.linalg.qr(rng.normal(0, 1, (6, 2)))[0].T
    points, explained = coordinates(flat * rng.uniform(1, 9, (30, 1)))
    assert explained == pytest.approx(1)
    expected = np.linalg.norm(flat[:, None] - flat, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points, axis=-1), expected, atol=1e-7)
    # Whichever sign a direction was found with, its largest part is made positive: no picture is turned.
    for side in (1, -1):
        axes = np.linalg.lstsq(side * (flat - flat.mean(0)), coordinates(side * flat)[0], rcond=None)[0]
        assert (axes[np.abs(axes).argmax(0), [0, 1]] > 0.1).all()
    narrow, _ = coordinates(rng.normal(0, 1, (5, 1)))
    assert narrow.shape == (5, 2)


def test_neighbours_stay_together_and_a_seed_means_the_same() -> None:
    rng = np.random.default_rng(0)
    classes = np.arange(40) % 2
    features = 10 * np.eye(4)[classes] + rng.normal(0, 1, (40, 4))
    first, again = (coordinates(features, "tsne", seed=3)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert silhouette_score(first, classes) > 0.5
    with pytest.raises(SegToolkitError) as caught:
        coordinates(features[:5], "tsne")
    assert caught.value.code == "too-few-vectors"


def test_layers_are_those_that_the_regulariser_compares_or_named_ones() -> None:
    network = build_network(PLAN.network, 3, seed=0)
    off = PdcrSettings(weights_of_terms=Weights(encoder=0, decoder=0, cross=0))
    usual = ["encoder.2", "encoder.3", "decoder.low", "decoder.mid"]
    for settings, names, expected in (
        (PdcrSettings(), [], [*usual, "cross.2", "cross.3"]),
        (off, [], usual),
        (off, ["cross.5", "aspp.conv1", "cross.5"], ["cross.5", "aspp.conv1"]),
    ):
        assert [layer.name for layer in layers_to_show(network, 16, settings, names)] == expected
    headless = build_network(PLAN.network.model_copy(update={"cross_heads": ()}), 3, seed=0)
    assert [layer.name for layer in layers_to_show(headless, 16, PdcrSettings())] == usual
    with pytest.raises(SegToolkitError, match=r"no layer 'wings'") as caught:
        layers_to_show(network, 16, off, ["wings"])
    assert "encoder.2" in caught.value.hint


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A sagittal volume of six slices, stored with its axes turned; one slice shows nothing."""
    rng = np.random.default_rng(0)
    labels = np.zeros((6, 40, 52), np.uint8)
    labels[1:, 8:25, 10:30] = 3
    labels[2:, 22:34, 28:45] = 7
    voxels = (labels * 30.0 + rng.normal(0, 9, labels.shape)).astype(np.int16)
    # k grows to the left: slices along it are sagittal ones.
    direction = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float)
    folder = tmp_path_factory.mktemp("case")
    for name, array in (("image", voxels), ("label", labels)):
        volume = Volume(array, (0.8, 0.9, 4), (5, 6, 7), direction, name)
        write_volume(Reorient("SPL").apply(volume)[0], folder / f"{name}.nii.gz")
    return Case("one", folder / "image.nii.gz", folder / "label.nii.gz")


def test_vectors_are_those_of_their_places(case: Case) -> None:
    model = segmenter()
    layers = layers_to_show(model.network, 16, PdcrSettings(), ["encoder.2", "decoder.mid", "aspp.conv1"])
    found = gather(model, [case], CLASSES, layers, per_image=24, seed=4)
    assert (found.images, found.empty, list(found.layers)) == (5, 1, [layer.name for layer in layers])
    labels = read_volume(case.label, label=True).voxels
    stack = stacked(read_volume(case.image), PLAN.input)
    with torch.inference_mode():
        pixels = resized(stack.pixels, PLAN.input.size)
        _, features = model.network.with_features(normalised(pixels, PLAN.input), ["encoder.2"])
    for name, one in found.layers.items():
        # The map of aspp.conv1 has 3 x 4 cells.
        count = 5 * (12 if name == "aspp.conv1" else 24)
        assert (len(one.features), len(one.cases), one.voxels.shape) == (count, count, (count, 3))
        np.testing.assert_allclose(one.shares.sum(1), 1, atol=1e-6)
        # What has nothing but one class around it is of that class, also in the file's own order of axes.
        pure = one.shares.max(1) > 0.999
        values = np.array([0, 3, 7])[one.classes]
        np.testing.assert_array_equal(labels[tuple(one.voxels[pure].T)], values[pure])
        assert pure.sum() > count / 4
    shown = found.layers["encoder.2"]
    assert set(shown.classes) == {0, 1, 2}
    kinds, counts = np.unique(shown.classes[shown.images == 2], return_counts=True)
    assert (kinds.tolist(), counts.tolist()) == ([0, 1, 2], [8, 8, 8])
    maps = features["encoder.2"].permute(0, 2, 3, 1).reshape(-1, features["encoder.2"].shape[1])
    apart = (torch.from_numpy(shown.features)[:, None] - maps).abs().amax(2).amin(1)
    assert float(apart.max()) < 1e-4 * float(maps.std())


def test_models_are_looked_at_in_the_same_places(case: Case) -> None:
    made = []
    for weights, seed in ((0, 1), (7, 1), (0, 2)):
        model = segmenter(weights)
        layers = layers_to_show(model.network, 16, PdcrSettings(), ["encoder.3"])
        made.append(gather(model, [case], CLASSES, layers, per_image=12, seed=seed).layers["encoder.3"])
    np.testing.assert_array_equal(made[0].voxels, made[1].voxels)
    assert not np.allclose(made[0].features, made[1].features)
    assert not np.array_equal(made[0].voxels, made[2].voxels)


def test_a_layer_without_a_map_and_cases_without_structures_are_refused(case: Case) -> None:
    model = segmenter()
    # Cross-layer heads are no part of a prediction, unless they are asked for by their feature.
    layers = layers_to_show(model.network, 16, PdcrSettings(), ["backbone.conv2_multilayerloss"])
    with pytest.raises(SegToolkitError) as caught:
        gather(model, [case], CLASSES, layers)
    assert caught.value.code == "no-features"
    layers = layers_to_show(model.network, 16, PdcrSettings())
    with pytest.raises(SegToolkitError) as caught:
        gather(model, [case], {9: 1}, layers)
    assert caught.value.code == "no-structure"
    heard = Heard()
    bare = Case("bare", case.image, None)
    found = gather(model, [bare, case], CLASSES, layers, 4, reporter=heard)
    assert list(found.failures) == ["bare"]
    assert found.images == 5
    assert "bare" in heard.warnings[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    folder = tmp_path_factory.mktemp("vectors")
    dataset = made_pictures(folder / "data")
    return trained(dataset, folder / "run", tiny("optimiser.epochs=1")), dataset


def called(run: tuple[Path, Dataset], out: Path, *more: str) -> int:
    where = ["--model", str(run[0]), "--dataset", str(run[1].folder), "--out", str(out)]
    return main(["visualise", "pdcr_uafr", *where, "--accept-licence", *more])


def test_the_command_writes_a_table_pictures_and_figures(run: tuple[Path, Dataset], tmp_path: Path) -> None:
    assert called(run, tmp_path / "out", "--per-image", "10") == 0
    told: dict[str, Any] = json.loads((tmp_path / "out" / "vectors.json").read_text(encoding="utf-8"))
    layers = ["encoder.2", "encoder.3", "decoder.low", "decoder.mid", "cross.2", "cross.3"]
    assert list(told["layers"]) == layers
    assert told["images"] == len(told["cases"]) == 2
    rows = list(csv.DictReader((tmp_path / "out" / "vectors.csv").open(encoding="utf-8")))
    columns = "case,slice,row,column,layer,class,share_background,share_spot,x,y"
    assert list(rows[0]) == columns.split(",")
    assert {row["case"] for row in rows} == set(told["cases"])
    for layer in layers:
        mine = [row for row in rows if row["layer"] == layer]
        one = told["layers"][layer]
        # The cross-layer heads have 12 cells alone, most of them skin.
        assert sum(one["vectors"].values()) == 20
        assert layer.startswith("cross.") or one["vectors"] == {"background": 10, "spot": 10}
        counts = [sum(row["class"] == name for row in mine) for name in one["vectors"]]
        assert counts == list(one["vectors"].values())
        assert -1 <= one["all_images"]["silhouette"] <= 1
        assert one["within_images"]["images"] == 2
        picture = Image.open(tmp_path / "out" / f"{layer}.png").convert("RGB")
        seen = {colour for _, colour in picture.getcolors(1 << 24) or []}
        assert {label_colour(1), (150, 150, 150)} <= seen
    for row in rows:
        assert 0 <= int(row["row"]) < 60
        assert 0 <= int(row["column"]) < 80
        assert int(row["slice"]) == 0
    # The same command says the same.
    before = (tmp_path / "out" / "vectors.csv").read_bytes()
    assert called(run, tmp_path / "out", "--per-image", "10") == 0
    assert (tmp_path / "out" / "vectors.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--cases", "1,2,3,4,5,6"], "was trained on case"),
        (["--layer", "wings"], "no layer 'wings'"),
        (["--method", "tsne"], "needs the Python package scikit-learn"),
        (["--method", "tsne", "--per-image", "2"], "t-SNE has only 4 vectors"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    run: tuple[Path, Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    sentence: str,
) -> None:
    if "scikit-learn" in sentence:
        monkeypatch.setattr(separation_module, "find_spec", lambda name: None)
    assert called(run, tmp_path / "out", *more) != 0
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_tsne_is_loaded_where_it_is_wanted_alone(run: tuple[Path, Dataset], tmp_path: Path) -> None:
    assert called(run, tmp_path / "out", "--method", "tsne", "--layer", "aspp.conv1") == 0
    told = json.loads((tmp_path / "out" / "vectors.json").read_text(encoding="utf-8"))
    assert list(told["layers"]) == ["aspp.conv1"]
    assert told["layers"]["aspp.conv1"]["explained"] is None
    assert (tmp_path / "out" / "aspp.conv1.png").is_file()
    assert "sklearn" in sys.modules
