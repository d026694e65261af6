"""Runs of cooperative training on made-up hearts, which take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative.presets import PRESETS
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.training import METHOD
from SegToolkitLib.settings import load
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.session import run_training
from SegToolkitLib.training.start import Start

SMALL = (
    "network.channels=[2,2,4,4,4]",
    "input.crop=32",
    "input.spacing_mm=2",
    "augment.pad=36",
    "optimiser.batch=4",
    "optimiser.epochs=4",
    "optimiser.steps_per_epoch=1",
    "validate_every=0",
    "snapshot_every=2",
    "log_every=1",
)


def tiny(*overrides: str) -> CooperativeSettings:
    """The quick preset with networks of few channels on slices of 32 x 32 pixels, for four steps,
    without validation."""
    preset = PRESETS["quick"].settings
    assert isinstance(preset, CooperativeSettings)
    return load(CooperativeSettings, preset, None, [*SMALL, *overrides])


def trained(
    dataset: Dataset,
    run: Path,
    settings: CooperativeSettings,
    reporter: Reporter | None = None,
    resume: Any = "no",
    **places: Path,
) -> Path:
    """Train in this process; returns the model's folder."""
    start = Start(dataset=str(dataset.folder), places={"cache": run.parent / "cache", **places})
    model = run_training(METHOD, run, settings, start, "cpu", reporter or Reporter(), resume)
    assert model is not None
    return model


def metrics(run: Path) -> list[dict[str, Any]]:
    """What was logged, step by step."""
    return RunFolder(run).events("metric")
