"""Evaluations of cooperative training: interruptions, spacings, and tables where there is no number."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from cooperative_cases import made_dataset, made_heart
from cooperative_model import make_model, tiny_plan, usual_codes
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.robustness import VolumeResult, write_robustness
from SegToolkitLib.evaluation.scoring import OrganScore
from SegToolkitLib.methods.cooperative import evaluate as module
from SegToolkitLib.methods.cooperative.kept_results import FOLDER, KeptResults
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.models.card import TrainedOn
from SegToolkitLib.volume import Volume, write_volume

pytestmark = pytest.mark.usefixtures("one_thread")

TABLES = ("scores.csv", "table.csv", "table.md", "results.json")


@pytest.fixture(scope="module")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_dataset(tmp_path_factory.mktemp("hearts")).folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_model(folder, tiny_plan(typicality=usual_codes(-1.0)))
    return folder


def evaluate(out: Path, data: Path, model: Path, *words: object) -> int:
    given = ("evaluate", "cooperative", "--dataset", data, "--out", out, "--model", model, *words)
    return main([str(word) for word in given])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cases that are evaluated, in their order."""
    seen: list[str] = []
    inner = module.read_case

    def counting(case: Any) -> Any:
        seen.append(case.id)
        if seen.count("stop") and len(seen) > 3:
            raise KeyboardInterrupt
        return inner(case)

    monkeypatch.setattr(module, "read_case", counting)
    return seen


def test_an_interrupted_evaluation_goes_on_and_ends_as_one_that_was_not(
    tmp_path: Path, hearts: Path, model: Path, counted: list[str]
) -> None:
    words = ("--kinds", "bias")
    assert evaluate(tmp_path / "whole", hearts, model, *words) == 0
    assert counted == ["1_ED", "1_ES", "2_ED", "5_ED"]
    counted[:] = ["stop"]
    assert evaluate(tmp_path / "parts", hearts, model, *words) == 130
    assert len(list((tmp_path / "parts" / FOLDER).iterdir())) == 2
    counted.clear()
    assert evaluate(tmp_path / "parts", hearts, model, *words) == 0
    assert counted == ["2_ED", "5_ED"]
    for name in TABLES[:3]:
        first, second = ((tmp_path / one / name).read_text(encoding="utf-8") for one in ("whole", "parts"))
        assert first == second, name


@pytest.mark.parametrize(
    ("words", "again"),
    [
        ((), 0),
        (("--overwrite",), 1),
        (("--kinds", "bias"), 1),
        (("--tolerance", "3"), 1),
        (("--passes", "1"), 1),
    ],
)
def test_what_was_made_otherwise_is_made_anew(
    tmp_path: Path, hearts: Path, model: Path, counted: list[str], words: tuple[str, ...], again: int
) -> None:
    assert evaluate(tmp_path / "out", hearts, model, "--cases", "2_ED") == 0
    counted.clear()
    assert evaluate(tmp_path / "out", hearts, model, "--cases", "2_ED", *words) == 0
    assert len(counted) == again


def test_another_model_or_another_label_is_no_old_result(
    tmp_path: Path, model: Path, counted: list[str]
) -> None:
    data = made_dataset(tmp_path / "data", ("2_ED",)).folder
    assert evaluate(tmp_path / "out", data, model, "--cases", "2_ED") == 0
    write_volume(made_heart(7)[1], data / "label_2_ED.nii.gz")
    assert evaluate(tmp_path / "out", data, model, "--cases", "2_ED") == 0
    make_model(tmp_path / "tiny", tiny_plan(typicality=usual_codes(-2.0)))
    assert evaluate(tmp_path / "out", data, tmp_path / "tiny", "--cases", "2_ED") == 0
    assert counted == ["2_ED"] * 3


def test_numbers_without_a_value_are_kept_as_they_are(tmp_path: Path, hearts: Path) -> None:
    case = Dataset.open(hearts).case("2_ED")
    score = OrganScore("2_ED", "inf", 1, float("nan"), 0.5, float("inf"), 1.0, 2.0, 0.0)
    result = VolumeResult("a", "a", "1 pass", "clean", "2_ED", None, (score,), 5, None)
    kept = KeptResults(tmp_path, "hearts", {})
    kept.save(case, ["a"], [result])
    (again,) = kept.load(case, ["a"]) or []
    assert again.scores[0].organ == "inf"
    assert str(again) == str(result)
    assert kept.load(case, ["b"]) is None
    next(tmp_path.iterdir()).write_text("{", encoding="utf-8")
    assert kept.load(case, ["a"]) is None


