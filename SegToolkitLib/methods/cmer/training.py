"""This method as the engine knows it; importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from SegToolkitLib.methods.cmer.presets import PRESETS
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.training.method import Context, Place, Prepared, Preset

if TYPE_CHECKING:
    import torch

    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cmer.train import CmerTask

PLACES = (
    Place("tags", "file", "which slices show the object (CSV: case, slice, visible); else masks tell"),
    Place("start", "folder", "weights to begin with: a model, a run, or the authors' checkpoints"),
    Place("cache", "folder", "prepared slices, shared by all runs (default: in the home folder)", made=True),
)


class CmerTraining:
    """See :class:`SegToolkitLib.training.method.TrainingMethod`."""

    name = "cmer"
    title = "Slice tags (WSS-CMER)"
    summary = "Maps of an object from registered modalities, taught by tags of slices alone."
    settings: type[CmerSettings] = CmerSettings
    presets: Mapping[str, Preset] = PRESETS
    places = PLACES
    metric: tuple[str, Literal["max", "min"]] | None = ("score", "max")
    needs_dataset = True

    def prepare(self, context: Context) -> Prepared:
        """See :func:`SegToolkitLib.methods.cmer.run.prepare`."""
        from SegToolkitLib.methods.cmer import run

        return run.prepare(context)

    def finish(self, context: Context, task: Any) -> Path:
        """See :func:`SegToolkitLib.methods.cmer.run.finish`."""
        from SegToolkitLib.methods.cmer import run

        return run.finish(context, task)

    def trial(self, settings: Any, dataset: Dataset | None, device: torch.device) -> CmerTask:
        """See :func:`SegToolkitLib.methods.cmer.trial.trial`."""
        from SegToolkitLib.methods.cmer.trial import trial

        return trial(settings, dataset, device)


METHOD = CmerTraining()
