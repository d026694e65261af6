"""A run that is killed at any moment, or runs out of disk, goes on with the losses it would have had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from SegToolkitLib.training.checkpoint import load_checkpoint
from SegToolkitLib.training.run_folder import RunFolder
from toy_runs import ENVIRONMENT, losses

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and SIGKILL are POSIX's")


def drive(what: str, folder: Path) -> list[dict[str, Any]]:
    driver = Path(__file__).with_name("kill_driver.py")
    call = [sys.executable, str(driver), what, str(folder)]
    done = subprocess.run(
        call,
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def weights(folder: Path) -> bytes:
    return (folder / "result" / "model" / "weights.safetensors").read_bytes()


def test_a_run_killed_at_twenty_moments_has_the_losses_of_one_left_alone(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    [hits] = drive("killed", killed)
    drive("whole", whole)
    assert hits["kills"] == 20
    # The moments hit what they are meant to hit: checkpoints half written, runs half begun.
    assert hits["while writing a checkpoint"] >= 3, hits
    assert hits["before the training"] >= 1, hits
    assert 5 <= hits["step"] < 150, hits
    assert losses(killed) == losses(whole)
    assert len(losses(killed)) == 150
    assert weights(killed) == weights(whole)
    assert hits["left over"] == 0


def test_a_full_disk_is_told_and_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    first, error, limited, resumed, _ = drive("full", tmp_path / "run")
    assert first == {"status": 0, "checkpoints": ["00000005.pt", "00000010.pt"]}
    assert error["code"] == "write-failed"
    assert "00000015.pt could not be written" in error["text"]
    assert "disk is not full" in error["hint"]
    assert limited == {"status": 1, "checkpoints": ["00000005.pt", "00000010.pt"]}
    assert resumed["status"] == 0
    run = RunFolder(tmp_path / "run")
    assert [event["code"] for event in run.events("error")] == ["write-failed"]
    assert load_checkpoint(run.checkpoints / "00000020.pt")["step"] == 20
    assert losses(run.path) == losses(tmp_path / "whole")
    assert weights(run.path) == weights(tmp_path / "whole")
