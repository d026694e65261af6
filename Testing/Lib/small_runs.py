"""Whole trainings of tiny settings in this process, for the methods whose data lie in a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.training.checkpoint import load_checkpoint
from SegToolkitLib.training.method import TrainingMethod
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.session import run_training
from SegToolkitLib.training.settings import TrainingSettings
from SegToolkitLib.training.start import Start


class Heard(Reporter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.infos: list[str] = []

    def warning(self, text: str, hint: str = "") -> None:
        self.warnings.append(text)

    def info(self, text: str) -> None:
        self.infos.append(text)


class Runs:
    """Trainings of one method.

    Args:
        method: as the engine knows it.
    """

    def __init__(self, method: TrainingMethod) -> None:
        self._method = method

    def trained(
        self,
        dataset: Dataset,
        run: Path,
        settings: TrainingSettings,
        reporter: Reporter | None = None,
        resume: Any = "no",
        **places: Path,
    ) -> Path:
        """Train in this process, with the cache beside the run; returns the model's folder."""
        start = Start(dataset=str(dataset.folder), places={"cache": run.parent / "cache", **places})
        model = run_training(self._method, run, settings, start, "cpu", reporter or Reporter(), resume)
        assert model is not None
        return model

    def whole_and_resumed(
        self, dataset: Dataset, folder: Path, settings: TrainingSettings
    ) -> tuple[Path, Path]:
        """Two runs of four steps, one of them as if it had been killed after its second step and resumed."""
        whole, parts = folder / "whole", folder / "parts"
        self.trained(dataset, whole, settings)
        self.trained(dataset, parts, settings)
        for path in (parts / "checkpoints").iterdir():
            if "00000002" not in path.name:
                path.unlink()
        self.trained(dataset, parts, settings, resume="must")
        return whole, parts


def metrics(run: Path) -> list[dict[str, Any]]:
    """What was logged, step by step."""
    return RunFolder(run).events("metric")


def weights(run: Path, step: int = 4) -> dict[str, Any]:
    """Tensors of the checkpoint of this step."""
    state: dict[str, Any] = load_checkpoint(run / "checkpoints" / f"{step:08d}.pt")["network"]
    return state


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two states hold the same tensors, bit by bit."""
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
