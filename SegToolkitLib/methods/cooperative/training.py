"""This method as the engine knows it; importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from SegToolkitLib.methods.cooperative.presets import PRESETS
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.training.method import Context, Place, Prepared, Preset

if TYPE_CHECKING:
    import torch

    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cooperative.train import CooperativeTask

PLACES = (
    Place("start", "folder", "a model, a run, or the authors' five files: their weights are trained further"),
    Place("snapshot", "file", "of an interrupted run of the authors' code (.pkl), which is trained further"),
    Place("cache", "folder", "prepared slices, shared by all runs (default: in the home folder)", made=True),
)


class CooperativeTraining:
    """See :class:`SegToolkitLib.training.method.TrainingMethod`."""

    name = "cooperative"
    title = "Cooperative training"
    summary = "Slice by slice from few labelled patients; made to last on other scanners' images."
    settings: type[CooperativeSettings] = CooperativeSettings
    presets: Mapping[str, Preset] = PRESETS
    places = PLACES
    metric: tuple[str, Literal["max", "min"]] | None = ("iou", "max")
    needs_dataset = True

    def prepare(self, context: Context) -> Prepared:
        """See :func:`SegToolkitLib.methods.cooperative.run.prepare`."""
        from SegToolkitLib.methods.cooperative import run

        return run.prepare(context)

    def finish(self, context: Context, task: Any) -> Path:
        """See :func:`SegToolkitLib.methods.cooperative.run.finish`."""
        from SegToolkitLib.methods.cooperative import run

        return run.finish(context, task)

    def trial(self, settings: Any, dataset: Dataset | None, device: torch.device) -> CooperativeTask:
        """See :func:`SegToolkitLib.methods.cooperative.trial.trial`."""
        from SegToolkitLib.methods.cooperative.trial import trial

        return trial(settings, dataset, device)


METHOD = CooperativeTraining()
