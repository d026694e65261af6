"""What this method does for the worker process besides segmenting: it takes in checkpoints of the authors."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from SegToolkitLib.events import Reporter
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.request import ImportRequest, ImportService, Text

# Files of a model of the authors' code.
FILES = frozenset(
    f"{name}.pth"
    for name in ("image_encoder", "image_decoder", "segmentation_decoder", "shape_encoder", "shape_decoder")
)


class _Import(ImportRequest):
    """``import_checkpoint``; ``path`` is one of the five files, their folder, or a snapshot."""

    labels: Text = "acdc"
    rescale: Literal["volume", "slice"] = "volume"
    name: Text | None = None
    licence_name: Text | None = None


class Service(ImportService[_Import]):
    """Serves the requests of one worker; nothing is kept from one to the next."""

    def __init__(self) -> None:
        super().__init__(_Import)

    def recognises(self, path: Path) -> bool:
        """Whether a file is one of a model of the authors' code, by its name."""
        return path.name in FILES

    def imported(self, request: _Import, reporter: Reporter) -> ModelCard:
        """Make the model; returns its card."""
        from SegToolkitLib.methods.cooperative.checkpoints import import_authors
        from SegToolkitLib.methods.cooperative.plan import InputPlan

        path = Path(request.path)
        return import_authors(
            path.parent if path.name in FILES else path,
            request.out,
            labels=request.labels,
            plan=InputPlan(rescale=request.rescale),
            name=request.name,
            licence_name=request.licence_name,
            tell=reporter.info,
        )
