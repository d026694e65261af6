"""CSSN as a newcomer uses it: slips and odd scans end in a sentence, not in a trace or a wrong number."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cssn_cases import made_case
from SegToolkitLib.automatic.segmenter import AutomaticResult
from SegToolkitLib.cli import main
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import Intensity, ModelPlan, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.segment import CssnSegmenter
from SegToolkitLib.methods.cssn.weights import computing_type, for_stage
from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing, TrainedOn, Training, read_card
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.volume import Reorient, Volume, prepare, read_volume, write_volume
from SegToolkitLib.volume.lattice import sub_grid


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model of one stage ("model") and a scan ("Über uns/Müller, A_0000.nii.gz")."""
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    network = NetworkPlan(kind="unet", channels=(2, 4, 4, 8))
    stage = StagePlan(network=network, size=(16, 16, 16), intensity=Intensity(mode="percentile"))
    plan = ModelPlan(fine=stage)
    card = ModelCard(
        name="tiny",
        title="Tiny",
        method="cssn",
        settings=plan.model_dump(mode="json"),
        labels=[Label(value=1, name="liver"), Label(value=2, name="left kidney")],
        preprocessing=Preprocessing(modality="MR", orientation="RAS"),
        trained_on=[TrainedOn(dataset="made up")],
        licence=Licence(name="none", permissive=True, summary="Made for a test."),
        training=Training(),
        limits="None.",
    )
    save_model(tmp_path / "model", card, for_stage(build_network(stage, 2, 3).state_dict(), "fine"))
    write_volume(scan(), tmp_path / "Über uns" / "Müller, A_0000.nii.gz")
    return tmp_path


def scan() -> Volume:
    volume = made_case(1)[0]
    return volume.with_voxels((volume.voxels - volume.voxels.min()).astype(np.float32))


def segment(place: Path, *words: Any) -> int:
    return main(["segment", "cssn", "--model", str(place / "model"), "--device", "cpu", *map(str, words)])


def the_scan(place: Path) -> Path:
    return place / "Über uns" / "Müller, A_0000.nii.gz"


def test_blanks_and_umlauts_in_names_do_no_harm(place: Path) -> None:
    out = place / "mit Leer"
    assert segment(place, "-i", place / "Über uns", "-o", out, "--table", out / "ta belle.csv") == 0
    assert read_volume(out / "Müller, A.seg.nrrd", label=True).same_grid(scan())
    assert "Müller, A" in (out / "ta belle.csv").read_text(encoding="utf-8")


