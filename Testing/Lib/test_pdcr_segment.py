"""PDCR and UAFR, use: pictures and volumes on their own grid, maps, evaluation, the authors' checkpoints."""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pdcr_runs import WIDTHS, Heard, made_pictures, picture, tiny, trained
from SegToolkitLib.automatic.inputs import find_images
from SegToolkitLib.automatic.run import check_options, segment_volume
from SegToolkitLib.automatic.segmenter import AutomaticOptions
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.image_scores import ImageScores
from SegToolkitLib.evaluation.scoring import generic, score_case
from SegToolkitLib.methods.pdcr_uafr import automatic
from SegToolkitLib.methods.pdcr_uafr.commands import COMMANDS
from SegToolkitLib.methods.pdcr_uafr.evaluate import Protocol, evaluate, write_evaluation
from SegToolkitLib.methods.pdcr_uafr.exchange import export_authors, import_authors, labels_named
from SegToolkitLib.methods.pdcr_uafr.network import build_network
from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan, ModelPlan, NetworkPlan, UafrPlan, Widths
from SegToolkitLib.methods.pdcr_uafr.predict import predict, uncertainty
from SegToolkitLib.methods.pdcr_uafr.segment import PdcrUafrSegmenter
from SegToolkitLib.methods.pdcr_uafr.service import Service
from SegToolkitLib.methods.pdcr_uafr.slices import normalised, resized, stacked
from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing
from SegToolkitLib.models.folder import load_state, save_model
from SegToolkitLib.volume import Reorient, Volume, read_volume, write_volume

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
PLAN = ModelPlan(
    network=NetworkPlan(widths=Widths(**WIDTHS), uafr=UafrPlan(positions=("conv1", "decoder"), hidden=2)),
    input=InputPlan(size=(48, 64)),
)
LABELS = [Label(value=3, name="a"), Label(value=7, name="b")]


def model_card(modality: Any = "MR", labels: list[Label] | None = None) -> ModelCard:
    return ModelCard(
        name="made",
        title="Made",
        method="pdcr_uafr",
        settings=PLAN.model_dump(mode="json"),
        labels=labels or LABELS,
        preprocessing=Preprocessing(modality=modality),
        licence=Licence(name="CC0 1.0", permissive=True),
    )


@pytest.fixture(scope="module")
def segmenter() -> PdcrUafrSegmenter:
    network = build_network(PLAN.network, 3, seed=0)
    network.eval()
    with torch.no_grad():  # fresh weights find one class alone
        images = normalised(resized(stacked(volume(), PLAN.input).pixels, PLAN.input.size), PLAN.input)
        network.decoder.last_conv3.bias.sub_(network(images).mean((0, 2, 3)))
    return PdcrUafrSegmenter(PLAN, network.state_dict(), LABELS, CPU)


def volume() -> Volume:
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 300, (3, 8, 10))
    voxels = np.kron(coarse, np.ones((1, 5, 5))).astype(np.int16)
    return Volume(voxels, (0.8, 0.9, 6), (5, 6, 7), np.eye(3), "made")


def test_a_card_tells_what_there_is() -> None:
    described = automatic.describe(model_card())
    assert described["modes"] == ["full"]
    assert described["maps"] == {
        "uncertainty": "Uncertainty",
        "confidence_conv1": "Feature confidence (first layer)",
        "confidence_decoder": "Feature confidence (decoder)",
    }
    assert described["grid"] == "slices, seen at 64 x 48 pixels"
    assert automatic.describe(model_card("picture"))["grid"].startswith("pictures")


@pytest.mark.parametrize("code", ["LPS", "RAI", "SPL", "ASR"])
def test_results_lie_on_the_inputs_grid(segmenter: PdcrUafrSegmenter, code: str) -> None:
    maps = ["uncertainty", "confidence_conv1", "confidence_decoder"]
    expected = segmenter.segment(volume(), AutomaticOptions(maps=maps))
    assert set(np.unique(expected.labels.voxels)) == {0, 3, 7}
    turned = Reorient(code).apply(volume())[0]
    found = segmenter.segment(turned, AutomaticOptions(maps=maps))
    assert found.labels.same_grid(turned)
    np.testing.assert_array_equal(Reorient("LPS").apply(found.labels)[0].voxels, expected.labels.voxels)
    for name in maps:
        one = found.maps[name]
        assert one.same_grid(turned)
        assert one.voxels.dtype == np.float32
        assert 0 <= one.voxels.min() < one.voxels.max() <= 1
        np.testing.assert_allclose(
            Reorient("LPS").apply(one)[0].voxels, expected.maps[name].voxels, atol=1e-5
        )


