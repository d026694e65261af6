"""ALPNet as the engine knows it; importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
from SegToolkitLib.training.method import Context, Place, Prepared, Preset

if TYPE_CHECKING:
    import torch

    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.alpnet.train import AlpnetTask

PLACES = (
    Place(
        "superpixels",
        "folder",
        "pseudo-labels, made where they are missing (default: in the run folder)",
        made=True,
    ),
    Place("coco", "file", "torchvision's COCO DeepLabV3 weights to start the ResNet-101 from"),
)


def _quick() -> AlpnetSettings:
    compact = PRESETS["compact"]
    return compact.model_copy(
        update={
            "optimiser": compact.optimiser.model_copy(update={"steps": 120, "pairs_per_step": 2}),
            "log_every": 5,
            "snapshot_every": 30,
            "validate_every": 15,
        }
    )


TRAINING_PRESETS: dict[str, Preset] = {
    "quick": Preset(
        "quick",
        "Quick check",
        "A few minutes on two cores: does it run, and does it learn? Not meant for use.",
        _quick(),
    ),
    "default": Preset(
        "default",
        "Default",
        "A small encoder, 1,000 steps; fit for processors without a GPU.",
        PRESETS["compact"].model_copy(update={"validate_every": 100}),
    ),
    "published": Preset(
        "published",
        "As published",
        "The authors' ResNet-101 and 100,100 steps; wants a GPU and the COCO weights.",
        # The authors' result is the last step's; validations only draw the curve.
        PRESETS["authors"].model_copy(update={"validate_every": 5000, "use_best": False}),
    ),
}


class AlpnetTraining:
    """See :class:`SegToolkitLib.training.method.TrainingMethod`."""

    name = "alpnet"
    title = "ALPNet"
    summary = "Few-shot segmentation, trained on superpixels of volumes without annotations."
    settings: type[AlpnetSettings] = AlpnetSettings
    presets: Mapping[str, Preset] = TRAINING_PRESETS
    places = PLACES
    metric: tuple[str, Literal["max", "min"]] | None = ("dice", "max")
    needs_dataset = True

    def prepare(self, context: Context) -> Prepared:
        """See :func:`SegToolkitLib.methods.alpnet.run.prepare`."""
        from SegToolkitLib.methods.alpnet import run

        return run.prepare(context)

    def finish(self, context: Context, task: Any) -> Path:
        """See :func:`SegToolkitLib.methods.alpnet.run.finish`."""
        from SegToolkitLib.methods.alpnet import run

        return run.finish(context, task)

    def trial(self, settings: Any, dataset: Dataset | None, device: torch.device) -> AlpnetTask:
        """See :func:`SegToolkitLib.methods.alpnet.run.trial`."""
        from SegToolkitLib.methods.alpnet import run

        return run.trial(settings, dataset, device)


METHOD = AlpnetTraining()
