"""What CSSN does for the worker process besides segmenting: it takes in checkpoints of the authors' code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cssn.plan import Size
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated

Text = Annotated[str, Field(min_length=1)]


class _Import(Settings):
    """``import_checkpoint``; ``path`` is of either stage, ``coarse`` of the other one."""

    id: str | int
    do: str
    method: str | None = None
    path: Text
    out: Text
    coarse: Text | None = None
    labels: Text = "flare22"
    coarse_size: Size | None = None
    fine_size: Size | None = None
    name: Text | None = None
    licence_name: Text | None = None


class Service:
    """Serves the requests of one worker; nothing is kept from one to the next."""

    def __init__(self) -> None:
        self.verbs = {"import_checkpoint": self._import}

    def relieve(self) -> None:
        """Nothing is kept."""

    def _import(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        try:
            request = validated(_Import, values, "The request 'import_checkpoint'")
        except SegToolkitError as error:
            raise SegToolkitError("bad-request", error.message, error.hint) from error
        given, other = Path(request.path), Path(request.coarse) if request.coarse else None
        try:
            return _imported(request, other, given, reporter)
        except SegToolkitError as error:
            if error.code != "other-network":
                raise
            # Which file is which stage is seen in the file; a person need not know it.
            return _imported(request, given, other, reporter)


def _imported(
    request: _Import, coarse: Path | None, fine: Path | None, reporter: Reporter
) -> dict[str, object]:
    from SegToolkitLib.methods.cssn.checkpoints import import_authors

    card = import_authors(
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
    return {"name": card.name, "folder": request.out}