def test_an_oblique_volume_keeps_its_grid(segmenter: PdcrUafrSegmenter) -> None:
    turn = np.deg2rad(20)
    direction = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    straight = volume()
    oblique = Volume(straight.voxels, straight.spacing, straight.origin, direction)
    found = segmenter.segment(oblique).labels
    assert found.same_grid(oblique)
    np.testing.assert_array_equal(found.voxels, segmenter.segment(straight).labels.voxels)


def test_structures_can_be_chosen_and_memory_saved(segmenter: PdcrUafrSegmenter) -> None:
    whole = segmenter.segment(volume()).labels.voxels
    one = segmenter.segment(volume(), AutomaticOptions(labels=[7])).labels.voxels
    np.testing.assert_array_equal(one, np.where(whole == 7, 7, 0))
    small = segmenter.segment(volume(), AutomaticOptions(small=True)).labels.voxels
    assert (small == whole).mean() > 0.999
    steps: list[tuple[str, int, int]] = []
    segmenter.segment(volume(), progress=lambda *step: steps.append(step))
    assert [step for step in steps if step[0] == "slices"] == [("slices", 0, 3), ("slices", 3, 3)]


def test_a_colour_picture_is_taken_by_models_for_pictures_alone(segmenter: PdcrUafrSegmenter) -> None:
    image = Volume(picture(0)[0][None], (1, 1, 1), (0, 0, 0), np.eye(3), "photo")
    card = model_card("picture")
    options = check_options(AutomaticOptions(maps=["uncertainty"]), card, automatic.describe(card))
    done = segment_volume(segmenter, card, image, options)
    assert done.result.labels.shape == (1, 60, 80)
    assert done.result.maps["uncertainty"].shape == (1, 60, 80)
    found = done.result.labels.voxels[0]
    for row in done.rows:
        assert row.voxels == (found == row.value).sum()
        if row.voxels:
            assert row.mean == pytest.approx(picture(0)[0][found == row.value].mean())
    with pytest.raises(SegToolkitError, match="colour picture"):
        segment_volume(segmenter, model_card("MR"), image, options)