def test_doubt_is_written_on_the_voxels_of_the_image(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CssnSegmenter.segment

    def of_a_box(self: CssnSegmenter, *given: Any) -> AutomaticResult:
        result = whole(self, *given)
        grid = sub_grid(result.maps["uncertainty"].grid, (3, 4, 5), (6, 7, 8))
        voxels = np.ones(grid.shape, np.float32)
        doubt = Volume(voxels, grid.spacing, grid.origin, grid.direction)
        return replace(result, maps={"uncertainty": doubt})

    monkeypatch.setattr(CssnSegmenter, "segment", of_a_box)
    assert segment(place, "-i", the_scan(place), "-o", place / "out", "--map", "uncertainty") == 0
    doubt = read_volume(place / "out" / "Müller, A_uncertainty.nii.gz")
    assert doubt.same_grid(scan())
    assert np.argwhere(doubt.voxels).min(axis=0).tolist() == [5, 4, 3]
    assert doubt.voxels.sum() == 6 * 7 * 8


@pytest.mark.parametrize("code", ["PSL", "IRA", "LPS"])
def test_a_turned_copy_has_the_same_organs_at_the_same_places(place: Path, code: str) -> None:
    copy = prepare(scan(), [Reorient(code)]).volume
    write_volume(copy, place / "copy.nrrd")
    assert segment(place, "-i", the_scan(place), "-i", place / "copy.nrrd", "-o", place / "out") == 0
    one = read_volume(place / "out" / "Müller, A.seg.nrrd", label=True)
    other = read_volume(place / "out" / "copy.seg.nrrd", label=True)
    assert other.same_grid(copy)
    assert one.voxels.any()
    back = prepare(other, [Reorient(scan().orientation)]).volume
    np.testing.assert_array_equal(back.voxels, one.voxels)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-o", "{}/x.nii.gz", "--organs", " , "], "names no structure"),
        (["-o", "{}/x.stl"], "cannot be written as x.stl"),
        (["-o", "{}/model/model.json"], "is a file, so it cannot take results"),
        (["-o", "{}/model/model.json/x.nii.gz"], "is a file, so it cannot take results"),
        (["-o", "{}/out", "--table", "{}/model"], "is a folder; the table is one file"),
        (["-o", "{}/out", "--precision", "float16"], "A CPU does not compute in float16"),
        (["-o", "{}/x.nii.gz", "-i", "{}/flat.nrrd"], "but there are 2 images"),
        (["-o", "{}/out", "-i", "{}/pictures"], "holds pictures and no volume file"),
        (["-o", "{}/out", "--series", "1.2.3"], "No folder has the DICOM series 1.2.3."),
        (["-o", "{}/out", "--ids", "{}/nothing"], "could not be read: No such file or directory."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_work_is_told_before_any_work(
    place: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "pictures").mkdir()
    (place / "pictures" / "a.PNG").write_bytes(b"")
    write_volume(scan(), place / "flat.nrrd")
    before = sorted(place.rglob("*"))
    assert segment(place, "-i", the_scan(place), *(word.format(place) for word in words)) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert [path for path in sorted(place.rglob("*")) if "home" not in path.parts] == [
        path for path in before if "home" not in path.parts
    ]


def test_a_volume_of_one_value_is_no_organ(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_volume(scan().with_voxels(np.zeros(scan().grid.shape, np.int16)), place / "flat.nrrd")
    assert segment(place, "-i", place / "flat.nrrd", "-o", place / "out") == 1
    assert "there is nothing to see" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_a_scan_of_another_kind_is_told_with_what_the_model_knows(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_volume(scan().with_voxels(scan().voxels - 2000), place / "ct.nrrd")
    assert segment(place, "-i", place / "ct.nrrd", "-o", place / "out") == 1
    assert "Tiny is a model for MR images." in capsys.readouterr().err


def test_a_part_without_an_image_says_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(place, "-i", the_scan(place), "-o", place / "out", "--shard", "1/2") == 0
    assert "No image falls to this part." in capsys.readouterr().err


def test_metaimages_of_a_folder_are_found(place: Path) -> None:
    (place / "meta").mkdir()
    voxels = scan().voxels.astype("<i2")
    voxels.tofile(place / "meta" / "a.raw")
    size = " ".join(map(str, voxels.shape[::-1]))
    (place / "meta" / "a.mhd").write_text(
        f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementType = MET_SHORT\nElementDataFile = a.raw\n"
    )
    assert segment(place, "-i", place / "meta", "-o", place / "out") == 0
    assert (place / "out" / "a.seg.nrrd").exists()


def test_bfloat16_is_what_a_cpu_may_compute_in() -> None:
    assert computing_type(torch.device("cpu"), "auto") == torch.float32
    assert computing_type(torch.device("cpu"), "bfloat16") == torch.bfloat16
    assert computing_type(torch.device("cuda"), "auto") == torch.float16


@pytest.mark.parametrize(
    "words",
    [
        ["profile", "cssn", "--model", "m", "--synthetic", "0"],
        ["profile", "cssn", "--model", "m", "--synthetic", "-3"],
        ["train", "cssn", "--run", "r", "--steps", "0"],
        ["train", "cssn", "--run", "r", "--labelled-count", "0"],
        ["select-unlabeled", "cssn", "--run", "r", "--out", "t", "--count", "0"],
        ["evaluate", "cssn", "--out", "o", "--workers", "0"],
    ],
    ids=lambda words: " ".join(words[::3]),
)
def test_a_number_below_one_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert f"argument {words[-2]}: {words[-1]!r} is not a whole number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--keep", "1.5", "A share of 1.5 cannot"), ("--min-reliability", "7", "A least reliability of 7.0")],
)
def test_a_choice_that_makes_no_sense_names_the_number(
    option: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["select-unlabeled", "cssn", "--run", "r", "--out", "t.csv", option, value]) == 1
    assert told in capsys.readouterr().err


def test_a_share_is_refused_by_the_rule_that_knows_none(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["select-unlabeled", "cssn", "--run", "r", "--out", "t.csv", "--rule", "sibling", "--json"]
    assert main([*words, "--keep", "0.1"]) == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert error["code"] == "bad-choice"
    assert "sibling" in error["text"]
    assert "--count" in error["hint"]
    assert main(words) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "no-run"


def test_one_model_alone_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["select-unlabeled", "cssn", "--models", "m", "--dataset", "d", "--out", "t.csv"]
    assert main(words) == 1
    assert "One model alone" in capsys.readouterr().err


@pytest.fixture
def label_maps(tmp_path: Path) -> Path:
    """Three label maps of a data set whose label 3 is the left kidney, and its description."""
    voxels = np.zeros((6, 8, 8), np.uint8)
    voxels[2:4, 2:6, 2:6] = 3
    voxels[4:, 2:6, 2:6] = 1
    for case in ("a", "b", "c"):
        write_volume(Volume(voxels, (1, 1, 2), (0, 0, 0), np.eye(3)), tmp_path / "truth" / f"{case}.nii.gz")
    (tmp_path / "dataset.json").write_text(
        '{"name": "own", "modality": "MR", "labels": {"background": 0, "liver": 1, "left kidney": 3},'
        ' "image_pattern": "{id}.nii.gz", "folder": "truth"}'
    )
    return tmp_path


def score(place: Path, *words: str) -> int:
    named = ["--reference", str(place / "truth"), "--out", str(place / "scores")]
    return main(["evaluate", "cssn", *named, *(word.format(place) for word in words)])


def test_labels_that_mean_other_organs_in_the_challenge_are_not_scored_by_it(
    label_maps: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--results", "{}/truth", "--dataset", "{}/dataset.json"]
    assert score(label_maps, *words, "--protocol", "flare22") == 1
    assert "Label 3 is the left kidney; under flare22 it is the spleen." in capsys.readouterr().err
    assert score(label_maps, *words, "--protocol", "flare22", "--merge", "3=13") == 0
    assert score(label_maps, *words, "--protocol", "flare21", "--merge", "3=2") == 0
    assert score(label_maps, *words) == 0


def test_references_without_a_result_in_any_fold_are_named(
    label_maps: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fold, case in enumerate("ab"):
        (label_maps / f"fold{fold}").mkdir()
        (label_maps / "truth" / f"{case}.nii.gz").rename(label_maps / f"fold{fold}" / f"{case}.nii.gz")
    for case in "ab":
        write_volume(read_volume(label_maps / "truth" / "c.nii.gz"), label_maps / "truth" / f"{case}.nii.gz")
    words = ["--results", "0={}/fold0", "--results", "1={}/fold1"]
    assert score(label_maps, *words) == 0
    assert "1 cases have a result in no fold: c." in capsys.readouterr().err
    assert score(label_maps, *words, "--count-missing") == 1
    assert "--count-missing" in capsys.readouterr().err


def test_an_imported_model_may_be_named_by_a_person(tmp_path: Path) -> None:
    plan = StagePlan(
        network=NetworkPlan(kind="unet", channels=(2, 2, 4, 4, 4), blocks=(2, 2, 2, 2)), size=(32, 32, 32)
    )
    torch.save({"state_dict": build_network(plan, 13, 1).state_dict()}, tmp_path / "best_model.pt")
    words = ["--coarse", str(tmp_path / "best_model.pt"), "--out", str(tmp_path / "out")]
    assert main(["models", "import", "cssn", *words, "--name", "Mein Modell"]) == 0
    assert read_card(tmp_path / "out").name == "mein-modell"
