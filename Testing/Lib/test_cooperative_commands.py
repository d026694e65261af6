"""Cooperative training on the command line: evaluation, preparation, exchange, pictures, configurations."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cooperative_cases import made_dataset, made_heart
from cooperative_model import make_model, tiny_plan, usual_codes
from SegToolkitLib.automatic.tested import opened_model
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.frames import Layout, read_frames
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative import automatic
from SegToolkitLib.methods.cooperative.configuration import settings_from
from SegToolkitLib.methods.cooperative.network import NAMES
from SegToolkitLib.methods.cooperative.service import FILES, Service
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.tested_cases import held_out
from SegToolkitLib.models.card import TrainedOn, read_card
from SegToolkitLib.volume import read_volume, write_volume
from SegToolkitLib.worker.models import _importer_of

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*words: object) -> int:
    return main([str(word) for word in words])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hearts")
    made_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_model(folder, tiny_plan(typicality=usual_codes(-1.0)))
    return folder


def evaluate(out: Path, data: Path, *words: object) -> int:
    return run("evaluate", "cooperative", "--dataset", data, "--out", out, "--tolerance", "none", *words)


def test_models_are_tested_on_clean_volumes_and_on_copies(tmp_path: Path, hearts: Path, model: Path) -> None:
    words = ("--model", model, "--cases", "1_ED,5_ED", "--kinds", "bias", "spike", "--repeats", 2)
    assert evaluate(tmp_path / "out", hearts, *words) == 0
    table = rows(tmp_path / "out" / "table.csv")
    assert [(row["model"], row["variant"]) for row in table] == [("tiny", "1 pass"), ("tiny", "2 passes")]
    for row in table:
        found = [float(row[name]) for name in ("clean", "bias", "spike")]
        assert float(row["average"]) == pytest.approx(np.mean(found), abs=1e-4)
    clean = rows(tmp_path / "out" / "tiny" / "2_passes" / "clean.csv")
    assert [row["patient_id"] for row in clean] == ["1_ED", "5_ED"]
    assert list(clean[0]) == ["patient_id", "RV_Dice", "MYO_Dice", "LV_Dice"]
    copies = rows(tmp_path / "out" / "tiny" / "1_pass" / "bias.csv")
    assert [row["patient_id"] for row in copies] == ["1_ED_0", "1_ED_1", "5_ED_0", "5_ED_1"]
    summary = rows(tmp_path / "out" / "tiny" / "2_passes" / "clean_summary.csv")
    mean = np.mean([float(row["LV_Dice"]) for row in clean])
    assert (summary[0][""], summary[0]["LV_Dice"]) == ("mean", f"{mean:.3f}")
    text = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "| tiny | 2 passes | 100 % | 100 % | 100 % |" in text, "all slices are unlike the training"
    # The figures are those of the segmentations.
    segmenter = automatic.load(model, read_card(model), torch.device("cpu"), "float32")
    image, truth = (read_volume(hearts / f"{what}_1_ED.nii.gz") for what in ("image", "label"))
    dice = overlaps(truth.voxels.astype(np.uint8), segmenter.segment(image).labels.voxels, [3]).dice()
    assert float(clean[0]["LV_Dice"]) == pytest.approx(float(dice[0]), abs=1e-5)


def test_runs_of_one_name_share_a_row(tmp_path: Path, hearts: Path, model: Path) -> None:
    words = ("--model", f"a={model}", "--model", f"a={model}", "--cases", "1_ED", "--passes", 2)
    assert evaluate(tmp_path, hearts, *words) == 0
    (row,) = rows(tmp_path / "table.csv")
    assert (row["model"], row["runs"], float(row["clean std"])) == ("a", "2", 0)
    assert (tmp_path / "tiny-2" / "2_passes" / "clean.csv").is_file()


def test_a_single_model_stands_beside_several_runs(tmp_path: Path, hearts: Path, model: Path) -> None:
    words = ("--model", model, "--model", f"a={model}", "--model", f"a={model}", "--cases", "1_ED")
    assert evaluate(tmp_path, hearts, *words, "--passes", 1) == 0
    single, several = rows(tmp_path / "table.csv")
    assert (single["model"], single["runs"], single["clean std"]) == ("tiny", "1", "")
    assert (several["model"], several["runs"], float(several["clean std"])) == ("a", "2", 0)
    assert (tmp_path / "results.json").is_file()


def test_what_would_lose_or_mix_results_is_told_before_the_work(
    tmp_path: Path, hearts: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert evaluate(tmp_path / "file", hearts, "--model", model) == 1
    assert "cannot be made" in capsys.readouterr().err
    assert evaluate(tmp_path / "out", hearts, "--model", model, "--dataset", hearts) == 1
    assert "Two data sets are called hearts" in capsys.readouterr().err


@pytest.mark.parametrize("grid", ["native", "released"])
def test_labels_are_matched_by_name(tmp_path: Path, hearts: Path, model: Path, grid: str) -> None:
    """A model with the released values on a data set with ACDC's own."""
    names = {"left ventricle": 1, "myocardium": 2, "right ventricle": 3}
    make_model(tmp_path / "other", labels=names)
    words = ("--model", tmp_path / "other", "--cases", "2_ED", "--grid", grid, "--passes", 2)
    assert evaluate(tmp_path / "out", hearts, *words) == 0
    (row,) = rows(tmp_path / "out" / "other" / "2_passes" / "clean.csv")
    truth, found = read_volume(hearts / "label_2_ED.nii.gz").voxels, None
    if grid == "native":
        segmenter = automatic.load(
            tmp_path / "other", read_card(tmp_path / "other"), torch.device("cpu"), "float32"
        )
        found = segmenter.segment(read_volume(hearts / "image_2_ED.nii.gz")).labels.voxels
        both = np.count_nonzero((truth == 3) & (found == 1))
        expected = 2 * both / (np.count_nonzero(truth == 3) + np.count_nonzero(found == 1))
        assert float(row["left ventricle_Dice"]) == pytest.approx(expected, abs=1e-5)
    assert all(0 <= float(value) <= 1 for name, value in row.items() if name.endswith("Dice"))


