"""Runs of the toy method for tests: in this process, in a process of its own, or under torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from SegToolkitLib.events import Reporter
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.session import run_training
from SegToolkitLib.training.start import Start

ROOT = Path(__file__).parents[2]
METHODS = ROOT / "Testing" / "Data" / "methods"
ENVIRONMENT = {
    **os.environ,
    "SEGTOOLKIT_METHOD_PATH": str(METHODS),
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}


def call(*words: str, torchrun: tuple[str, ...] = (), check: bool = True, **more: str) -> Any:
    """``segtoolkit words`` in a process of its own, or under torchrun with these options."""
    start = [sys.executable, "-m", "SegToolkitLib"]
    if torchrun:
        start = [sys.executable, "-m", "torch.distributed.run", *torchrun, "-m", "--", "SegToolkitLib"]
    done = subprocess.run(
        [*start, *words],
        env={**ENVIRONMENT, **more},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=240,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


def train_words(run: Path, *settings: str) -> list[str]:
    """Words of ``segtoolkit`` that train the toy on the CPU."""
    sets = [word for setting in settings for word in ("--set", setting)]
    return ["train", "toy", "--run", str(run), "--device", "cpu", *sets]


def losses(folder: Path) -> dict[int, float]:
    """Logged loss by step; a step that was taken twice must have given the same loss twice."""
    found: dict[int, float] = {}
    for event in RunFolder(folder).events("metric"):
        if "loss" not in event:
            continue  # every sample of the step was skipped
        assert found.setdefault(event["step"], event["loss"]) == event["loss"], event
    return found


def toy() -> Any:
    """The toy method, in this process."""
    from SegToolkitLib import methods

    if str(METHODS) not in methods.__path__:
        methods.__path__.append(str(METHODS))
    from SegToolkitLib.methods.toy.training import METHOD  # type: ignore[import-not-found]

    return METHOD


def toy_settings(**values: Any) -> Any:
    """Settings of a short run that logs and validates often."""
    return toy().settings(**{"steps": 12, "log_every": 1, "snapshot_every": 3, **values})


class StopAt(Reporter):
    """Puts the stop file into the run's folder once a step of a phase is reached, as a panel would."""

    def __init__(self, folder: Path, step: int, word: str = "", phase: str = "training") -> None:
        self.folder, self.step, self.word, self.phase = folder, step, word, phase

    def progress(self, phase: str, step: int, total: int, **values: object) -> None:
        if phase == self.phase and step == self.step:
            (self.folder / "stop").write_text(self.word)


def run_toy(
    folder: Path,
    resume: Any = "no",
    reporter: Reporter | None = None,
    start: Start | None = None,
    **values: Any,
) -> Path | None:
    """Train the toy in this process; a resumed run is given no settings."""
    settings = None if resume == "must" else toy_settings(**values)
    return run_training(toy(), folder, settings, start or Start(), "cpu", reporter or Reporter(), resume)
