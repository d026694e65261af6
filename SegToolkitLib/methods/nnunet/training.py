"""This method as the engine knows it; importing this imports neither torch nor nnU-Net."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from SegToolkitLib.methods.nnunet.plan import METHOD as NAME
from SegToolkitLib.methods.nnunet.presets import PRESETS
from SegToolkitLib.methods.nnunet.settings import NnunetSettings
from SegToolkitLib.training.method import Context, Place, Prepared, Preset

if TYPE_CHECKING:
    import torch

    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.nnunet.train import NnunetTask


class NnunetTraining:
    """See :class:`SegToolkitLib.training.method.TrainingMethod`."""

    name = NAME
    title = "nnU-Net"
    summary = "Volumes with labels: nnU-Net v2 plans, prepares and trains; with PDCR and UAFR if wanted."
    settings: type[NnunetSettings] = NnunetSettings
    presets: Mapping[str, Preset] = PRESETS
    places: tuple[Place, ...] = ()
    metric: tuple[str, Literal["max", "min"]] | None = ("dice", "max")
    needs_dataset = True

    def prepare(self, context: Context) -> Prepared:
        """See :func:`SegToolkitLib.methods.nnunet.run.prepare`."""
        from SegToolkitLib.methods.nnunet.package import require_nnunet

        require_nnunet()
        from SegToolkitLib.methods.nnunet import run

        return run.prepare(context)

    def finish(self, context: Context, task: Any) -> Path:
        """See :func:`SegToolkitLib.methods.nnunet.run.finish`."""
        from SegToolkitLib.methods.nnunet import run

        return run.finish(context, task)

    def trial(self, settings: Any, dataset: Dataset | None, device: torch.device) -> NnunetTask:
        """See :func:`SegToolkitLib.methods.nnunet.trial.trial`."""
        from SegToolkitLib.methods.nnunet.package import require_nnunet

        require_nnunet()
        from SegToolkitLib.methods.nnunet.trial import trial

        return trial(settings, dataset, device)


METHOD = NnunetTraining()