def test_neither_a_training_case_nor_its_patient_is_tested(
    tmp_path: Path, hearts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = TrainedOn(dataset="hearts", cases=["1_ED"], count=1, licence="CC0")
    make_model(tmp_path / "trained", trained_on=[known])
    for case in ("1_ED", "1_ES"):
        assert evaluate(tmp_path / case, hearts, "--model", tmp_path / "trained", "--cases", case) == 1
        assert "was trained on" in capsys.readouterr().err


def test_held_out_is_what_the_training_left_out(tmp_path: Path, hearts: Path) -> None:
    dataset = Dataset.open(hearts)
    known = TrainedOn(dataset="hearts", cases=["2_ED"], count=1, licence="CC0")
    settings = CooperativeSettings().model_dump(mode="json")
    for fold in (0, 1):
        folder = tmp_path / f"fold{fold}"
        settings["data"]["fold"] = fold
        make_model(folder, trained_on=[known], training={"settings": settings})
    held = [
        held_out(dataset, opened_model(str(tmp_path / f"fold{n}"), "cooperative", True, None)) for n in (0, 1)
    ]
    assert sorted([*held[0], *held[1]]) == sorted(dataset.ids)
    make_model(tmp_path / "foreign")
    foreign = opened_model(str(tmp_path / "foreign"), "cooperative", True, None)
    assert list(held_out(dataset, foreign)) == dataset.ids, "it has seen nothing of the data set"


def test_nothing_to_test_on_is_an_error(tmp_path: Path, hearts: Path, model: Path) -> None:
    assert evaluate(tmp_path, hearts, "--model", model, "--no-clean") == 1


def frames_in(folder: Path) -> None:
    for patient in ("007", "012"):
        for frame, seed in (("ED", 0), ("ES", 1)):
            image, label = made_heart(int(patient) + seed)
            (folder / patient).mkdir(parents=True, exist_ok=True)
            write_volume(image, folder / patient / f"{frame}_img.nii.gz")
            write_volume(label, folder / patient / f"{frame}_seg.nii.gz")


def test_folders_of_frames_become_a_data_set(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    frames_in(raw)
    (raw / "012" / "ES_seg.nii.gz").unlink()
    (raw / "012" / "ED_seg.nii.gz").write_bytes(b"no volume")
    assert run("prepare", "cooperative", "--raw", raw, "--out", tmp_path / "set", "--labels", "native") == 0
    dataset = Dataset.open(tmp_path / "set")
    assert dataset.ids == ["007_ED", "007_ES", "012_ES"]
    assert dataset.patients["007_ES"] == "007"
    assert dataset.case("012_ES").label is None
    assert dataset.description.labels["left ventricle"] == 3


def test_the_challenge_s_own_layout_is_known(tmp_path: Path) -> None:
    image, label = made_heart()
    folder = tmp_path / "patient001"
    folder.mkdir()
    write_volume(image, folder / "patient001_frame01.nii.gz")
    write_volume(label, folder / "patient001_frame01_gt.nii.gz")
    write_volume(image, folder / "patient001_4d.nii.gz")
    found = read_frames(
        tmp_path,
        Layout("{patient}/{patient}_frame{frame}.nii.gz", "{patient}/{patient}_frame{frame}_gt.nii.gz"),
    )
    assert list(found.labelled) == ["patient001_01"]
    assert not found.unlabelled


@pytest.mark.parametrize("pattern", ["{frame}_img.nii.gz", "/{patient}.nii.gz", "../{patient}.nii.gz"])
def test_patterns_must_name_patients_below_the_folder(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SegToolkitError) as raised:
        read_frames(tmp_path, Layout(pattern, pattern))
    assert raised.value.code == "bad-pattern"


@pytest.mark.parametrize("labels", ['{"a": "x"}', '{"a": 1.5}', "{}", '{"a": 1, "b": 1}', None])
def test_labels_that_are_none_are_refused_before_anything_is_made(
    tmp_path: Path, labels: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / ("labels.json" if labels else "labels")
    if labels:
        file.write_text(labels, encoding="utf-8")
    words = ("--raw", tmp_path, "--out", tmp_path / "out", "--labels", file)
    assert run("prepare", "cooperative", *words) == 1
    told = capsys.readouterr().err
    assert ("a whole number of its own" if labels else "Give native, released, or a JSON file") in told
    assert not (tmp_path / "out").exists()


def test_prepared_volumes_are_written_for_the_authors_code(tmp_path: Path, hearts: Path) -> None:
    out = tmp_path / "prepared"
    words = ("--dataset", hearts, "--write", out, "--relabel", "1=3,3=1", "--set", "input.spacing_mm=3.0")
    assert run("prepare", "cooperative", *words) == 0
    image, label = (read_volume(out / "1" / f"ES_{what}.nii.gz") for what in ("img", "seg"))
    assert image.spacing == pytest.approx((3, 3, 10))
    assert (float(image.voxels.min()), float(image.voxels.max())) == pytest.approx((0, 1), abs=1e-5)
    assert label.same_grid(image)
    assert image.origin == pytest.approx(read_volume(hearts / "image_1_ES.nii.gz").origin)
    # The left ventricle is the smaller cavity in the made-up hearts.
    old = read_volume(hearts / "label_1_ES.nii.gz").voxels
    assert ((label.voxels == 1).sum() > (label.voxels == 3).sum()) == ((old == 3).sum() > (old == 1).sum())


def test_models_travel_to_the_authors_five_files_and_back(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("models", "export", "cooperative", model, tmp_path / "five") == 0
    assert {path.name for path in (tmp_path / "five").iterdir()} == FILES == {f"{one}.pth" for one in NAMES}
    out = tmp_path / "again"
    assert run("models", "import", "cooperative", "--from", tmp_path / "five", "--out", out) == 0
    card = read_card(out)
    assert [label.name for label in card.labels] == ["left ventricle", "myocardium", "right ventricle"]
    assert (card.settings["network"]["code"], card.settings["input"]["crop"]) == ("separate", 192)
    told = ("--out", tmp_path / "told", "--code", "unfiltered", "--crop", 224, "--spacing", 1.25)
    assert run("models", "import", "cooperative", "--from", tmp_path / "five", *told) == 0
    settings = read_card(tmp_path / "told").settings
    assert settings["network"]["code"] == "unfiltered"
    assert (settings["input"]["crop"], settings["input"]["spacing_mm"]) == (224, 1.25)
    assert run("models", "export", "cooperative", tmp_path / "told", tmp_path / "ablation") == 0
    assert "--code unfiltered" in capsys.readouterr().err
    wrong = ("--out", tmp_path / "wrong", "--crop", 100)
    assert run("models", "import", "cooperative", "--from", tmp_path / "five", *wrong) == 1
    assert not (tmp_path / "wrong").exists()
    # A window's worker takes any of the five files for the whole.
    assert _importer_of(tmp_path / "five" / "image_encoder.pth") == "cooperative"
    assert _importer_of(tmp_path / "best_model.pt") == "cssn"
    order: dict[str, Any] = {"id": 1, "do": "import_checkpoint", "out": str(tmp_path / "third")}
    order["path"] = str(tmp_path / "five" / "shape_decoder.pth")
    assert Service().verbs["import_checkpoint"](order, Reporter())["name"] == card.name


def test_a_sheet_shows_what_holes_in_the_codes_do(tmp_path: Path, hearts: Path, model: Path) -> None:
    words = ("--model", model, "-i", hearts / "image_1_ED.nii.gz", "--label", hearts / "label_1_ED.nii.gz")
    pictures = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for picture, more in zip(pictures, ((), (), ("--seed", 1, "--slice", 2, "--hard")), strict=True):
        assert run("visualise", "cooperative", *words, "-o", picture, *more) == 0
    first, again, other = (np.asarray(Image.open(picture)) for picture in pictures)
    assert first.shape[0] > first.shape[1] > 1000, "six columns of ten rows"
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    slices = len(read_volume(hearts / "image_1_ED.nii.gz").voxels)
    for number in (-1, slices):
        assert run("visualise", "cooperative", *words, "-o", tmp_path / "d.png", "--slice", number) == 1
    last = ("-o", tmp_path / "e.png", "--slice", slices - 1)
    assert run("visualise", "cooperative", *words, *last) == 0, "counted from 0, as everywhere"


CONFIGURATION: dict[str, Any] = {
    "name": "cooperative training",
    "data": {
        "root_dir": "/somewhere",
        "frame": ["ES", "ED"],
        "pad_size": [160, 160, 1],
        "crop_size": [128, 128, 1],
        "data_aug_policy": "ACDC_affine_elastic_intensity",
        "keep_orig_image_label_pair_for_training": False,
        "myocardium_only": True,
    },
    "segmentation_model": {"network_type": "FCN_16_standard", "num_classes": 2},
    "learning": {"latent_DA": True, "separate_training": True, "lr": 2e-4, "n_epochs": 7, "batch_size": 12},
    "latent_DA": {
        "mask_scope": ["image code"],
        "image code": {"loss_name": "corr", "mask_type": "spatial", "max_threshold": 0.33, "if_soft": False},
        "shape code": {"max_threshold": 0.2},
    },
    "output": {"save_epoch_every_num_epochs": 3},
    "news": 1,
}


def test_a_configuration_of_the_authors_code_becomes_settings() -> None:
    found = settings_from(CONFIGURATION)
    settings = found.settings
    assert (settings.augment.pad, settings.input.crop, settings.data.originals) == (160, 128, False)
    assert settings.data.classes == {2: 1}
    assert (settings.step.mode, settings.step.separate) == ("cooperative", True)
    image = settings.step.masking.image
    assert image is not None
    assert (image.kind, image.max_threshold, image.soft, image.loss) == (
        "spatial",
        0.33,
        False,
        "correlation",
    )
    assert settings.step.masking.shape is None
    assert settings.optimiser.learning_rate == 2e-4
    assert (settings.optimiser.epochs, settings.optimiser.batch) == (7, 12)
    assert settings.snapshot_every == 3 * settings.optimiser.steps_per_epoch
    told = "\n".join(found.report)
    assert "news = 1: not known, left out" in told
    assert "data.root_dir: the folder of the data set" in told


@pytest.mark.parametrize(
    ("part", "values"),
    [("segmentation_model", {"network_type": "UNet"}), ("data", {"crop_size": [192, 160, 1]})],
)
def test_what_a_configuration_cannot_mean_is_refused(part: str, values: dict[str, Any]) -> None:
    with pytest.raises(SegToolkitError):
        settings_from(CONFIGURATION | {part: values})


def test_converted_settings_are_those_that_a_training_reads(tmp_path: Path) -> None:
    (tmp_path / "theirs.json").write_text(json.dumps(CONFIGURATION), encoding="utf-8")
    words = (tmp_path / "theirs.json", "--out", tmp_path / "ours.json")
    assert run("convert-settings", "cooperative", *words) == 0
    ours = json.loads((tmp_path / "ours.json").read_text(encoding="utf-8"))
    assert CooperativeSettings.model_validate(ours) == settings_from(CONFIGURATION).settings
