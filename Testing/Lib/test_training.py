"""The loop: repeatable, resumable to the bit, stoppable, and honest about skipped samples."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.augment import AUGMENTATIONS
from SegToolkitLib.methods.alpnet.data import EpisodeSampler, Scan
from SegToolkitLib.methods.alpnet.network import build_network
from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
from SegToolkitLib.methods.alpnet.train import AlpnetTask
from SegToolkitLib.settings import load
from SegToolkitLib.training.checkpoint import checkpoints, latest_checkpoint, save_checkpoint
from SegToolkitLib.training.loop import LoopOptions, train
from SegToolkitLib.training.run_folder import RunFolder

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
        ("optimiser.stepz=3", ["stepz", "'steps'"]),
        ("optimiser.steps=0", ["optimiser.steps", "1"]),
        ("network.encoder=vgg", ["network.encoder", "resnet101"]),
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
    from SegToolkitLib.phantom import phantom
    from SegToolkitLib.volume import write_volume

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
