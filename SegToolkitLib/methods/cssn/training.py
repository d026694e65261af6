"""This method as the engine knows it; importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from SegToolkitLib.methods.cssn.presets import PRESETS
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.training.method import Context, Place, Prepared, Preset

if TYPE_CHECKING:
    import torch

    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cssn.train import CssnTask

PLACES = (
    Place(
        "coarse", "folder", "a model (or run) with a coarse stage, which finds the organs for the fine one"
    ),
    Place("selection", "file", "table of unlabelled images with the column 'kept' (select-unlabeled)"),
    Place("cache", "folder", "prepared volumes, shared by all runs (default: in the home folder)", made=True),
)


class CssnTraining:
    """See :class:`SegToolkitLib.training.method.TrainingMethod`."""

    name = "cssn"
    title = "CSSN"
    summary = "Organs in whole volumes, coarse to fine; learns from unlabelled volumes, too."
    settings: type[CssnSettings] = CssnSettings
    presets: Mapping[str, Preset] = PRESETS
    places = PLACES
    metric: tuple[str, Literal["max", "min"]] | None = ("dice", "max")
    needs_dataset = True

    def prepare(self, context: Context) -> Prepared:
        """See :func:`SegToolkitLib.methods.cssn.run.prepare`."""
        from SegToolkitLib.methods.cssn import run

        return run.prepare(context)

    def finish(self, context: Context, task: Any) -> Path:
        """See :func:`SegToolkitLib.methods.cssn.run.finish`."""
        from SegToolkitLib.methods.cssn import run

        return run.finish(context, task)

    def trial(self, settings: Any, dataset: Dataset | None, device: torch.device) -> CssnTask:
        """See :func:`SegToolkitLib.methods.cssn.trial.trial`."""
        from SegToolkitLib.methods.cssn.trial import trial

        return trial(settings, dataset, device)


METHOD = CssnTraining()
