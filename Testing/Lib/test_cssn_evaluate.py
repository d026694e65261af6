"""Evaluating: folders of label maps, models on cases that they have not seen, folds, and what it costs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataset_cases import case
from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticResult
from SegToolkitLib.cli import main
from SegToolkitLib.dataset import Dataset, DatasetDescription
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.protocol_options import protocol_of
from SegToolkitLib.evaluation.score_files import label_files
from SegToolkitLib.methods.cssn import automatic
from SegToolkitLib.methods.cssn.cases import split_of
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import ModelPlan, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.settings import CssnSettings, DataSettings
from SegToolkitLib.methods.cssn.weights import for_stage
from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing, TrainedOn, Training, read_card
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.volume import Volume, write_volume

SPACING = (0.8, 0.8, 2.5)


def labels(shift: int = 0, shape: tuple[int, int, int] = (10, 20, 20)) -> Volume:
    """Liver, aorta and left kidney as boxes; ``shift`` moves them along i."""
    voxels = np.zeros(shape, np.uint8)
    voxels[2:8, 3:9, 3 + shift : 9 + shift] = 1
    voxels[1:9, 12:15, 4 + shift : 7 + shift] = 5
    voxels[3:6, 12:17, 12:17] = 13
    return Volume(voxels, SPACING, (10, 20, 30), np.eye(3))


def write(folder: Path, **volumes: Volume) -> Path:
    for name, volume in volumes.items():
        write_volume(volume, folder / f"{name}.nii.gz")
    return folder


def results_of(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "results.json").read_text()))


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as lines:
        return list(csv.DictReader(lines))


def evaluated(out: Path, *options: str) -> int:
    return main(["evaluate", "cssn", "--out", str(out), "--device", "cpu", *options])


@pytest.fixture
def references(tmp_path: Path) -> Path:
    return write(tmp_path / "true", c1=labels(), c2=labels(1), c3=labels(2))


def test_results_that_equal_their_references_score_one_by_every_protocol(
    references: Path, tmp_path: Path
) -> None:
    for protocol, organs in (("flare22", 13), ("flare21", 4), ("generic", 3)):
        out = tmp_path / protocol
        given = ("--reference", str(references), "--results", str(references), "--protocol", protocol)
        assert evaluated(out, *given) == 0
        assert results_of(out)["dice_percent"]["mean"] == 100.0
        assert results_of(out)["nsd_percent"]["mean"] == 100.0
        assert len(table(out / "organs.csv")) == 3 * organs
    assert set(results_of(tmp_path / "generic")["dice_percent"]) == {"label 1", "label 5", "label 13", "mean"}


def test_organs_without_a_reference_are_told_and_noted_and_change_no_number(
    references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = write(tmp_path / "found", c1=labels(), c2=labels(2), c3=labels(2))
    given = ("--reference", str(references), "--results", str(found))
    assert evaluated(tmp_path / "flare", *given, "--protocol", "flare22") == 0
    (note,) = results_of(tmp_path / "flare")["notes"]
    assert f"Warning: {note}" in capsys.readouterr().err
    assert "duodenum" in note
    assert "liver" not in note
    assert "all 3 cases" in note
    assert results_of(tmp_path / "flare")["dice_percent"]["duodenum"] == 100.0
    assert evaluated(tmp_path / "generic", *given) == 0
    assert results_of(tmp_path / "generic")["notes"] == []
    assert "Warning" not in capsys.readouterr().err


def test_means_are_over_organs_then_cases_and_each_case_has_a_row(references: Path, tmp_path: Path) -> None:
    found = write(tmp_path / "found", c1_0000=labels(), c2=labels(2), c3=labels(2))
    out = tmp_path / "out"
    assert evaluated(out, "--reference", str(references), "--results", str(found), "--tolerance", "0.5") == 0
    rows = {row["case"]: row for row in table(out / "cases.csv")}
    assert (rows["c1"]["dsc"], rows["c3"]["nsd"]) == ("1", "1")
    expected = (5 / 6 + 2 / 3 + 1) / 3
    assert float(rows["c2"]["dsc"]) == pytest.approx(expected, abs=1e-5)
    assert results_of(out)["dice_percent"]["mean"] == pytest.approx(100 * (2 + expected) / 3, abs=0.01)
    assert float(rows["c2"]["hd95_mm"]) == pytest.approx(1.6 / 3, abs=1e-5)


def test_folds_have_means_and_a_spread(references: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "f0", c1=labels(), c2=labels(1))
    second = write(tmp_path / "f1", c3=labels(3))
    out = tmp_path / "out"
    given = ("--results", f"0={first}", "--results", f"1={second}", "--reference", str(references))
    assert evaluated(out, *given) == 0
    found = results_of(out)
    assert found["folds"] == [0, 1]
    low = found["summary"]["dsc"]["folds"]["1"]["mean"]
    assert found["summary"]["dsc"]["over_folds"]["mean"] == pytest.approx((1 + low) / 2)
    assert found["dice_percent"]["std_over_folds"] == pytest.approx(100 * (1 - low) / 2, abs=0.01)
    assert evaluated(out, *given[:1], str(first), *given[2:]) == 1, "of several folds each has its number"


def test_missing_results_are_left_out_or_count_as_empty(
    references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = write(tmp_path / "found", c1=labels(), c2=labels(1))
    given = ("--reference", str(references), "--results", str(found))
    assert evaluated(tmp_path / "a", *given) == 0
    assert "1 cases without a result are left out: c3" in capsys.readouterr().err
    assert results_of(tmp_path / "a")["dice_percent"]["mean"] == 100.0
    assert evaluated(tmp_path / "b", *given, "--count-missing") == 0
    assert results_of(tmp_path / "b")["dice_percent"]["mean"] == pytest.approx(66.67)
    other = write(tmp_path / "other", x=labels())
    assert evaluated(tmp_path / "c", "--reference", str(references), "--results", str(other)) == 1
    assert "No result belongs to a reference" in capsys.readouterr().err


def test_results_on_another_grid_are_brought_to_the_reference_or_compared_as_the_challenge_does(
    references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = Volume(labels().voxels, SPACING, (0, 0, 0), np.eye(3))
    found = write(tmp_path / "found", c1=moved)
    given = ("--reference", str(references), "--results", str(found))
    assert evaluated(tmp_path / "a", *given, "--protocol", "flare22") == 0
    assert results_of(tmp_path / "a")["dice_percent"]["mean"] == 100.0
    assert "headers of result and reference differ" in capsys.readouterr().err
    assert evaluated(tmp_path / "b", *given) == 0
    assert results_of(tmp_path / "b")["dice_percent"]["mean"] < 30
    whole = labels()
    part = Volume(whole.voxels[1:, 2:, 3:], SPACING, (10 + 2.4, 20 + 1.6, 30 + 2.5), np.eye(3))
    found = write(tmp_path / "cropped", c1=part)
    assert evaluated(tmp_path / "c", "--reference", str(references), "--results", str(found)) == 0
    assert results_of(tmp_path / "c")["dice_percent"]["mean"] == 100.0


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_scored(
    references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = write(tmp_path / "found", c1=labels(), c2=labels(1))
    (found / "c3.nii.gz").write_bytes(b"no volume")
    assert evaluated(tmp_path / "out", "--reference", str(references), "--results", str(found)) == 1
    assert "1 of 3 cases could not be evaluated. Case c3" in capsys.readouterr().err
    assert results_of(tmp_path / "out")["cases"] == 2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ((), "label maps to score or models"),
        (("--results", "x"), "label maps to score or models"),
        (("--model", "m", "--reference", "r", "--results", "x"), "label maps to score or models"),
        (("--model", "m"), "needs cases"),
        (("--reference", "nowhere", "--results", "nowhere"), "holds no label maps"),
    ],
)
def test_wrong_usage_is_told(
    options: tuple[str, ...], match: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(tmp_path, *options) == 1
    assert match in capsys.readouterr().err


def test_protocols_from_the_command_line() -> None:
    found = protocol_of("generic", {"background": 0, "a": 1, "b=c": 2}, ["3", "b=c=1.5"], ["9=1"])
    assert {organ.name: organ.tolerance_mm for organ in found.organs} == {"a": 3.0, "b=c": 1.5}
    assert found.merged == {9: 1}
    assert protocol_of("flare21", {}, [], ["13=2"]).merged == {13: 2}
    for name, tolerances, merge in (
        ("generic", ["wide"], []),
        ("generic", ["-1"], []),
        ("generic", ["nan"], []),
        ("generic", ["z=1"], []),
        ("flare22", ["1"], []),
        ("generic", [], ["1:2"]),
    ):
        with pytest.raises(SegToolkitError):
            protocol_of(name, {"a": 1}, tolerances, merge)


def test_two_files_of_one_case_are_refused(tmp_path: Path) -> None:
    write(tmp_path, c1=labels(), c1_0000=labels())
    with pytest.raises(SegToolkitError, match="both of case c1"):
        label_files(tmp_path)


STAGE = StagePlan(network=NetworkPlan(channels=(2, 2, 4, 8), blocks=(1, 1, 1)), size=(32, 64, 64))


def model(folder: Path, fold: int | None = 0, seen: tuple[str, ...] = (), name: str = "liver") -> Path:
    """A model with fresh weights that says which fold it left out."""
    settings = CssnSettings(data=DataSettings(fold=fold)).model_dump(mode="json")
    card = ModelCard(
        name=folder.name,
        title="tiny",
        method="cssn",
        settings=ModelPlan(fine=STAGE).model_dump(mode="json"),
        labels=[Label(value=1, name=name), Label(value=2, name="spleen")],
        preprocessing=Preprocessing(modality="MR", orientation="RAS"),
        trained_on=[TrainedOn(dataset="data", cases=list(seen))],
        licence=Licence(name="CC BY 4.0", permissive=True),
        training=Training(settings=settings),
    )
    save_model(folder, card, for_stage(build_network(STAGE, 2, seed=1).state_dict(), "fine"))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    add_cases(
        tmp_path / "data",
        DatasetDescription(name="data", modality="MR", labels={"background": 0}),
        [case(f"c{n}", n, liver=1, spleen=2) for n in range(6)],
    )
    return tmp_path / "data"


class Truthful:
    """Finds what is in the label of c0 in every case: all have the same."""

    def __init__(self, data: Path) -> None:
        dataset = Dataset.open(data)
        label = dataset.read(dataset.case("c0"))[1]
        assert label is not None
        self.voxels = label.voxels.astype(np.uint8)
        self.modes: list[str] = []

    def segment(self, volume: Volume, options: AutomaticOptions, progress: object = None) -> AutomaticResult:
        self.modes.append(options.mode)
        return AutomaticResult(volume.with_voxels(self.voxels), seconds={"coarse": 1.0, "fine": 2.0})


def test_models_are_applied_to_the_fold_that_they_left_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truthful = Truthful(data)
    monkeypatch.setattr(automatic, "load", lambda *_: truthful)
    first, second = model(tmp_path / "m0", 0), model(tmp_path / "m1", 1)
    out = tmp_path / "out"
    given = ("--dataset", str(data), "--model", str(first), "--model", str(second))
    assert evaluated(out, *given, "--mode", "quick") == 0
    held_out = [split_of(Dataset.open(data), DataSettings(fold=fold)).val for fold in (0, 1)]
    rows = table(out / "cases.csv")
    assert {row["case"]: row["fold"] for row in rows} == {
        case: str(fold) for fold, cases in enumerate(held_out) for case in cases
    }
    assert all((row["dsc"], row["coarse_s"], row["fine_s"]) == ("1", "1", "2") for row in rows)
    assert all(float(row["total_s"]) > 0 for row in rows)
    assert set(truthful.modes) == {"quick"}
    found = results_of(out)
    assert found["dice_percent"] == {"liver": 100.0, "spleen": 100.0, "mean": 100.0, "std_over_folds": 0.0}
    assert found["costs"]["fine_s"] == 2.0
    assert main(["models", "record", str(first), str(out / "results.json"), "--as", "folds"]) == 0
    assert read_card(first).metrics["folds"]["nsd_percent"]["mean"] == 100.0


def test_without_a_spacing_there_is_dice_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data / "dataset.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    told["segtoolkit"]["spacing_known"] = False
    file.write_text(json.dumps(told), encoding="utf-8")
    truthful = Truthful(data)
    monkeypatch.setattr(automatic, "load", lambda *_: truthful)
    first, out = model(tmp_path / "m0", 0), tmp_path / "out"
    assert evaluated(out, "--dataset", str(data), "--model", str(first)) == 0
    assert results_of(out)["dice_percent"]["mean"] == 100.0
    assert results_of(out)["nsd_percent"]["mean"] is None
    assert all((row["nsd"], row["reference_ml"]) == ("nan", "nan") for row in table(out / "organs.csv"))
    assert "NaN" not in capsys.readouterr().out
    assert main(["models", "record", str(first), str(out / "results.json"), "--as", "fold"]) == 0
    recorded = read_card(first).metrics["fold"]
    assert recorded["dice_percent"]["mean"] == 100.0
    assert "nsd_percent" not in recorded


@pytest.mark.parametrize(
    ("changes", "options", "match"),
    [
        ({"seen": ("c1", "c2", "c3", "c4", "c5", "c0")}, (), "was trained on case"),
        ({"fold": None}, (), "does not say which fold"),
        ({"name": "heart"}, (), "Label 1 is heart for m0, but liver in data"),
        ({}, ("--cases", "test"), "no labelled case to test on"),
        ({}, ("--cases", "c77"), "no case c77"),
        ({}, ("--protocol", "generic", "--tolerance", "lung=3"), "no structure 'lung'"),
    ],
)
def test_a_test_that_would_mean_nothing_is_refused(
    changes: dict,
    options: tuple[str, ...],
    match: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = model(tmp_path / "m0", **changes)
    assert evaluated(tmp_path / "out", "--dataset", str(data), "--model", str(folder), *options) == 1
    assert match in capsys.readouterr().err


def test_a_case_that_two_models_would_be_tested_on_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(model(tmp_path / name)) for name in ("m0", "m1")]
    assert (
        evaluated(tmp_path / "out", "--dataset", str(data), "--model", folders[0], "--model", folders[1]) == 1
    )
    assert "would be scored twice" in capsys.readouterr().err


def test_each_case_in_a_process_of_its_own_is_measured_from_start_to_end(data: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "m0")
    out = tmp_path / "out"
    options = ("--dataset", str(data), "--model", str(folder), "--cases", "c3", "--efficiency")
    assert evaluated(out, *options) == 0
    (row,) = table(out / "cases.csv")
    assert float(row["seconds"]) > 0.5, "Python and PyTorch alone take that long to start"
    assert float(row["auc_cpu"]) > 0
    assert float(row["auc_gpu"]) == 0
    assert (out / "predictions" / "c3.nii.gz").is_file()
