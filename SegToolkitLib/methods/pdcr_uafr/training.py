"""This method as the engine knows it; importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from SegToolkitLib.methods.pdcr_uafr.presets import PRESETS
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.training.method import Context, Place, Prepared, Preset

if TYPE_CHECKING:
    import torch

    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.pdcr_uafr.train import PdcrUafrTask

PLACES = (
    Place("start", "folder", "a model or a run: its weights are trained further"),
    Place("imagenet", "file", "ImageNet weights of Xception (xception-b5690688.pth), to begin with"),
    Place("cache", "folder", "prepared images, shared by all runs (default: in the home folder)", made=True),
)


class PdcrUafrTraining:
    """See :class:`SegToolkitLib.training.method.TrainingMethod`."""

    name = "pdcr_uafr"
    title = "PDCR and UAFR"
    summary = "Pictures and slices, from labels that are few: features are compared, and weighed."
    settings: type[PdcrUafrSettings] = PdcrUafrSettings
    presets: Mapping[str, Preset] = PRESETS
    places = PLACES
    metric: tuple[str, Literal["max", "min"]] | None = ("foreground_iou", "max")
    needs_dataset = True

    def prepare(self, context: Context) -> Prepared:
        """See :func:`SegToolkitLib.methods.pdcr_uafr.run.prepare`."""
        from SegToolkitLib.methods.pdcr_uafr import run

        return run.prepare(context)

    def finish(self, context: Context, task: Any) -> Path:
        """See :func:`SegToolkitLib.methods.pdcr_uafr.run.finish`."""
        from SegToolkitLib.methods.pdcr_uafr import run

        return run.finish(context, task)

    def trial(self, settings: Any, dataset: Dataset | None, device: torch.device) -> PdcrUafrTask:
        """See :func:`SegToolkitLib.methods.pdcr_uafr.trial.trial`."""
        from SegToolkitLib.methods.pdcr_uafr.trial import trial

        return trial(settings, dataset, device)


METHOD = PdcrUafrTraining()
