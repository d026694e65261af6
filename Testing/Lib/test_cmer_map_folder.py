"""WSS-CMER: several calls, also at the same time, write maps into one folder and lose nothing."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from cmer_runs import SLICES, made_dataset, run
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.map_folder import (
    AGREEMENT_FILE,
    keep_agreement,
    keep_thresholds,
    kept_thresholds,
)
from test_cmer_worker import made_model

pytestmark = pytest.mark.usefixtures("one_thread")

WRITER = """
import sys
from pathlib import Path
from SegToolkitLib.methods.cmer.map_folder import keep_agreement, keep_thresholds
for n in range(25):
    keep_agreement(Path(sys.argv[1]), f"{sys.argv[2]}{n}", [0.5, None], [None, 1.0])
    keep_thresholds(Path(sys.argv[1]), f"{sys.argv[2]}{n}", "cam", {"T2": 0.25})
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("balls"), 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "balls"
    made_model(folder)
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / AGREEMENT_FILE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_other_patients_stay_and_those_of_the_same_are_replaced(tmp_path: Path) -> None:
    keep_agreement(tmp_path, "anna, 2", [0.1, 0.2], [None, None])
    keep_agreement(tmp_path, "bert", [None], [1 / 3])
    keep_agreement(tmp_path, "anna, 2", [0.7], [None])
    assert rows_of(tmp_path) == [
        {"case": "anna, 2", "slice": "0", "modalities": "0.7", "seeds": ""},
        {"case": "bert", "slice": "0", "modalities": "", "seeds": "0.333333"},
    ]


def test_two_processes_lose_none_of_each_others_rows(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "ab"]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    names = {f"{name}{n}" for name in "ab" for n in range(25)}
    assert {row["case"] for row in rows_of(tmp_path)} == names
    assert len(rows_of(tmp_path)) == 2 * len(names)
    assert all(kept_thresholds(tmp_path, name, "cam") == {"T2": 0.25} for name in names)


@pytest.mark.parametrize("content", [b"my,notes\n1,2\n", b"case,slice,modalities,seeds\n\xff\xfe,0,,\n"])
def test_a_table_of_something_else_is_neither_mixed_nor_overwritten(tmp_path: Path, content: bytes) -> None:
    (tmp_path / AGREEMENT_FILE).write_bytes(content)
    with pytest.raises(SegToolkitError, match="is no table of agreement") as refused:
        keep_agreement(tmp_path, "anna", [0.5], [None])
    assert refused.value.code == "bad-table"
    assert (tmp_path / AGREEMENT_FILE).read_bytes() == content


def test_an_empty_table_is_begun(tmp_path: Path) -> None:
    (tmp_path / AGREEMENT_FILE).touch()
    keep_agreement(tmp_path, "anna", [0.5], [None])
    assert len(rows_of(tmp_path)) == 1


def test_thresholds_of_other_kinds_and_patients_stay(tmp_path: Path) -> None:
    keep_thresholds(tmp_path, "anna", "cam", {"T2": 0.2})
    keep_thresholds(tmp_path, "anna", "gradcam", {"T2": 0.3})
    keep_thresholds(tmp_path, "bert", "cam", {"T2": 0.4})
    assert kept_thresholds(tmp_path, "anna", "cam") == {"T2": 0.2}
    assert kept_thresholds(tmp_path, "anna", "gradcam") == {"T2": 0.3}
    assert kept_thresholds(tmp_path, "bert", "gradcam") is None


def test_parts_of_the_cases_make_what_one_call_makes(dataset: Dataset, model: Path, tmp_path: Path) -> None:
    words = ["--model", model, "--dataset", dataset.folder, "--device", "cpu", "--threshold", "0.4"]
    parts = tmp_path / "parts"
    made = [run("maps", *words, "-o", parts, "--shard", f"{n}/3")["files"] for n in range(3)]
    assert [list(one) for one in made] == [["1"], ["2"], []]
    whole = tmp_path / "whole"
    assert list(run("maps", *words, "-o", whole)["files"]) == ["1", "2"]
    assert [row["case"] for row in rows_of(whole)] == ["1"] * SLICES + ["2"] * SLICES
    files = {path.name: path.read_bytes() for path in whole.iterdir() if path.suffix in (".csv", ".json")}
    assert len(files) == 2
    assert files == {name: (parts / name).read_bytes() for name in files}
    assert {path.name for path in parts.iterdir()} == {path.name for path in whole.iterdir()}
    assert kept_thresholds(parts, "2", "cam") == dict.fromkeys(("T2", "ADC", "fused"), 0.4)


def test_one_patient_is_not_divided(model: Path, tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="--shard divides the cases of a data set") as refused:
        run("maps", "--model", model, "-i", "T2=a.nrrd", "-o", tmp_path / "out", "--shard", "0/2")
    assert refused.value.code == "bad-choice"
    assert not (tmp_path / "out").exists()
