"""What the tests of nnU-Net as a method share: data sets of small volumes, and trainings of a few steps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnunet_runs import made_case
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.nnunet.settings import NnunetSettings
from SegToolkitLib.methods.nnunet.training import METHOD
from SegToolkitLib.training.distributed import ALONE
from SegToolkitLib.training.method import Context
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.session import Resume, run_training
from SegToolkitLib.training.start import Start
from SegToolkitLib.volume import write_volume

CPU = torch.device("cpu")
LABELS = {"background": 0, "anterior": 1, "posterior": 2}


def made_dataset(folder: Path, cases: int = 4, patients: Sequence[str] = (), **others: Any) -> Path:
    """A data set of two touching balls in noise; ``patients`` names the patient of each case."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(cases):
        image, label = made_case(number)
        write_volume(image, folder / f"image_{number}.nii.gz")
        write_volume(label, folder / f"label_{number}.nii.gz")
    _describe(folder, patients={str(n): one for n, one in enumerate(patients)}, **others)
    return folder


def real_dataset(folder: Path, hippocampi: Path, cases: int = 5) -> tuple[Path, Path]:
    """A data set of real hippocampi, and a further image that is not in it."""
    folder.mkdir(parents=True, exist_ok=True)
    images = sorted(hippocampi.glob("image_*.nii.gz"))[: cases + 1]
    for image in images[:-1]:
        for kind in ("image", "label"):
            name = image.name.replace("image", kind)
            shutil.copy(hippocampi / name, folder / name)
    _describe(folder)
    return folder, images[-1]


def _describe(folder: Path, **others: Any) -> None:
    content = {"name": "small", "modality": "MR", "labels": LABELS, "folds": 2, **others}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


def tiny(**changes: Any) -> NnunetSettings:
    """A few steps of a network of few channels; changes are given as {"plan": {...}}."""
    values: dict[str, Any] = {
        "plan": {"memory_gb": 1, "batch": 2, "features": 4},
        "optimiser": {"epochs": 2, "steps_per_epoch": 2},
        "validation": {"patches": 1},
        "validate_every": 2,
        "log_every": 1,
    }
    for name, value in changes.items():
        values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
    return NnunetSettings.model_validate(values)


class Ears(Reporter):
    """Remembers what it hears, and asks a run to stop at a step of a phase."""

    def __init__(self, stop: tuple[str, int] | None = None, run: Path | None = None) -> None:
        self.steps: list[tuple[str, int]] = []
        self.said: list[str] = []
        self._stop, self._run = stop, run

    def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
        self.steps.append((phase, step))
        if (phase, step) == self._stop:
            assert self._run is not None
            (self._run / "stop").touch()

    def warning(self, text: str, hint: str = "") -> None:
        self.said.append(text)

    def info(self, text: str) -> None:
        self.said.append(text)


def train(
    run: Path,
    dataset: Path | None,
    settings: NnunetSettings | None,
    reporter: Reporter | None = None,
    resume: Resume = "no",
) -> Path | None:
    """A run as command line and panel begin it."""
    start = Start(dataset=str(dataset) if dataset else None)
    return run_training(METHOD, run, settings, start, "cpu", reporter or Reporter(), resume)


def context_of(run: Path, dataset: Path, settings: NnunetSettings) -> Context:
    """All that the method needs to prepare a run, without the engine."""
    return Context(
        run=RunFolder(run),
        settings=settings,
        dataset=Dataset.open(dataset),
        places={},
        name="x",
        command="",
        device=CPU,
        reporter=Reporter(),
        resume=False,
        group=ALONE,
    )


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Of the newest checkpoint."""
    file = sorted((run / "checkpoints").glob("0*.pt"))[-1]
    found: dict[str, torch.Tensor] = torch.load(file, weights_only=True)["network"]
    return found


def same_batch(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two batches hold the same patches, down to the last digit."""
    targets = zip(one["target"], other["target"], strict=True)
    return (
        bool(np.array_equal(one["keys"], other["keys"]))
        and torch.equal(one["data"], other["data"])
        and all(torch.equal(a, b) for a, b in targets)
    )
