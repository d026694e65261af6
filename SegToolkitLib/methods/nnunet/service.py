"""What this method does for the worker process besides segmenting: it takes in trained models of nnU-Net."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.request import ImportRequest, ImportService, Text


class _Import(ImportRequest):
    """``import_checkpoint``: the path is a training's folder, or a checkpoint in it, whose fold is taken."""

    name: Text | None = None
    licence_name: Text | None = None


class Service(ImportService[_Import]):
    """Serves the requests of one worker; nothing is kept from one to the next."""

    def __init__(self) -> None:
        super().__init__(_Import)

    def recognises(self, path: Path) -> bool:
        """Whether a file is a checkpoint of nnU-Net, by its name and its neighbours."""
        return path.name.startswith("checkpoint_") and (path.parent.parent / "plans.json").is_file()

    def imported(self, request: _Import, reporter: Reporter) -> ModelCard:
        """Make the model; returns its card."""
        from SegToolkitLib.methods.nnunet.importing import import_trained

        path = Path(request.path)
        one = {"checkpoint": path.name, "folds": [path.parent.name.removeprefix("fold_")]}
        return import_trained(
            path.parent.parent if path.is_file() else path,
            request.out,
            name=request.name,
            licence_name=request.licence_name,
            tell=reporter.info,
            **(one if path.is_file() else {}),  # type: ignore[arg-type]
        )
