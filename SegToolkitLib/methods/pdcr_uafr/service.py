"""What this method does for the worker process besides segmenting: it takes in checkpoints of the authors."""

from __future__ import annotations

import re
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.request import ImportRequest, ImportService, Text

CHECKPOINT = re.compile(r"epoch_\d+\.pth")


class _Import(ImportRequest):
    """``import_checkpoint``; ``labels`` as in ``segtoolkit models import pdcr_uafr``."""

    labels: Text = "lesion"
    name: Text | None = None
    licence_name: Text | None = None


class Service(ImportService[_Import]):
    """Serves the requests of one worker; nothing is kept from one to the next."""

    def __init__(self) -> None:
        super().__init__(_Import)

    def recognises(self, path: Path) -> bool:
        """Whether a file is a checkpoint of the authors' code, by its name."""
        return CHECKPOINT.fullmatch(path.name) is not None

    def imported(self, request: _Import, reporter: Reporter) -> ModelCard:
        """Make the model; returns its card."""
        from SegToolkitLib.methods.pdcr_uafr.exchange import import_authors, labels_named

        return import_authors(
            Path(request.path),
            request.out,
            labels=labels_named(request.labels),
            name=request.name,
            licence_name=request.licence_name,
            tell=reporter.info,
        )