def test_uncertainty_is_the_entropy_in_parts_of_the_largest() -> None:
    logits = torch.tensor([[0.0, 0, 0], [100, 0, 0]]).reshape(2, 3, 1, 1)
    torch.testing.assert_close(uncertainty(logits).flatten(), torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("resize", ["first", "after"])
def test_slices_come_in_parts_with_the_same_result(segmenter: PdcrUafrSegmenter, resize: Any) -> None:
    stack = stacked(volume(), PLAN.input)
    plans = [
        PLAN.model_copy(
            update={"inference": PLAN.inference.model_copy(update={"chunk": n, "resize": resize})}
        )
        for n in (1, 2, 8)
    ]
    found = [predict(segmenter.network, stack.pixels, plan, maps=["uncertainty"]) for plan in plans]
    for one in found[1:]:
        assert (one.classes == found[0].classes).mean() > 0.999
        np.testing.assert_allclose(one.maps["uncertainty"], found[0].maps["uncertainty"], atol=1e-4)


def test_folders_of_pictures_are_taken_by_models_for_pictures(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.PNG", "label_a.png", ".c.png", "notes.txt"):
        (tmp_path / name).touch()
    found, left_out = find_images([tmp_path], pictures=True)
    assert [path.name for path in found] == ["a.jpg", "b.PNG"]
    assert [path.name for path in left_out] == ["label_a.png"]
    with pytest.raises(SegToolkitError, match="holds pictures"):
        find_images([tmp_path])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """A trained model, and its data set."""
    folder = tmp_path_factory.mktemp("model")
    dataset = made_pictures(folder / "data", value=255)
    settings = tiny(
        "optimiser.epochs=15", "optimiser.learning_rate=0.01", "snapshot_every=100", "network.dropout=0"
    )
    return trained(dataset, folder / "run", settings), dataset


def _run(verb: str, *words: object) -> tuple[dict[str, object], Heard]:
    parser, heard = ArgumentParser(), Heard()
    COMMANDS[verb].add_arguments(parser)
    return COMMANDS[verb].run(parser.parse_args([str(word) for word in words]), heard), heard


def test_a_model_is_evaluated_image_by_image(model: tuple[Path, Dataset], tmp_path: Path) -> None:
    folder, dataset = model
    _, heard = _run(
        "evaluate", "--model", folder, "--dataset", dataset.folder, "--out", tmp_path, "--device", "cpu"
    )
    with (tmp_path / "images.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["resize"] for row in rows] == ["first", "first", "after", "after"]
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    segmenter = automatic.load(folder, ModelCard.model_validate(card), CPU, "auto")
    for row in rows[:2]:
        case = dataset.case(row["image"])
        found = segmenter.segment(read_volume(case.image), AutomaticOptions()).labels.voxels
        table = Confusion(2)
        table.add((np.asarray(Image.open(case.label)) > 127).astype(np.uint8), found[0])
        scores = ImageScores.of(table)
        assert float(row["foreground_dice"]) == pytest.approx(scores.foreground_dice, abs=1e-4)
        assert float(row["all_class_iou"]) == pytest.approx(scores.all_class_iou, abs=1e-4)
    means = [float(row["foreground_dice"]) for row in rows[:2]]
    assert results["means"]["first"]["macro"]["foreground_dice"]["mean"] == pytest.approx(
        np.mean(means), abs=1e-4
    )
    assert any("resize after: foreground dice" in text for text in heard.infos)


def test_volumes_have_a_surface_dice_and_pictures_have_none(
    segmenter: PdcrUafrSegmenter, tmp_path: Path
) -> None:
    turned = Reorient("ASR").apply(volume())[0]
    found = segmenter.segment(turned, AutomaticOptions()).labels
    truth = found.with_voxels(np.roll(found.voxels, 2, axis=1))
    write_volume(turned, tmp_path / "image_a.nii.gz")
    write_volume(truth, tmp_path / "label_a.nii.gz")
    image, mask = picture(3)
    Image.fromarray(image).save(tmp_path / "image_b.png")
    Image.fromarray((mask * 3).astype(np.uint8)).save(tmp_path / "label_b.png")
    files = {"a": ".nii.gz", "b": ".png"}
    cases = [
        Case(id, tmp_path / f"image_{id}{end}", tmp_path / f"label_{id}{end}") for id, end in files.items()
    ]
    protocol = Protocol(resizes=("first",), tolerance_mm=1.0)
    evaluated = evaluate(segmenter, cases, {3: 1, 7: 2}, protocol, Heard())
    write_evaluation(tmp_path / "out", evaluated, protocol, {1: "a", 2: "b"}, {})
    rules = generic({"a": 3, "b": 7}, 1.0)
    expected = score_case("a", truth.voxels, found.voxels, found.spacing[::-1], rules)
    with (tmp_path / "out" / "images.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream)}
    assert 0 < expected[0].nsd < 1
    for row in expected:
        assert float(rows["a"][f"nsd_{row.organ}"]) == pytest.approx(row.nsd, abs=1e-5)
    assert rows["b"]["foreground_nsd"] == rows["b"]["nsd_a"] == "nan"
    means = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["means"]["first"]
    assert means["macro"]["foreground_nsd"]["count"] == 1
    assert means["macro"]["foreground_nsd"]["mean"] == pytest.approx(np.mean([one.nsd for one in expected]))
    # At the network's size, a pixel has no millimetres.
    small = evaluate(segmenter, cases[:1], {3: 1, 7: 2}, Protocol(("first",), "network"), Heard())
    assert not small.nsd["first"]


def test_other_sizes_and_data_sets_can_be_evaluated(model: tuple[Path, Dataset], tmp_path: Path) -> None:
    folder, dataset = model
    other = made_pictures(tmp_path / "other", "12")
    labels = {"background": 0, "lesion": 1}
    other.description.model_copy(update={"labels": labels, "name": "other"}).save(
        other.folder / "dataset.json"
    )
    common = ("--model", folder, "--device", "cpu", "--resize", "first")
    _run("evaluate", *common, "--dataset", other.folder, "--out", tmp_path / "a", "--size", "network")
    results = json.loads((tmp_path / "a" / "results.json").read_text(encoding="utf-8"))
    assert (results["cases"], results["protocol"]["size"]) == (2, "network")
    counts = np.array(results["means"]["first"]["macro"]["accuracy"]["count"])
    assert counts == 2
    known = ("--dataset", dataset.folder, "--cases", ",".join(dataset.ids))
    with pytest.raises(SegToolkitError) as caught:
        _run("evaluate", *common, *known, "--out", tmp_path)
    assert caught.value.code == "trained-on-test"


def test_checkpoints_of_the_authors_come_in_and_go_out(model: tuple[Path, Dataset], tmp_path: Path) -> None:
    folder, dataset = model
    export_authors(folder, tmp_path / "epoch_7.pth")
    found = torch.load(tmp_path / "epoch_7.pth", weights_only=True)
    assert set(found) == {"epoch", "state_dict", "optimizer"}
    # What the authors' code saves besides.
    twin = {f"backbone_rf.{key}": value for key, value in found["state_dict"].items()}
    torch.save({**found, "state_dict": {**found["state_dict"], **twin}}, tmp_path / "epoch_8.pth")
    words = ["--from", tmp_path / "epoch_8.pth", "--out", tmp_path / "in", "--labels", "spot"]
    _, heard = _run("import", *words, "--size", 64, 48, "--intensity-scale", 255)
    assert any("of receptive fields" in text for text in heard.infos)
    card = ModelCard.model_validate_json((tmp_path / "in" / "model.json").read_text(encoding="utf-8"))
    plan = automatic.plan_of(card)
    assert plan.input.size == (48, 64)
    assert not card.licence.permissive
    state, expected = load_state(tmp_path / "in"), load_state(folder)
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    image = read_volume(dataset.cases[0].image)
    first, second = (
        automatic.load(
            one, ModelCard.model_validate_json((one / "model.json").read_text()), CPU, "auto"
        ).segment(image, AutomaticOptions())
        for one in (folder, tmp_path / "in")
    )
    np.testing.assert_array_equal(first.labels.voxels, second.labels.voxels)
    with pytest.raises(SegToolkitError) as caught:
        import_authors(tmp_path / "epoch_7.pth", tmp_path / "out", labels={"a": 1, "b": 2})
    assert caught.value.code == "labels-differ"
    assert not (tmp_path / "out").exists()


def test_released_weights_see_intensities_that_nobody_divided(
    model: tuple[Path, Dataset], tmp_path: Path
) -> None:
    export_authors(model[0], tmp_path / "epoch_7.pth")
    card = import_authors(tmp_path / "epoch_7.pth", tmp_path / "in", labels={"spot": 1})
    assert automatic.plan_of(card).input == InputPlan(intensity_scale=1, size=(512, 512))


@pytest.mark.parametrize(
    ("text", "expected"), [("lesion", {"lesion": 1}), ("vein, artery", {"vein": 1, "artery": 2})]
)
def test_labels_are_named_in_their_order(text: str, expected: dict[str, int], tmp_path: Path) -> None:
    assert labels_named(text) == expected
    (tmp_path / "l.json").write_text('{"background": 0, "lesion": 4}')
    assert labels_named(str(tmp_path / "l.json")) == {"lesion": 4}
    with pytest.raises(SegToolkitError):
        labels_named(" , ")


@pytest.mark.parametrize("text", ["vein,artery,Vein", '{"vein": 1, "artery": 1}', '{"vein": true}', "{}"])
def test_labels_that_would_leave_a_class_out_are_refused(text: str, tmp_path: Path) -> None:
    if text.startswith("{"):
        (tmp_path / "l.json").write_text(text)
        text = str(tmp_path / "l.json")
    with pytest.raises(SegToolkitError) as caught:
        labels_named(text)
    assert caught.value.code == "labels"


def test_a_window_takes_checkpoints_in(model: tuple[Path, Dataset], tmp_path: Path) -> None:
    service = Service()
    assert service.recognises(Path("runs/epoch_120.pth"))
    assert not service.recognises(Path("best_model.pt"))
    export_authors(model[0], tmp_path / "epoch_7.pth")
    request = {
        "id": 1,
        "do": "import_checkpoint",
        "path": str(tmp_path / "epoch_7.pth"),
        "out": str(tmp_path / "in"),
    }
    answer = service.verbs["import_checkpoint"](request, Heard())
    assert answer["name"] == "pdcr-uafr-epoch_7"
    with pytest.raises(SegToolkitError) as caught:
        service.verbs["import_checkpoint"]({**request, "lables": "a"}, Heard())
    assert caught.value.code == "bad-request"


def test_settings_of_the_authors_are_converted(tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text("epochs: 7\nmodel:\n  output_stride: 8\n  wings: 2\n")
    found, heard = _run("convert-settings", tmp_path / "theirs.yaml", "--out", tmp_path / "ours.json")
    assert found["unknown"] == ["model.wings"]
    values = json.loads((tmp_path / "ours.json").read_text(encoding="utf-8"))
    assert (values["optimiser"]["epochs"], values["network"]["output_stride"]) == (7, 8)
    assert any("unknown: model.wings" in text for text in heard.infos)


def test_pictures_go_through_the_command(
    model: tuple[Path, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    folder, dataset = model
    words = [
        "segment",
        "pdcr_uafr",
        "--model",
        str(folder),
        "-i",
        str(dataset.folder),
        "-o",
        str(tmp_path / "out"),
    ]
    assert main([*words, "--map", "confidence_decoder", "--device", "cpu", "--format", ".nii.gz"]) == 0
    assert len(list((tmp_path / "out").glob("image_?.nii.gz"))) == 6
    assert len(list((tmp_path / "out").glob("*_confidence_decoder.nii.gz"))) == 6
    found = read_volume(tmp_path / "out" / "image_1.nii.gz", label=True)
    assert found.shape == (1, 60, 80)


def test_a_model_is_refused_whose_weights_do_not_fit(tmp_path: Path) -> None:
    network = build_network(PLAN.network, 2, seed=0)
    card = save_model(tmp_path / "m", model_card(), network.state_dict())
    with pytest.raises(SegToolkitError) as caught:
        automatic.load(tmp_path / "m", card, CPU, "auto")
    assert caught.value.code == "model-mismatch"
