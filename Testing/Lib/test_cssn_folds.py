"""``train cssn`` with --stage, --folds and --resume: what each run begins with, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from SegToolkitLib.cli import main
from SegToolkitLib.methods.cssn.presets import PRESETS
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.methods.cssn.training import METHOD
from SegToolkitLib.settings import load
from SegToolkitLib.training import session
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.start import Start, stored_settings

DATA = "/data/boxes/dataset.json"


class Trainings:
    """What would be trained: settings and start of each run, by the name of its folder.

    A resumed run is checked as the engine checks it.
    """

    def __init__(self) -> None:
        self.settings: dict[str, CssnSettings] = {}
        self.starts: dict[str, Start] = {}
        self.resumed: list[str] = []

    def __call__(
        self, method: Any, folder: Path, settings: Any, start: Start, device: Any, reporter: Any, resume: str
    ) -> Path:
        run = RunFolder(folder)
        if resume == "must":
            RunFolder.open(folder)
        if resume == "must" or (resume == "may" and run.settings_file.exists()):
            settings = stored_settings(run, settings, METHOD)
            self.resumed.append(folder.name)
        self.settings[folder.name], self.starts[folder.name] = settings, start
        return folder / "result" / "model"


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    found = Trainings()
    monkeypatch.setattr(session, "run_training", found)
    return found


def preset(name: str, *changes: str) -> CssnSettings:
    settings = PRESETS[name].settings
    assert isinstance(settings, CssnSettings)
    return load(CssnSettings, settings, None, changes)


def begun(folder: Path, settings: CssnSettings, **places: Path) -> Path:
    """A run that has read its data."""
    start = {
        "dataset": DATA,
        "data": "/data/volumes",
        "places": {name: str(path) for name, path in places.items()},
        "sha256": {},
    }
    RunFolder.create(folder, "cssn", settings.model_dump(mode="json"), {"sha256": {}}, start, 1)
    return folder


def finished(folder: Path) -> Path:
    """The folder of a run with a model, as far as looking for one goes."""
    (folder / "result" / "model").mkdir(parents=True)
    (folder / "result" / "model" / "model.json").write_text("{}")
    return folder


def trained(run: Path, *words: str) -> int:
    return main(["train", "cssn", "--run", str(run), "--device", "cpu", *words])


def test_a_fold_that_was_not_begun_takes_settings_and_data_of_one_that_was(
    trainings: Trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = preset("quick", "data.fold=1", "seed=7")
    begun(tmp_path / "fold-1", own, cache=tmp_path / "cache")
    assert trained(tmp_path, "--folds", "0,1", "--resume") == 0
    assert trainings.resumed == ["fold-1"]
    assert trainings.settings["fold-1"] == own
    assert trainings.settings["fold-0"] == preset("quick", "data.fold=0", "seed=7")
    start = trainings.starts["fold-0"]
    assert (start.dataset, start.data) == (DATA, Path("/data/volumes"))
    assert start.places == {"cache": tmp_path / "cache"}
    assert start.name == f"{tmp_path.name}-fold-0"
    assert "fold-0 begins with the settings of fold-1." in capsys.readouterr().err


def test_what_is_given_goes_before_what_another_fold_has(trainings: Trainings, tmp_path: Path) -> None:
    begun(tmp_path / "fold-0", preset("quick", "data.fold=0"), cache=tmp_path / "cache")
    words = ["--folds", "1", "--start-or-resume", "--preset", "default", "--dataset", "other"]
    assert trained(tmp_path, *words) == 0
    assert trainings.settings["fold-1"] == preset("default", "data.fold=1")
    assert trained(tmp_path, "--folds", "2", "--resume", "--seed", "3", "--dataset", "other") == 0
    assert trainings.settings["fold-2"] == preset("quick", "data.fold=2", "seed=3")
    assert trainings.starts["fold-2"].dataset == "other"


def test_nothing_to_resume_is_told_instead_of_a_training_as_published(
    trainings: Trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained(tmp_path, "--folds", "0,1", "--resume", "--dataset", DATA) == 1
    assert "No fold was begun" in capsys.readouterr().err
    assert not trainings.settings
    # To start where there is none is what the other option says.
    assert trained(tmp_path, "--folds", "0", "--start-or-resume", "--dataset", DATA) == 0
    assert trainings.settings["fold-0"] == preset("published", "data.fold=0")


@pytest.mark.parametrize("how", ["--resume", "--start-or-resume"])
@pytest.mark.parametrize("folds", [[], ["--folds", "0,1"]], ids=["one run", "folds"])
def test_a_coarse_run_goes_on_with_its_own_settings(
    trainings: Trainings, tmp_path: Path, how: str, folds: list[str]
) -> None:
    runs = [tmp_path / f"fold-{fold}" for fold in (0, 1)] if folds else [tmp_path]
    for number, run in enumerate(runs):
        begun(run, preset("quick-coarse", f"data.fold={number}"))
    assert trained(tmp_path, "--stage", "coarse", how, "--dataset", DATA, *folds) == 0
    assert trainings.resumed == [run.name for run in runs]
    assert trained(tmp_path, "--stage", "coarse", "--preset", "quick", how, "--dataset", DATA, *folds) == 0
    assert trainings.resumed == [run.name for run in runs] * 2


def test_a_run_of_the_other_stage_is_not_gone_on_with(
    trainings: Trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path / "run", preset("quick"))
    assert trained(tmp_path / "run", "--stage", "coarse", "--resume") == 1
    assert "stage=fine, not coarse" in capsys.readouterr().err
    begun(tmp_path / "fold-0", preset("quick", "data.fold=0"))
    assert trained(tmp_path, "--stage", "coarse", "--resume", "--folds", "1") == 1
    assert "trains the fine one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "name", "expected"),
    [
        ("coarse", None, "published-coarse"),
        ("coarse", "quick", "quick-coarse"),
        ("coarse", "quick-coarse", "quick-coarse"),
        ("fine", "quick", "quick"),
        (None, "quick-coarse", "quick-coarse"),
        (None, None, "published"),
    ],
)
def test_a_new_run_takes_the_preset_of_its_stage(
    trainings: Trainings, tmp_path: Path, stage: str | None, name: str | None, expected: str
) -> None:
    words = [*(["--stage", stage] if stage else []), *(["--preset", name] if name else [])]
    assert trained(tmp_path / "run", "--dataset", DATA, *words) == 0
    assert trainings.settings["run"] == preset(expected)


@pytest.mark.parametrize(
    ("stage", "other"),
    [("fine", "--preset"), ("fine", "--config"), ("coarse", "--config")],
)
def test_settings_of_the_other_stage_are_refused(
    trainings: Trainings, tmp_path: Path, stage: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"stage": "fine" if stage == "coarse" else "coarse"}))
    given = str(file) if other == "--config" else "quick-coarse"
    assert trained(tmp_path / "run", "--dataset", DATA, "--stage", stage, other, given) == 1
    assert f"--stage asks for the {stage} stage, but " in capsys.readouterr().err
    assert not trainings.settings


def test_each_fold_has_the_coarse_model_that_left_it_out(trainings: Trainings, tmp_path: Path) -> None:
    coarse = tmp_path / "coarse"
    for fold in (0, 1):
        finished(coarse / f"fold-{fold}")
    words = ["--folds", "0,1", "--dataset", DATA, "--preset", "quick", "--coarse", str(coarse)]
    assert trained(tmp_path / "fine", *words) == 0
    assert [trainings.starts[f"fold-{fold}"].places["coarse"] for fold in (0, 1)] == [
        coarse / "fold-0",
        coarse / "fold-1",
    ]
    one = finished(tmp_path / "one")
    assert trained(tmp_path / "fine", *words[:-1], str(one)) == 0
    assert {start.places["coarse"] for start in trainings.starts.values()} == {one}


def test_a_fold_without_a_coarse_model_is_told_before_any_is_trained(
    trainings: Trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coarse = tmp_path / "coarse"
    finished(coarse / "fold-0")
    (coarse / "fold-2").mkdir()
    for missing in ("1", "2"):
        words = ["--folds", f"0,{missing}", "--dataset", DATA, "--coarse", str(coarse)]
        assert trained(tmp_path / "fine", *words) == 1
        assert f"no finished coarse model of fold-{missing}" in capsys.readouterr().err
    assert not trainings.settings
    # A run that goes on has kept its own.
    begun(tmp_path / "fine" / "fold-1", preset("quick", "data.fold=1"))
    words = ["--folds", "0,1", "--resume", "--dataset", DATA, "--coarse", str(coarse)]
    assert trained(tmp_path / "fine", *words) == 0


def test_the_coarse_model_of_another_fold_is_not_taken_over(
    trainings: Trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coarse = tmp_path / "coarse"
    place = finished(coarse / "fold-0") / "result" / "model"
    begun(tmp_path / "fine" / "fold-0", preset("quick", "data.fold=0"), coarse=place)
    assert trained(tmp_path / "fine", "--folds", "0,1", "--resume") == 1
    assert "no finished coarse model of fold-1" in capsys.readouterr().err
    finished(coarse / "fold-1")
    assert trained(tmp_path / "fine", "--folds", "0,1", "--resume") == 0
    assert trainings.starts["fold-1"].places["coarse"] == coarse / "fold-1"
