"""nnU-Net's folders within a run, and the surroundings in which its code works there."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.methods.nnunet.package import environment
from SegToolkitLib.methods.nnunet.settings import PlanSettings

FOLDER = "nnunet"
NUMBER = 901
# nnU-Net's names of plans by the planner; class and module of each.
PLANNERS = {
    "default": ("nnUNetPlans", "ExperimentPlanner", "default_experiment_planner"),
    "residual_m": ("nnUNetResEncUNetMPlans", "nnUNetPlannerResEncM", "residual_unets"),
    "residual_l": ("nnUNetResEncUNetLPlans", "nnUNetPlannerResEncL", "residual_unets"),
    "residual_xl": ("nnUNetResEncUNetXLPlans", "nnUNetPlannerResEncXL", "residual_unets"),
}
# Its defaults are eight processes and twelve; a run says how many it may have. No compiler: hooks and
# checkpoints are those of the plain network. Nothing is sent to a service for logs.
ALONE = {
    "nnUNet_def_n_proc": "1",
    "nnUNet_n_proc_DA": "0",
    "nnUNet_compile": "0",
    "nnUNet_wandb_enabled": "0",
}


@dataclass(frozen=True)
class Home:
    """nnU-Net's three folders of one run.

    Attributes:
        folder: above them.
        title: of the data set for nnU-Net, "Dataset901_NAME".
        log: takes what nnU-Net prints, line by line.
    """

    folder: Path
    title: str
    log: Callable[[str], None] = lambda line: None

    @property
    def raw(self) -> Path:
        """Images and labels, and dataset.json."""
        return self.folder / "raw" / self.title

    @property
    def preprocessed(self) -> Path:
        """Fingerprint, plans, and a folder of volumes for each configuration."""
        return self.folder / "preprocessed" / self.title

    @property
    def fingerprint(self) -> Path:
        """Sizes, spacings and intensities of the cases."""
        return self.preprocessed / "dataset_fingerprint.json"

    def plans(self, settings: PlanSettings) -> Path:
        """The plans that a planner writes."""
        return self.preprocessed / f"{PLANNERS[settings.planner][0]}.json"

    @contextlib.contextmanager
    def active(self, **variables: str) -> Iterator[None]:
        """Let nnU-Net work in these folders, and write what it prints into the log.

        Args:
            variables: of the environment besides.
        """
        import torch

        given = {**environment(self.folder), **ALONE, **variables}
        before = {name: os.environ.get(name) for name in given}
        threads = torch.get_num_threads()
        os.environ.update(given)
        try:
            with contextlib.redirect_stdout(_Lines(self.log)), warnings.catch_warnings():
                warnings.showwarning = lambda message, *_more, **_others: self.log(str(message))
                yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            torch.set_num_threads(threads)


class _Lines(io.TextIOBase):
    """Hands each whole line on, without those that hold nothing."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                self._tell(f"nnU-Net: {line.rstrip()}")
        return len(text)

    def writable(self) -> bool:
        return True


def planner_of(settings: PlanSettings) -> Any:
    """The class of nnU-Net's planner."""
    import importlib

    _, name, module = PLANNERS[settings.planner]
    place = "nnunetv2.experiment_planning.experiment_planners"
    inner = f"{module}.residual_encoder_unet_planners" if module == "residual_unets" else module
    return getattr(importlib.import_module(f"{place}.{inner}"), name)
