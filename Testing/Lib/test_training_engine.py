"""The engine, tried on the toy: validation, early stop, the best weights, accumulation, stop and resume."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.jobs.status import status
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.settings import load
from SegToolkitLib.training.alive import holding
from SegToolkitLib.training.checkpoint import best_checkpoint, checkpoints, sweep
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.start import Start
from SegToolkitLib.training.validation import Judge
from toy_runs import ENVIRONMENT, StopAt, call, losses, run_toy, toy, toy_settings, train_words


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    return RunFolder(folder).events(kind)


def test_validation_leaves_no_trace_in_the_training(tmp_path: Path) -> None:
    run_toy(tmp_path / "without")
    run_toy(tmp_path / "with", validate_every=2)
    assert losses(tmp_path / "with") == losses(tmp_path / "without")  # dropout draws from the same states


def test_each_validation_tells_figures_and_pictures(tmp_path: Path) -> None:
    run_toy(tmp_path, validate_every=5)
    found = events(tmp_path, "validation")
    assert [event["step"] for event in found] == [5, 10, 12]
    assert found[-1]["dice"] > found[0]["dice"]
    for event in found:
        [picture] = event["pictures"]
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("use_best", "step"), [(True, 4), (False, 12)])
def test_the_result_takes_the_best_weights_where_that_is_wanted(
    tmp_path: Path, use_best: bool, step: int
) -> None:
    model = run_toy(tmp_path, validate_every=2, peak=4, use_best=use_best, keep_checkpoints=12)
    assert model is not None
    assert [e["step"] for e in events(tmp_path, "validation") if e["best"]] == [2, 4]
    best = best_checkpoint(tmp_path / "checkpoints")
    assert best is not None
    assert best["step"] == 4
    state = torch.load(tmp_path / "checkpoints" / "00000012.pt", weights_only=True)
    wanted = {4: best, 12: state}[step]["network"]
    assert all(torch.equal(value, wanted[name]) for name, value in load_state(model).items())


def test_patience_ends_a_run_early_and_a_resumed_one_as_well(tmp_path: Path) -> None:
    assert run_toy(tmp_path, validate_every=2, peak=4, patience=2)
    assert events(tmp_path, "finished")[-1] | {"time": 0} == {
        "t": "finished",
        "time": 0,
        "step": 8,
        "early": True,
        "model": "result/model",
    }
    (tmp_path / "result" / "model" / "model.json").unlink()  # as if it had been killed before the result
    assert run_toy(tmp_path, "must")
    assert events(tmp_path, "metric")[-1]["step"] == 8
    assert (tmp_path / "result" / "model" / "model.json").exists()


@pytest.mark.parametrize(
    ("mode", "values", "best", "since"),
    [
        ("max", [0.1, 0.3, 0.2, 0.3], 0.3, 2),
        ("min", [5.0, 4.0, 6.0], 4.0, 1),
        ("max", [float("nan"), 0.2, None], 0.2, 1),
    ],
)
def test_the_best_is_the_first_of_the_best_and_never_what_is_no_number(
    mode: Any, values: list[float | None], best: float, since: int
) -> None:
    judge = Judge()
    for step, value in enumerate(values):
        judge.take(value, mode, step)
    assert (judge.best, judge.since) == (best, since)


def test_accumulated_samples_make_the_update_of_one_large_sample(tmp_path: Path) -> None:
    run_toy(tmp_path / "parts", accumulate=3, batch=2, dropout=0)
    run_toy(tmp_path / "whole", batch=6, dropout=0)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), abs=2e-6)


def test_a_clipped_gradient_moves_the_weights_no_further_than_it_may(tmp_path: Path) -> None:
    moved = {}
    for name, clip in (("free", None), ("clipped", 1e-3)):
        run_toy(tmp_path / name, steps=1, clip_gradient=clip, learning_rate=1)
        state = torch.load(tmp_path / name / "checkpoints" / "00000001.pt", weights_only=True)
        fresh = toy().trial(toy_settings(), None, torch.device("cpu")).network.state_dict()
        change = [(state["network"][key] - fresh[key]).square().sum() for key in fresh]
        moved[name] = float(torch.stack(change).sum().sqrt())
    assert moved["clipped"] == pytest.approx(1e-3, rel=0.01)
    assert moved["free"] > 0.01


def test_the_newest_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    run_toy(tmp_path, snapshot_every=2, keep_checkpoints=3, validate_every=4)
    folder = tmp_path / "checkpoints"
    assert [path.stem for path in checkpoints(folder)] == ["00000008", "00000010", "00000012"]
    assert (folder / "best.pt").exists()


def test_what_a_killed_process_left_half_written_is_swept_and_nothing_else(tmp_path: Path) -> None:
    names = [".0a1b2c3d.00000012.pt", ".0a1b2c3d.best.pt", "00000012.pt", ".mine.pt"]
    for name in names:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[2:])


def test_stop_and_keep_best_ends_with_a_result_and_stop_with_none(tmp_path: Path) -> None:
    folder = tmp_path / "finish"
    assert run_toy(folder, reporter=StopAt(folder, 6, "finish"), validate_every=2, peak=4)
    assert events(folder, "finished")[-1]["early"] is True
    assert events(folder, "metric")[-1]["step"] == 6
    assert "weights of step 4" in (folder / "log.txt").read_text()
    folder = tmp_path / "stop"
    assert run_toy(folder, reporter=StopAt(folder, 6)) is None
    assert [event["step"] for event in events(folder, "stopped")] == [6]
    assert not (folder / "stop").exists()
    assert run_toy(folder, "must")
    run_toy(tmp_path / "whole")
    assert losses(folder) == losses(tmp_path / "whole")
    assert len(losses(folder)) == 12


def test_a_loader_that_draws_a_seed_of_its_own_changes_nothing_for_a_resumed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(toy().trial(toy_settings(), None, torch.device("cpu")))
    plain = kind.samples

    def loader(task: Any, numbers: Any) -> Any:
        torch.rand(1)  # as torch's DataLoader does when it is first asked
        yield from plain(task, numbers)

    monkeypatch.setattr(kind, "samples", loader)
    run_toy(tmp_path / "parts", reporter=StopAt(tmp_path / "parts", 6))
    run_toy(tmp_path / "parts", "must")
    run_toy(tmp_path / "whole")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_a_run_stops_while_its_data_are_prepared_and_goes_on_from_the_start(tmp_path: Path) -> None:
    ears = StopAt(tmp_path, 3, phase="preparing")
    assert run_toy(tmp_path, reporter=ears, preparing=0.1) is None
    assert events(tmp_path, "stopped")[-1]["step"] == 0
    assert not events(tmp_path, "start")
    phases = [(event["phase"], event["step"]) for event in events(tmp_path, "progress")]
    assert phases[:2] == [("starting", 0), ("preparing", 1)]
    assert run_toy(tmp_path, "must")


def test_a_stop_from_before_the_process_is_not_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_toy(tmp_path, reporter=StopAt(tmp_path, 6))
    (tmp_path / "stop").touch()
    os.utime(tmp_path / "stop", (1, 1))
    assert run_toy(tmp_path, "must")
    assert [event["step"] for event in events(tmp_path, "stopped")] == [6]


def test_start_or_resume_does_either(tmp_path: Path) -> None:
    assert run_toy(tmp_path, "may", reporter=StopAt(tmp_path, 5)) is None
    assert run_toy(tmp_path, "may")
    assert [event["step"] for event in events(tmp_path, "start")] == [0, 5]
    with pytest.raises(SegToolkitError) as error:
        run_toy(tmp_path, "may", steps=13)
    assert error.value.code == "settings-fixed"
    assert "steps=12, not 13" in error.value.message


def test_a_run_that_another_process_works_on_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import sys; from SegToolkitLib.training.alive import holding\n"
        "with holding(sys.argv[1]): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        encoding="utf-8",
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SegToolkitError) as error:
            run_toy(tmp_path)
        other.communicate("\n")
    assert error.value.code == "run-busy"
    assert not (tmp_path / "events.jsonl").exists()
    with holding(tmp_path):  # a process may hold its own run, as one that waits for its turn does
        assert run_toy(tmp_path)


def test_settings_json_is_complete_for_readers_that_do_not_know_the_method(tmp_path: Path) -> None:
    run_toy(tmp_path, start=Start(name="mine", command="segtoolkit train toy"))
    content = json.loads((tmp_path / "settings.json").read_text())
    assert content["steps"] == content["settings"]["steps"] == 12
    assert content["method"] == "toy"
    assert content["data"] == {"cases": []}
    assert content["start"]["command"] == "segtoolkit train toy"
    start, finished = events(tmp_path, "start")[0], events(tmp_path, "finished")[0]
    assert (start["step"], start["total"], start["device"], start["world"]) == (0, 12, "cpu", 1)
    assert (finished["step"], finished["early"], finished["model"]) == (12, False, "result/model")
    assert {"step", "loss", "learning_rate", "seconds_per_step"} <= set(events(tmp_path, "metric")[0])


def test_an_error_is_written_down_and_a_run_without_data_can_be_started_anew(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="nowhere"):
        run_toy(tmp_path, start=Start(dataset=str(tmp_path / "nowhere")))
    assert events(tmp_path, "error")[-1]["code"]
    assert run_toy(tmp_path)
    with pytest.raises(SegToolkitError, match="already holds a run"):
        run_toy(tmp_path)


@pytest.mark.parametrize("how", [[], ["--start-or-resume"]], ids=["start", "start or resume"])
def test_a_command_whose_run_failed_at_its_start_can_be_mended_and_repeated(
    tmp_path: Path, how: list[str]
) -> None:
    words = [*train_words(tmp_path / "run", "steps=2"), *how]
    failed = call(*words, "--dataset", str(tmp_path / "nowhere"), check=False)
    assert failed.returncode == 1
    assert "nowhere is no data set" in failed.stderr
    assert status(tmp_path / "run").state == "failed"
    call(*words, "--set", "steps=3")
    content = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (content["steps"], content["start"]["dataset"]) == (3, None)
    assert status(tmp_path / "run").state == "finished"


def test_a_file_that_a_run_began_with_has_to_be_the_same_until_the_first_checkpoint(tmp_path: Path) -> None:
    file, folder = tmp_path / "w.pth", tmp_path / "run"
    file.write_text("weights")
    start = Start(places={"weights": file})
    assert run_toy(folder, reporter=StopAt(folder, 1, phase="preparing"), start=start, preparing=0.05) is None
    file.write_text("other weights")
    with pytest.raises(SegToolkitError) as error:
        run_toy(folder, "must")
    assert error.value.code == "place-changed"
    assert "--place weights=FILE" in error.value.hint
    file.write_text("weights")
    assert run_toy(folder, "must", reporter=StopAt(folder, 4)) is None
    file.unlink()
    assert run_toy(folder, "must")
    with pytest.raises(SegToolkitError, match=r"no further input called 'coco'.*weights"):
        run_toy(tmp_path / "b", start=Start(places={"coco": file}))


def test_curves_for_tensorboard_are_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_toy(tmp_path / "with", steps=2, tensorboard=True, validate_every=1)
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = accumulator.EventAccumulator(str(tmp_path / "with" / "tensorboard")).Reload()
    assert {"training/loss", "validation/dice"} <= set(board.Tags()["scalars"])
    assert [one.step for one in board.Scalars("training/loss")] == [1, 2]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SegToolkitError, match="tensorboard=false"):
        run_toy(tmp_path / "without", tensorboard=True)


def test_settings_come_from_yaml_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("steps: 7\nskip: [1, 2]\nclip_gradient: 1.5\n")
    settings = load(toy().settings, toy_settings(), file, ["seed=3"])
    assert (settings.steps, settings.skip, settings.clip_gradient, settings.seed) == (7, [1, 2], 1.5, 3)
    for content, word in (("stepz: 7", "'steps'"), ("a: [", "valid YAML"), ("- 1", "no mapping")):
        file.write_text(content)
        with pytest.raises(SegToolkitError, match=word):
            load(toy().settings, toy_settings(), file)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(SegToolkitError, match="PyYAML"):
        load(toy().settings, toy_settings(), file)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"accumulate": 0}, "accumulate"),
        ({"clip_gradient": -1}, "clip_gradient"),
        ({"patience": 0}, "patience"),
        ({"validate_every": -1}, "validate_every"),
        ({"acumulate": 2}, "'accumulate'"),
    ],
)
def test_the_engines_own_settings_are_checked_by_name(values: dict[str, Any], word: str) -> None:
    [text] = [f"{name}={value}" for name, value in values.items()]
    with pytest.raises(SegToolkitError, match=word):
        load(toy().settings, toy_settings(), None, [text])


class _Phases(Reporter):
    def __init__(self) -> None:
        self.steps: list[int] = []

    def progress(self, phase: str, step: int, total: int, **values: object) -> None:
        self.steps.append(step)


def test_progress_is_written_seldom_and_reported_always(tmp_path: Path) -> None:
    ears = _Phases()
    run_toy(tmp_path, reporter=ears, steps=40, log_every=40, snapshot_every=40)
    written = [event["step"] for event in events(tmp_path, "progress") if event["phase"] == "training"]
    assert ears.steps == list(range(1, 41))
    assert written[0] == 1
    assert written[-1] == 40
    assert len(written) < 20
