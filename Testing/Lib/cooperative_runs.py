"""Runs of cooperative training on made-up hearts, which take seconds."""

from __future__ import annotations

from SegToolkitLib.methods.cooperative.presets import PRESETS
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.training import METHOD
from SegToolkitLib.settings import load
from small_runs import Runs

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


RUNS = Runs(METHOD)
trained = RUNS.trained
