"""Two processes under torchrun: the trajectory of one with twice the batch, one writer, and a restart."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.training.distributed import Group
from SegToolkitLib.training.run_folder import RunFolder
from toy_runs import call, losses, train_words

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs POSIX here")

TWO = ("--standalone", "--nproc-per-node=2")
PLAIN = ("steps=12", "log_every=1", "snapshot_every=3", "validate_every=4", "max_skip_share=1")
# The samples 3, 10 and 11 give no loss: one of a step's two, and both.
# Without dropout, whose random numbers each process draws for itself.
SETTINGS = (*PLAIN, "dropout=0", "skip=[3,10,11]")
# float32 sums of two halves instead of one whole.
TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run of two processes."""
    folder = tmp_path_factory.mktemp("two") / "run"
    call(*train_words(folder, *SETTINGS), torchrun=TWO)
    return folder


def one_process(folder: Path, *settings: str) -> Path:
    call(*train_words(folder, *SETTINGS, *settings))
    return folder


def test_two_processes_make_the_updates_of_one_with_twice_the_samples(two: Path, tmp_path: Path) -> None:
    one = one_process(tmp_path / "one", "accumulate=2")
    found, expected = losses(two), losses(one)
    assert set(found) == set(range(1, 13)) - {6}  # the samples of step 6 gave nothing to log
    assert found == pytest.approx(expected, abs=TOLERANCE)
    counts = [event["skipped"] for event in RunFolder(two).events("metric")]
    assert (counts[0], counts[1], counts[-1]) == (0, 1, 3)
    values = [[e["dice"] for e in RunFolder(run).events("validation")] for run in (two, one)]
    assert values[0] == pytest.approx(values[1], abs=TOLERANCE)


def test_one_process_of_two_writes(two: Path) -> None:
    run = RunFolder(two)
    assert [event["world"] for event in run.events("start")] == [2]
    for kind in ("metric", "validation", "checkpoint", "finished"):
        steps = [event["step"] for event in run.events(kind)]
        assert len(set(steps)) == len(steps) > 0, kind
    state = torch.load(run.checkpoints / "00000012.pt", weights_only=True)
    assert len(state["others"]) == 1


def disturbed(folder: Path, *settings: str) -> RunFolder:
    """Process 1 dies on sample 15, in the eighth step; the newest checkpoint is of the sixth."""
    call(*train_words(folder, *settings), torchrun=(*TWO, "--max-restarts=1"), TOY_DIES="1:15")
    return RunFolder(folder)


def test_a_killed_process_is_started_again_with_the_losses_of_an_undisturbed_run(
    two: Path, tmp_path: Path
) -> None:
    run = disturbed(tmp_path / "run", *SETTINGS)
    assert [event["step"] for event in run.events("start")] == [0, 6]
    assert run.events("finished")[-1]["step"] == 12
    assert losses(run.path) == losses(two)


@pytest.mark.slow
def test_each_process_goes_on_with_its_own_random_numbers(tmp_path: Path) -> None:
    settings = (*PLAIN, "dropout=0.3")
    run = disturbed(tmp_path / "run", *settings)
    call(*train_words(tmp_path / "whole", *settings), torchrun=TWO)
    assert losses(run.path) == losses(tmp_path / "whole")


def test_a_lone_process_is_a_group_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")  # a cluster's variable alone is no torchrun
    group = Group.from_environment()
    assert (group.world, group.leader) == (1, True)
    assert group.gather("x") == ["x"]
    assert group.first(lambda: 7) == group.share(7) == 7


def test_each_process_takes_its_own_gpu_and_is_told_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    wanted = torch.device("cuda")
    assert [Group(r, 3, r).device(wanted) for r in (0, 1)] == [torch.device("cuda", r) for r in (0, 1)]
    assert Group(2, 3, 2).device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(SegToolkitError, match="Process 2 of this machine has no GPU: there are 2"):
        Group(2, 3, 2).device(wanted)