def test_a_full_disk_ends_the_evaluation_with_a_sentence(
    tmp_path: Path,
    hearts: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(self: KeptResults, *_given: object) -> None:
        raise SegToolkitError("write-failed", "No space left on device.")

    monkeypatch.setattr(KeptResults, "save", full)
    assert evaluate(tmp_path / "out", hearts, model) == 1
    told = capsys.readouterr().err
    assert "No space left" in told
    assert "is left out" not in told


def cubes(folder: Path, **more: Any) -> Path:
    """A data set whose voxels are of 1 x 1 x 1 mm."""
    made_dataset(folder, ("2_ED",), **more)
    for name in ("image", "label"):
        one = made_heart(0)[name == "label"]
        write_volume(Volume(one.voxels, (1, 1, 1), one.origin, one.direction), folder / f"{name}_2_ED.nii.gz")
    return folder


@pytest.mark.parametrize(
    ("more", "measured", "warned"),
    [
        ({}, True, True),
        ({"spacing": (1, 1, 1)}, True, False),
        ({"pictures": True}, False, False),
        ({"spacing_known": False}, False, False),
    ],
)
def test_voxels_of_one_millimetre_are_a_spacing(
    tmp_path: Path,
    model: Path,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, Any],
    measured: bool,
    warned: bool,
) -> None:
    assert evaluate(tmp_path / "out", cubes(tmp_path / "data", **more), model, "--cases", "2_ED") == 0
    found = rows(tmp_path / "out" / "scores.csv")
    assert all((row["nsd"] != "nan") == measured for row in found)
    assert all((float(row["reference_ml"]) > 0) == measured for row in found)
    assert ("voxels of 1 x 1 x 1 mm" in capsys.readouterr().err) == warned


def test_tables_have_no_nan_and_say_how_many_values_there_are_not(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nan = float("nan")
    score = OrganScore("1", "LV", 1, nan, nan, nan, nan, 0.0, 0.0)
    results = [
        VolumeResult("a", "a", "1 pass", "clean", "1", None, (score,), 5, 1),
        VolumeResult("b", "b", "1 pass", "bias", "1", 0, (score,), 5, None),
        VolumeResult("c", "c", "1 pass", "bias", "1", 0, (score,), 5, 2),
    ]
    text = "\n".join(write_robustness(tmp_path, results, {}, ["A note."]))
    assert "nan" not in text
    assert "| a | 1 pass | - |" in text
    assert "| c | 1 pass | - | 40 % |" in text
    assert "3 of 3 Dice values" in text
    assert "A note." in text
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["notes"] == ["A note."]


@pytest.mark.parametrize(("source", "told"), [("held-out", True), ("training", False)])
def test_shares_of_unlike_slices_that_hold_by_construction_are_said_to(
    tmp_path: Path, hearts: Path, source: str, told: bool
) -> None:
    settings = CooperativeSettings().model_dump(mode="json")
    settings["data"]["fold"] = 0
    usual = usual_codes(1.0).model_copy(update={"source": source})
    folder = tmp_path / "trained"
    known = TrainedOn(dataset="hearts", cases=["5_ED"], count=1, licence="CC0")
    make_model(folder, tiny_plan(typicality=usual), trained_on=[known], training={"settings": settings})
    assert evaluate(tmp_path / "own", hearts, folder, "--tolerance", "none") == 0
    text = (tmp_path / "own" / "table.md").read_text(encoding="utf-8")
    assert ("are told so by construction" in text) == told
    other = made_dataset(tmp_path / "other").folder
    description = json.loads((other / "dataset.json").read_text(encoding="utf-8"))
    (other / "dataset.json").write_text(json.dumps(description | {"name": "others"}), encoding="utf-8")
    assert evaluate(tmp_path / "strange", other, folder, "--tolerance", "none") == 0
    assert "by construction" not in (tmp_path / "strange" / "table.md").read_text(encoding="utf-8")


def test_the_card_says_that_the_threshold_flags_its_own_slices() -> None:
    usual = usual_codes().model_copy(update={"source": "held-out"})
    assert "About 1 % of those slices are told so by construction." in usual.text()
    assert usual.threshold > 0


@pytest.mark.parametrize(
    ("what", "told"), [("image", "Every voxel of the image is 5"), ("label", "not described")]
)
def test_what_would_count_against_the_model_is_left_out(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], what: str, told: str
) -> None:
    data = made_dataset(tmp_path / "data", ("2_ED", "5_ED")).folder
    image, label = made_heart(0)
    wrong = {"image": image.with_voxels(image.voxels * 0 + 5), "label": label.with_voxels(label.voxels + 5)}
    write_volume(wrong[what], data / f"{what}_2_ED.nii.gz")
    assert evaluate(tmp_path / "out", data, model, "--tolerance", "none") == 1
    assert told in capsys.readouterr().err
    assert {row["case"] for row in rows(tmp_path / "out" / "scores.csv")} == {"5_ED"}


def test_a_case_that_is_named_must_have_a_label(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made_dataset(tmp_path / "data", ("2_ED", "5_ED")).folder
    (data / "label_2_ED.nii.gz").unlink()
    assert evaluate(tmp_path / "out", data, model, "--cases", "2_ED,5_ED") == 1
    assert "Case 2_ED has no label" in capsys.readouterr().err
