"""The experiment on slice tags, and the scores that the repository keeps of experiments."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TESTING = Path(__file__).parents[1]
PLAN: dict[str, Any] = json.loads((TESTING / "weak_labels" / "plan.json").read_text(encoding="utf-8"))
BRATS: dict[str, Any] = json.loads(
    (TESTING.parent / PLAN["data_sets"]["brats2015"]["description"]).read_text(encoding="utf-8")
)
CORRECTED, BEST = "corrected, second stage", "best, second stage"


@pytest.fixture(scope="module")
def weak() -> Iterator[ModuleType]:
    """The script as a module, found as it is when it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TESTING))
        spec = importlib.util.spec_from_file_location("weak_labels_run", TESTING / "weak_labels" / "run.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["weak_labels_run"] = module
        spec.loader.exec_module(module)
        yield module
        sys.modules.pop("weak_labels_run", None)


def score(own: float, choosing: float = 0.0, **more: Any) -> dict[str, Any]:
    """What a finished training leaves."""
    return {"map": "FLAIR", "choosing": choosing, "taken": {"own": own, "half": own / 2}, **more}


def scores_of_all(plan: dict[str, Any]) -> dict[str, Any]:
    scores = {arm: score(0.1, 0.1, refined={"own": 0.2, "half": 0.1}) for arm in plan["arms"]}
    scores["cross-entropy"] = score(0.5, 0.6, refined={"own": 0.55, "half": 0.5})
    return scores | {CORRECTED: score(0.3), BEST: score(0.6), "fully supervised": score(0.8)}


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """The names of four patients' files, which say who there is."""
    for id in ("1", "2", "4", "5"):
        for channel in BRATS["channels"].values():
            file = tmp_path / "brats2015" / BRATS["image_pattern"].format(id=id, channel=channel)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return tmp_path


def piece(weak: ModuleType, data: Path, kept: Any, seed: int = 0, test: str = "2") -> Any:
    plan = json.loads(json.dumps(PLAN))
    for one in plan["data_sets"].values():
        one["description"] = str(TESTING.parent / one["description"])
    arms = (*PLAN["arms"], CORRECTED, BEST, "fully supervised")
    out = data / "out" / test / str(seed)
    return weak.Piece("brats2015", test, seed, plan, data, out, None, arms, kept)


def test_everyone_but_the_test_trains(weak: ModuleType, patients: Path) -> None:
    kept = weak.Kept(patients / "kept.json", PLAN)
    assert piece(weak, patients, kept).others == ["1", "4", "5"]


@pytest.mark.parametrize("finds", [True, False])
def test_a_training_knows_the_maps_it_learns_and_nothing_is_done_twice(
    weak: ModuleType, patients: Path, monkeypatch: pytest.MonkeyPatch, finds: bool
) -> None:
    """The best training is the best on the training patients, whatever it makes of the test."""
    trained = []

    def train(self: Any, arm: str, taught_by: str) -> Path:
        trained.append((arm, taught_by))
        return Path(arm)

    def scored(self: Any, arm: str, model: Path) -> dict[str, Any]:
        return score(0.9 if arm == "released" else 0.1, {"gentle": 0.7, "released": 0.2}.get(arm, 0.1))

    monkeypatch.setattr(weak.Piece, "_trained", train)
    monkeypatch.setattr(weak.Piece, "_scored", scored)
    monkeypatch.setattr(weak.Piece, "_finds", lambda self, arm: finds and arm == "gentle")
    kept = weak.Kept(patients / "kept.json", PLAN)
    own = piece(weak, patients, kept)
    own.run()
    assert own.best() == "gentle"
    # Maps of "corrected" show nothing, so nobody learns them.
    assert trained[len(PLAN["arms"]) :] == [
        *([(BEST, "gentle")] if finds else []),
        ("fully supervised", "fully supervised"),
    ]
    assert own.scores()[CORRECTED]["taken"] == {"own": 0.0, "half": 0.0}
    assert list(own.scores()) == list(own.arms)
    count = len(trained)
    own.run()
    assert len(trained) == count


def test_rows_of_the_table_are_means_over_seeds_and_patients(
    weak: ModuleType, patients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = weak.Kept(patients / "kept.json", PLAN)
    pieces = [piece(weak, patients, kept, seed, test) for seed in (0, 1) for test in ("1", "2")]
    for number, own in enumerate(pieces):
        found = scores_of_all(PLAN)
        found["cross-entropy"]["taken"]["own"] = 0.4 + 0.1 * number
        kept.write({own.key: found})
    order = [*PLAN["arms"], "best", "best, refined", BEST, "corrected, refined"]
    text, results = weak.table(pieces, {"data_sets": {"brats2015": {}, "ms_lesion": {}}}, order)
    assert results["brats2015"]["cross-entropy"]["own"]["mean"] == pytest.approx(0.55)
    assert results["brats2015"]["cross-entropy"]["own"]["by_seed"] == pytest.approx({"0": 0.45, "1": 0.65})
    assert results["brats2015"]["cross-entropy"]["own"]["by_patient"] == pytest.approx({"1": 0.5, "2": 0.6})
    assert "| cross-entropy | 0.550 | ± 0.141 | ± 0.071 | 0.250 | ± 0.000 | ± 0.000 |" in text.splitlines()
    assert results["brats2015"]["best"] == results["brats2015"]["cross-entropy"]
    assert results["brats2015"]["best, refined"]["own"]["mean"] == pytest.approx(0.55)
    assert results["brats2015"]["corrected, refined"]["own"]["mean"] == pytest.approx(0.2)
    assert "ms_lesion" not in results


def test_kept_scores_are_those_of_the_plan(weak: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    kept = weak.Kept(file, {"steps": 200})
    assert kept.of("one") is None
    kept.write({"two": {"own": 0.123456, "map": "FLAIR"}})
    kept.write({"one": {"own": 1}})
    content = json.loads(file.read_text(encoding="utf-8"))
    assert list(content["scores"]) == ["one", "two"]
    assert weak.Kept(file, {"steps": 200}).of("two") == {"own": 0.1235, "map": "FLAIR"}
    assert weak.Kept(file, {"steps": 400}).of("two") is None
    # Done anew, the new score takes the old one's place, and the others stay.
    anew = weak.Kept(file, {"steps": 200}, anew=True)
    assert anew.of("two") is None
    anew.write({"two": {"own": 0.5}})
    again = weak.Kept(file, {"steps": 200})
    assert (again.of("one"), again.of("two")) == ({"own": 1}, {"own": 0.5})


def test_what_is_finished_is_kept_also_when_an_experiment_fails(weak: ModuleType, patients: Path) -> None:
    file = patients / "kept.json"
    kept = weak.Kept(file, PLAN)
    done, other = piece(weak, patients, kept, 0), piece(weak, patients, kept, 1)
    done.out.mkdir(parents=True)
    (done.out / "scores.json").write_text(json.dumps({"gentle": score(0.5)}), encoding="utf-8")
    for wanted in (False, True):
        with pytest.raises(RuntimeError), kept.adding([done, other], wanted):
            raise RuntimeError
        assert file.is_file() == wanted
    assert list(json.loads(file.read_text(encoding="utf-8"))["scores"]) == [done.key]


def test_a_trial_is_not_kept(
    weak: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "--data", "nowhere", "--steps", "2", "--keep"])
    with pytest.raises(SystemExit):
        weak.main()
    assert "not to be kept" in capsys.readouterr().err
