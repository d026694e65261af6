"""The loop: repeatable, resumable to the bit, stoppable, and honest about skipped samples."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.augment import AUGMENTATIONS
from SegToolkitLib.methods.alpnet.data import EpisodeSampler, Scan
from SegToolkitLib.methods.alpnet.network import build_network
from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
from SegToolkitLib.methods.alpnet.train import AlpnetTask
from SegToolkitLib.methods.alpnet.training import METHOD
from SegToolkitLib.phantom import phantom
from SegToolkitLib.settings import load
from SegToolkitLib.training.checkpoint import (
    checkpoints,
    latest_checkpoint,
    random_state,
    restore_random_state,
    save_checkpoint,
)
from SegToolkitLib.training.loop import LoopOptions, StepResult, train
from SegToolkitLib.training.reporting import LoggedReporter
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.session import run_training
from SegToolkitLib.training.start import Start
from SegToolkitLib.volume import write_volume

SMALL = [
    "network.compact_widths=[8,8,16,16]",
    "network.channels=32",
    "network.train_window=2",
    "optimiser.pairs_per_step=1",
    "episodes.structures=2",
]


def small_settings(*more: str) -> AlpnetSettings:
    return load(AlpnetSettings, PRESETS["compact"], None, [*SMALL, *more])


def scan(stripes: int = 4, size: int = 64) -> Scan:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1, stripes + 1), size // stripes)[None, None].repeat(3, 0).repeat(size, 1)
    image = (labels + rng.normal(0, 0.2, labels.shape)).astype(np.float32)
    return Scan("1", image - image.mean(), (labels.astype(np.int16),))


def task(settings: AlpnetSettings, one: Scan | None = None) -> AlpnetTask:
    network = build_network(
        "compact",
        channels=settings.network.channels,
        compact_widths=settings.network.compact_widths,
        generator_seed=settings.seed,
    )
    sampler = EpisodeSampler([one or scan()], AUGMENTATIONS["sabs_aug"], structures=2, seed=settings.seed)
    return AlpnetTask(network, sampler, settings, torch.device("cpu"))


def run_of(folder: Path) -> RunFolder:
    return RunFolder.create(folder, "alpnet", {}, {})


def losses(run: RunFolder) -> dict[int, tuple[float, float]]:
    return {e["step"]: (e["loss"], e["alignment_loss"]) for e in run.events("metric")}


def options(steps: int, **more: int) -> LoopOptions:
    return LoopOptions(**{"steps": steps, "snapshot_every": 4, "log_every": 1, **more})


def weights(one: AlpnetTask) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in one.network.parameters()])


def test_the_same_seed_gives_the_same_losses_and_another_seed_others(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run = run_of(tmp_path / name)
        train(task(small_settings(f"seed={seed}")), run, options(4), torch.device("cpu"), Reporter())
        found.append(losses(run))
    assert found[0] == found[1]
    assert found[0] != found[2]


class _StopAfter(Reporter):
    """Asks the run to stop once a step is reached, as a panel would."""

    def __init__(self, run: RunFolder, step: int) -> None:
        self.run, self.at = run, step

    def progress(self, phase: str, step: int, total: int, **values: object) -> None:
        if step == self.at:
            self.run.stop_file.touch()


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path, stop: int) -> None:
    settings = small_settings("optimiser.steps=9")
    whole, parts = run_of(tmp_path / "whole"), run_of(tmp_path / "parts")
    cpu = torch.device("cpu")
    uninterrupted = task(settings)
    assert train(uninterrupted, whole, options(9, log_every=3), cpu, Reporter())
    assert not train(task(settings), parts, options(9, log_every=3), cpu, _StopAfter(parts, stop))
    assert latest_checkpoint(parts.checkpoints)["step"] == stop  # type: ignore[index]
    resumed = task(settings)
    assert train(resumed, parts, options(9, log_every=3), cpu, Reporter())
    assert losses(parts) == losses(whole)
    assert torch.equal(weights(uninterrupted), weights(resumed))


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 10):
        save_checkpoint(tmp_path, step, {"network": {}}, keep=2)
    assert [path.stem for path in checkpoints(tmp_path)] == ["00000003", "00000010"]


def test_a_failed_write_leaves_the_checkpoint_before_it_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, 1, {"network": {"w": torch.ones(3)}})

    def full_disk(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(SegToolkitError, match="No space left"):
        save_checkpoint(tmp_path, 2, {"network": {}})
    kept = latest_checkpoint(tmp_path)
    assert kept is not None
    assert kept["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["00000001.pt"]


def test_a_damaged_checkpoint_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 3, {"network": {}})
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(SegToolkitError) as error:
        latest_checkpoint(tmp_path)
    assert str(path) in error.value.message
    assert "before it" in error.value.hint


def test_too_many_skips_stop_the_run_with_the_reason(tmp_path: Path) -> None:
    # One superpixel over the whole slice leaves no background anywhere.
    full = Scan("1", scan().image, (np.ones((3, 64, 64), dtype=np.int16),))
    run = run_of(tmp_path / "run")
    with pytest.raises(SegToolkitError) as error:
        train(task(small_settings(), full), run, options(300, log_every=50), torch.device("cpu"), Reporter())
    assert error.value.code == "too-many-skips"
    assert "background" in error.value.message
    assert "superpixels" in error.value.hint
    assert run.events("metric")[-1]["skipped"] >= 40


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path: Path) -> None:
    broken = task(small_settings())
    with torch.no_grad():
        next(broken.network.parameters()).fill_(float("nan"))
    with pytest.raises(SegToolkitError, match="The loss became nan at step 0"):
        train(broken, run_of(tmp_path / "run"), options(3), torch.device("cpu"), Reporter())


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    run_of(tmp_path / "run")
    with pytest.raises(SegToolkitError, match="already holds a run"):
        run_of(tmp_path / "run")


def test_settings_json_says_how_to_run_it_again(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "alpnet", {"seed": 7}, {"cases": ["1"]})
    content = json.loads(run.settings_file.read_text())
    assert content["settings"] == {"seed": 7}
    assert content["data"] == {"cases": ["1"]}
    assert content["made_with"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimiser.stepz=3", ["stepz", "'optimiser.steps'"]),
        ("optimiser.steps=0", ["optimiser.steps", "1"]),
        ("network.encoder=vgg", ["network.encoder", "resnet101"]),
        ("network.compact_widths=[0,8,8,8]", ["compact_widths"]),
        ("seed=99999999999999", ["seed"]),
        ("episodes.augmentation=wild", ["sabs_aug"]),
        ("fast", ["name=value"]),
    ],
)
def test_a_wrong_setting_is_named_with_the_nearest_right_one(override: str, words: list[str]) -> None:
    with pytest.raises(SegToolkitError) as error:
        small_settings(override)
    for word in words:
        assert word in str(error.value)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_run_killed_at_any_moment_resumes_with_identical_losses(tmp_path: Path) -> None:
    """The command line, killed with SIGKILL mid-run, then --resume; against a run left alone."""
    data = tmp_path / "data"
    for seed in (1, 2):
        write_volume(phantom(seed, size=(64, 64), slices=12).image, data / f"image_{seed}.nii.gz")
    description = {"name": "tiny", "modality": "MR", "labels": {"background": 0}, "folds": 1}
    (data / "dataset.json").write_text(json.dumps(description))

    def command(run: str, *more: str) -> list[str]:
        sets = [w for s in (*SMALL, "snapshot_every=2", "log_every=1") for w in ("--set", s)]
        start = [sys.executable, "-m", "SegToolkitLib", "train", "alpnet", "--preset", "compact"]
        where = ["--dataset", str(data), "--run", str(tmp_path / run), "--fold", "none", "--steps", "30"]
        sizes = ["--set", "data.superpixel_min_sizes=[60]", "--superpixels", str(tmp_path / "superpixels")]
        return [*start, *where, *sets, *sizes, *more]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command("whole"), check=True, env=environment, capture_output=True)
    child = subprocess.Popen(command("killed"), env=environment, stderr=subprocess.DEVNULL)
    killed = RunFolder(tmp_path / "killed")
    deadline = time.monotonic() + 120
    while len(killed.events("metric")) < 5 and time.monotonic() < deadline:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    reached = max(losses(killed))
    assert 5 <= reached < 30
    subprocess.run(command("killed", "--resume"), check=True, env=environment, capture_output=True)
    assert losses(killed) == losses(RunFolder(tmp_path / "whole"))


CPU = torch.device("cpu")


class Plain:
    """A task of one number, whose losses are given."""

    def __init__(self, losses: list[float | None]) -> None:
        self.given = losses
        self.network = torch.nn.BatchNorm1d(1)
        self.optimiser = torch.optim.SGD(self.network.parameters(), 0.1)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimiser, 1, 0.5)

    def samples(self, numbers: Sequence[int]) -> Iterator[float | None]:
        yield from (self.given[number] for number in numbers)

    def step(self, sample: float | None) -> StepResult:
        if sample is None:
            return StepResult(None, {}, 1, 1, "no window")
        spread = torch.tensor([[1.0], [-1.0]]) if np.isfinite(sample) else torch.full((2, 1), np.inf)
        loss = self.network(spread).float().square().mean() * sample
        return StepResult(loss, {"loss": float(loss.detach())})

    def extra_state(self) -> dict[str, object]:
        return {}

    def load_extra_state(self, state: dict[str, object]) -> None:
        pass


def plain_options(task: Plain, **more: object) -> LoopOptions:
    return LoopOptions(len(task.given), 100, 1, **more)  # type: ignore[arg-type]


def test_a_short_run_that_mostly_skips_is_stopped_at_its_last_step(tmp_path: Path) -> None:
    task = Plain([1.0, None, None])
    with pytest.raises(SegToolkitError) as error:
        train(task, run_of(tmp_path / "run"), plain_options(task), CPU, Reporter())
    assert error.value.code == "too-many-skips"
    assert "2 of the last 3" in error.value.message


def test_a_run_without_any_update_does_not_finish(tmp_path: Path) -> None:
    task, run = Plain([None, None]), run_of(tmp_path / "run")
    with pytest.raises(SegToolkitError) as error:
        train(task, run, plain_options(task, max_skip_share=1.0), CPU, Reporter())
    assert error.value.code == "no-update"
    assert not run.events("finished")


def test_float16_leaves_out_steps_that_are_not_finite_without_a_trace(tmp_path: Path) -> None:
    inf = float("inf")
    task, run = Plain([1.0, inf, inf, 1.0]), run_of(tmp_path / "run")
    assert train(task, run, plain_options(task, precision="float16"), CPU, Reporter())
    # The schedule halves the rate with every update, and there were two.
    assert task.optimiser.param_groups[0]["lr"] == pytest.approx(0.1 / 4)
    assert all(torch.isfinite(b).all() for b in task.network.buffers())
    assert "NaN" not in run.events_file.read_text()
    endless = Plain([inf] * 12)
    with pytest.raises(SegToolkitError, match="at step 10"):
        train(endless, run_of(tmp_path / "b"), plain_options(endless, precision="float16"), CPU, Reporter())


def test_random_states_of_gpus_that_are_not_here_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {**random_state(), "cuda": [torch.zeros(16, dtype=torch.uint8)] * 3}
    first = torch.rand(3)
    restore_random_state(state)
    assert torch.equal(torch.rand(3), first)
    given: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda states: given.append(len(states)))
    restore_random_state(state)
    restore_random_state({**state, "cuda": []})
    assert given == [1, 0]


def test_a_run_of_float32_can_go_on_in_float16(tmp_path: Path) -> None:
    first, run = Plain([1.0] * 2), run_of(tmp_path / "run")
    train(first, run, plain_options(first), CPU, Reporter())
    longer = Plain([1.0] * 4)
    assert train(longer, run, plain_options(longer, precision="float16"), CPU, Reporter())


def test_a_torn_last_line_does_not_swallow_the_next_event(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    run.event("metric", step=1)
    with run.events_file.open("a") as handle:
        handle.write('{"t": "metric", "st')
    run.event("metric", step=2)
    run.event("metric", step=3)
    assert [event["step"] for event in run.events("metric")] == [1, 2, 3]


def test_the_log_tells_start_means_warnings_and_end(tmp_path: Path) -> None:
    task, run = Plain([1.0] * 2), run_of(tmp_path / "run")
    train(task, run, plain_options(task), CPU, Reporter())
    LoggedReporter(run, Reporter()).warning("Odd mask.", "Look.")
    text = run.log_file.read_text()
    for words in (
        "Started at step 0 of 2",
        "Step 1: loss ",
        "Finished after step 2",
        "Warning: Odd mask. Look.",
    ):
        assert words in text


def test_checkpoints_keep_the_passengers_of_the_coco_weights(tmp_path: Path) -> None:
    run, settings = run_of(tmp_path / "run"), small_settings()
    first = task(settings)
    first.network.passengers = {"encoder.asppconv.weight": torch.ones(2)}
    train(first, run, options(1), CPU, Reporter())
    again = task(settings)
    train(again, run, options(2), CPU, Reporter())
    assert torch.equal(again.network.passengers["encoder.asppconv.weight"], torch.ones(2))


def test_workers_draw_what_the_main_process_would_have_drawn(tmp_path: Path) -> None:
    found = []
    for workers in (0, 2):
        run = run_of(tmp_path / str(workers))
        train(task(small_settings(f"workers={workers}")), run, options(3), CPU, Reporter())
        found.append(losses(run))
    assert found[0] == found[1]


def test_slices_whose_size_is_no_multiple_of_eight_train(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    assert train(task(small_settings(), scan(size=76)), run, options(2), CPU, Reporter())
    assert len(losses(run)) == 2


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for seed in (1, 2):
        write_volume(phantom(seed, size=(64, 64), slices=12).image, tmp_path / f"data/image_{seed}.nii.gz")
    description = {"name": "tiny", "modality": "MR", "labels": {"background": 0}, "folds": 1}
    (tmp_path / "data/dataset.json").write_text(json.dumps(description))
    return tmp_path / "data"


def start_command(data: Path, run: Path) -> list[str]:
    sets = (*SMALL, "snapshot_every=2", "log_every=1", "data.superpixel_min_sizes=[60]", "max_skip_share=1")
    more = [word for setting in sets for word in ("--set", setting)]
    where = ["--dataset", str(data), "--run", str(run), "--superpixels", str(data.parent / "sp")]
    return ["train", "alpnet", "--preset", "compact", *where, "--fold", "none", "--steps", "4", *more]


def test_a_run_resumes_from_its_folder_alone_and_its_card_tells_how_it_began(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = [*start_command(data, tmp_path / "run"), "--name", "first"]
    monkeypatch.setattr("sys.argv", ["segtoolkit", *call])
    assert main(call) == 0
    run = RunFolder(tmp_path / "run")
    start = run.settings()["start"]
    assert start["dataset"] == str(data)
    assert start["places"] == {"superpixels": str(tmp_path / "sp")}
    assert start["threads"] == torch.get_num_threads()
    (run.checkpoints / "00000004.pt").unlink()
    again = ["train", "alpnet", "--run", str(run.path), "--resume"]
    monkeypatch.setattr("sys.argv", ["segtoolkit", *again])
    assert main(again) == 0
    card = json.loads((run.result / "model" / "model.json").read_text())
    assert card["name"] == "first"
    assert "--steps 4" in card["training"]["command"]
    assert "Resumed at step 2 of 4" in run.log_file.read_text()


def test_resuming_with_other_settings_is_refused_and_with_the_same_ones_is_not(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = start_command(data, tmp_path / "run")
    assert main(call) == 0
    resume = ["train", "alpnet", "--run", str(tmp_path / "run"), "--resume"]
    assert main([*resume, "--steps", "9"]) == 1
    assert "optimiser.steps=4, not 9" in capsys.readouterr().err
    assert main([*resume, "--steps", "4"]) == 0
    assert main([*call, "--resume"]) == 0


def test_a_new_run_without_a_data_set_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "alpnet", "--run", str(tmp_path / "run")]) == 1
    assert "--dataset" in capsys.readouterr().err


class _Ears(Reporter):
    def __init__(self, stop: Path) -> None:
        self.heard: list[str] = []
        self.stop = stop

    def warning(self, text: str, hint: str = "") -> None:
        self.heard.append(text)

    def progress(self, phase: str, step: int, total: int, **values: object) -> None:
        if phase == "training":
            self.stop.touch()


def test_a_resumed_run_neither_loads_coco_again_nor_warns_of_random_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = build_network("compact", channels=32, compact_widths=(8, 8, 16, 16), generator_seed=1)
    monkeypatch.setattr("SegToolkitLib.methods.alpnet.run.build_network", lambda *_, **__: small)
    settings = small_settings(
        "network.encoder=resnet101", "optimiser.steps=2", "data.fold=null", "data.superpixel_min_sizes=[60]"
    )
    folder = tmp_path / "run"
    ears = _Ears(folder / "stop")
    assert run_training(METHOD, folder, settings, Start(str(data)), CPU, ears) is None
    assert sum("random weights" in text for text in ears.heard) == 1
    assert "random weights" in RunFolder(folder).log_file.read_text()
    assert run_training(METHOD, folder, None, Start(), CPU, ears, resume="must") is not None
    assert sum("random weights" in text for text in ears.heard) == 1


def test_a_run_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(SegToolkitError, match="cannot be made"):
        RunFolder.create(file / "run", "alpnet", {}, {})


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"setting": 2, "exclude": [77]}, "77"),
        ({"exclude": [1]}, "setting 1"),
        ({"setting": 2}, "none is named"),
    ],
)
def test_structures_to_exclude_have_to_make_sense(tmp_path: Path, data: dict, word: str) -> None:
    from SegToolkitLib.dataset import Dataset
    from SegToolkitLib.methods.alpnet.settings import DataSettings
    from SegToolkitLib.methods.alpnet.training_data import load_training_data
    from SegToolkitLib.phantom import phantom
    from SegToolkitLib.volume import write_volume

    patient = phantom(1, size=(64, 64), slices=12)
    write_volume(patient.image, tmp_path / "image_1.nii.gz")
    write_volume(patient.label, tmp_path / "label_1.nii.gz")
    labels = {"background": 0, "liver": 1}
    (tmp_path / "dataset.json").write_text(
        json.dumps({"name": "t", "modality": "MR", "labels": labels, "folds": 1})
    )
    settings = small_settings().model_copy(update={"data": DataSettings(fold=None, **data)})
    with pytest.raises(SegToolkitError, match=word):
        load_training_data(Dataset.open(tmp_path), settings, tmp_path / "superpixels", Reporter())
