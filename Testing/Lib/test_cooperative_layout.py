"""Prepared volumes of cooperative training: names of files, failures, and the sheet of a slice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cooperative_cases import made_dataset
from cooperative_model import make_model, tiny_plan
from SegToolkitLib.cli import main
from SegToolkitLib.methods.cooperative.plan import InferencePlan

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.mark.parametrize("ids", [("1_ED", "1-ED"), ("1_ED", "1_ed")])
@pytest.mark.parametrize("shard", [(), ("--shard", "0/2")])
def test_cases_that_would_be_one_file_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ids: tuple[str, str], shard: tuple[str, ...]
) -> None:
    made_dataset(tmp_path / "data", (*ids, "2_ED"), patients=dict.fromkeys(ids, "1") | {"2_ED": "2"})
    out = tmp_path / "out"
    assert run("prepare", "cooperative", "--dataset", tmp_path / "data", "--write", out, *shard) == 1
    told = capsys.readouterr().err
    assert all(id in told for id in ids)
    assert "1/ED_img.nii.gz" in told or "1/ed_img.nii.gz" in told
    assert not out.exists()


@pytest.mark.parametrize("words", [(), ("--write",)])
def test_a_preparation_in_which_every_case_failed_has_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    made_dataset(tmp_path / "data")
    for path in (tmp_path / "data").glob("image_*"):
        path.write_bytes(b"no volume")
    given = [*words, tmp_path / "out"] if words else ["--cache", tmp_path / "cache"]
    assert run("prepare", "cooperative", "--dataset", tmp_path / "data", *given) == 1
    told = capsys.readouterr().err
    assert "cases could not be prepared" in told or "None of the 4 cases could be prepared" in told
    assert "Case 5_ED" in told


def test_a_preparation_in_which_some_cases_failed_has_prepared_the_others(tmp_path: Path) -> None:
    made_dataset(tmp_path / "data")
    (tmp_path / "data" / "image_1_ED.nii.gz").write_bytes(b"no volume")
    assert run("prepare", "cooperative", "--dataset", tmp_path / "data", "--cache", tmp_path / "cache") == 0


def sheet(tmp_path: Path, temperature: float) -> Any:
    folder = tmp_path / f"model{temperature:g}"
    make_model(folder, tiny_plan(inference=InferencePlan(temperature=temperature)))
    picture = tmp_path / f"{temperature:g}.png"
    image, label = (tmp_path / "data" / f"{what}_1_ED.nii.gz" for what in ("image", "label"))
    words = ("--model", folder, "-i", image, "--label", label, "--slice", 3, "-o", picture)
    assert run("visualise", "cooperative", *words) == 0
    return np.asarray(Image.open(picture)).astype(float)


def test_the_entropies_of_a_sheet_are_those_of_the_model_s_map(tmp_path: Path) -> None:
    """They are softened by the temperature of the model, as the map of uncertainty is."""
    made_dataset(tmp_path / "data")
    sharp, soft = sheet(tmp_path, 1.0), sheet(tmp_path, 8.0)
    # Below the slice itself: of the images, segmentations and entropies, only the last ones differ.
    below = slice(round(0.15 * len(sharp)), None)
    assert (soft - sharp)[below].mean() > 0.5
    assert ((soft - sharp)[below] != 0).any(axis=(1, 2)).mean() < 0.4


def test_a_broken_description_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_dataset(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "other")
    (tmp_path / "other" / "dataset.json").write_text(json.dumps({"name": "x"}), encoding="utf-8")
    assert run("prepare", "cooperative", "--dataset", tmp_path / "other", "--write", tmp_path / "out") == 1
    assert "dataset.json" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--write",), ("--cache",)])
def test_where_nothing_can_be_written_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str]
) -> None:
    made_dataset(tmp_path / "data")
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = tmp_path / "file" / "out"
    assert run("prepare", "cooperative", "--dataset", tmp_path / "data", *words, place) == 1
    told = capsys.readouterr().err
    assert str(place) in told
    assert told.count("Error") == 1
    assert "1_ES" not in told
