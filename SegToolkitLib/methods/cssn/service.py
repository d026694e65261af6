"""What CSSN does for the worker process besides segmenting: it takes in checkpoints of the authors' code."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cssn.plan import Size
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.request import ImportRequest, ImportService, Text


class _Import(ImportRequest):
    """``import_checkpoint``; ``path`` is of either stage, ``coarse`` of the other one."""

    coarse: Text | None = None
    labels: Text = "flare22"
    coarse_size: Size | None = None
    fine_size: Size | None = None
    name: Text | None = None
    licence_name: Text | None = None


class Service(ImportService[_Import]):
    """Serves the requests of one worker; nothing is kept from one to the next."""

    def __init__(self) -> None:
        super().__init__(_Import)

    def imported(self, request: _Import, reporter: Reporter) -> ModelCard:
        """Make the model; returns its card."""
        given, other = Path(request.path), Path(request.coarse) if request.coarse else None
        try:
            return _imported(request, other, given, reporter)
        except SegToolkitError as error:
            if error.code != "other-network":
                raise
            # Which file is which stage is seen in the file; a person need not know it.
            return _imported(request, given, other, reporter)


def _imported(request: _Import, coarse: Path | None, fine: Path | None, reporter: Reporter) -> ModelCard:
    from SegToolkitLib.methods.cssn.checkpoints import import_authors

    return import_authors(
        coarse,
        fine,
        request.out,
        labels=request.labels,
        coarse_size=request.coarse_size,
        fine_size=request.fine_size,
        name=request.name,
        licence_name=request.licence_name,
        tell=reporter.info,
    )
