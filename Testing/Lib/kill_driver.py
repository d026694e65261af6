"""Runs of the toy that are killed, or that run out of disk; a process of its own, because it forks.

PyTorch is imported once; each attempt is a fork that trains in the same run folder.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import SegToolkitLib.models.folder
import SegToolkitLib.training.loop  # noqa: F401 (imported once, not in each fork)
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.training.run_folder import RunFolder
from toy_runs import StopAt, run_toy, toy

KILLS = 20
STEPS = 150
VALUES = {"steps": STEPS, "snapshot_every": 1, "validate_every": 10, "channels": 16}


def attempt(work: Callable[[], object]) -> int:
    """Do the work in a fork and return its process id; an error's code and words go to stdout."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except SegToolkitError as error:
        print(json.dumps({"code": error.code, "text": error.message, "hint": error.hint}), flush=True)
    finally:
        os._exit(code)


def slow_writes() -> None:
    """Let a large part of the time pass while checkpoints are written."""
    fsync, replace, save = os.fsync, Path.replace, torch.save

    def slow_fsync(descriptor: int) -> None:
        time.sleep(0.005)
        fsync(descriptor)
        time.sleep(0.005)

    def slow_replace(path: Path, target: Path) -> Path:
        time.sleep(0.005)
        return replace(path, target)

    def slow_save(state: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        time.sleep(0.005)
        save(state, path)

    os.fsync, Path.replace, torch.save = slow_fsync, slow_replace, slow_save  # type: ignore[assignment]


def killed(folder: Path) -> None:
    """Kill the run at random moments, then let it finish; tell how many kills hit which work."""
    rng = random.Random(7)
    run = RunFolder(folder)
    hits = {"kills": 0, "while writing a checkpoint": 0, "before the training": 0}

    def work() -> None:
        slow_writes()
        run_toy(folder, "may", **VALUES)

    for number in range(KILLS):
        before = run.events_file.stat().st_size if run.events_file.exists() else 0
        pid = attempt(work)
        if number % 5 == 0:
            time.sleep(rng.uniform(0, 0.2))
        else:
            while not has_trained(run, before) and not os.waitpid(pid, os.WNOHANG)[0]:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.25))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), f"attempt {number} ended by itself"
        hits["kills"] += 1
        hits["while writing a checkpoint"] += any(run.checkpoints.glob(".*.pt"))
        hits["before the training"] += not has_trained(run, before)
    hits["step"] = max((event["step"] for event in run.events("metric")), default=0)
    _, status = os.waitpid(attempt(lambda: run_toy(folder, "may", **VALUES)), 0)
    assert status == 0
    hits["left over"] = len(list(run.checkpoints.glob(".*")))
    print(json.dumps(hits))


def has_trained(run: RunFolder, since: int) -> bool:
    """Whether events.jsonl tells of a step after its first ``since`` bytes."""
    try:
        with run.events_file.open("rb") as handle:
            handle.seek(since)
            return b'"metric"' in handle.read()
    except OSError:
        return False


def whole(folder: Path) -> None:
    """The same run, left alone."""
    _, status = os.waitpid(attempt(lambda: run_toy(folder, **VALUES)), 0)
    assert status == 0


FULL = {"steps": 20, "snapshot_every": 5, "log_every": 2, "channels": 128}


def full(folder: Path) -> None:
    """A run that is stopped, resumed where files may not grow beyond 12 kB, and resumed again."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))
        run_toy(folder, "must")

    works: list[Callable[[], object]] = [
        lambda: run_toy(folder, reporter=StopAt(folder, 10), **FULL),
        limited,
        lambda: run_toy(folder, "must"),
        lambda: run_toy(folder.with_name("whole"), **FULL),
    ]
    for work in works:
        _, status = os.waitpid(attempt(work), 0)
        kept = sorted(path.name for path in (folder / "checkpoints").iterdir())
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), "checkpoints": kept}), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    toy().trial(toy().settings(), None, torch.device("cpu"))
    {"killed": killed, "whole": whole, "full": full}[sys.argv[1]](Path(sys.argv[2]))
