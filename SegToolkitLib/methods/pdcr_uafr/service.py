"""What this method does for the worker process besides segmenting: it takes in checkpoints of the authors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated

Text = Annotated[str, Field(min_length=1)]
CHECKPOINT = re.compile(r"epoch_\d+\.pth")


class _Import(Settings):
    """``import_checkpoint``; ``labels`` as in ``segtoolkit models import pdcr_uafr``."""

    id: str | int
    do: str
    method: str | None = None
    path: Text
    out: Text
    labels: Text = "lesion"
    name: Text | None = None
    licence_name: Text | None = None


class Service:
    """Serves the requests of one worker; nothing is kept from one to the next."""

    def __init__(self) -> None:
        self.verbs = {"import_checkpoint": self._import}

    def relieve(self) -> None:
        """Nothing is kept."""

    def recognises(self, path: Path) -> bool:
        """Whether a file is a checkpoint of the authors' code, by its name."""
        return CHECKPOINT.fullmatch(path.name) is not None

    def _import(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.pdcr_uafr.exchange import import_authors, labels_named

        try:
            request = validated(_Import, values, "The request 'import_checkpoint'")
        except SegToolkitError as error:
            raise SegToolkitError("bad-request", error.message, error.hint) from error
        card = import_authors(
            Path(request.path),
            request.out,
            labels=labels_named(request.labels),
            name=request.name,
            licence_name=request.licence_name,
            tell=reporter.info,
        )
        return {"name": card.name, "folder": request.out}
