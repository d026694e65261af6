"""A description whose volumes lie elsewhere (``--data``), in every verb that takes a data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs import control
from SegToolkitLib.jobs.begin import check_inputs
from SegToolkitLib.jobs.job_file import read_job
from SegToolkitLib.methods.registry import training_of
from SegToolkitLib.phantom import phantom
from SegToolkitLib.volume import write_volume


@pytest.fixture
def description(tmp_path: Path) -> Path:
    """Of three volumes in the folder ``volumes``, which it does not name."""
    (tmp_path / "volumes").mkdir()
    for seed in (1, 2, 3):
        made = phantom(seed, size=(48, 48), slices=12)
        write_volume(made.image, tmp_path / "volumes" / f"image_{seed}.nii.gz")
    file = tmp_path / "elsewhere" / "d.json"
    file.parent.mkdir()
    values = {"name": "tiny", "modality": "MR", "labels": {"background": 0}}
    file.write_text(json.dumps(values), encoding="utf-8")
    return file


def test_data_sets_are_checked_shown_and_split(
    description: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tmp_path / "volumes")]
    for verb in ("check", "show"):
        assert main(["dataset", verb, str(description)]) == 1
        assert "--data FOLDER" in capsys.readouterr().err
        assert main(["dataset", verb, str(description), *data]) == 0
    assert main(["dataset", "split", str(description), *data, "--folds", "3"]) == 0


def test_volumes_are_prepared_for_few_shot(description: Path, tmp_path: Path) -> None:
    words = ["prepare", "alpnet", "generic", str(description), str(tmp_path / "out"), "--size", "32"]
    assert main(words) == 1
    assert main([*words, "--data", str(tmp_path / "volumes")]) == 0
    assert len(list((tmp_path / "out").glob("image_*.nii.gz"))) == 3
    wrong = ["prepare", "alpnet", "chaos", str(tmp_path / "volumes"), str(tmp_path / "c"), "--data", "."]
    assert main(wrong) == 1


def test_a_run_in_the_background_is_refused_without_its_volumes(description: Path, tmp_path: Path) -> None:
    method = training_of("alpnet")
    with pytest.raises(SegToolkitError, match="fits the image pattern"):
        check_inputs(method, str(description), {})
    check_inputs(method, str(description), {}, str(tmp_path / "volumes"))


def test_a_copy_of_a_run_that_was_started_by_hand_has_its_volumes(description: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "by hand"
    run.mkdir(parents=True)
    start = {"dataset": str(description), "data": str(tmp_path / "volumes"), "places": {}}
    kept = {"method": "alpnet", "settings": {"seed": 1}, "start": start}
    (run / "settings.json").write_text(json.dumps(kept), encoding="utf-8")
    job = read_job(control.clone(run, "copy", {}))
    assert job is not None
    assert (job.dataset, job.data) == (str(description), str(tmp_path / "volumes"))
