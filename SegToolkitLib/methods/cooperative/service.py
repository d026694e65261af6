"""What this method does for the worker process besides segmenting: it takes in checkpoints of the authors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated

Text = Annotated[str, Field(min_length=1)]
# Files of a model of the authors' code.
FILES = frozenset(
    f"{name}.pth"
    for name in ("image_encoder", "image_decoder", "segmentation_decoder", "shape_encoder", "shape_decoder")
)


class _Import(Settings):
    """``import_checkpoint``; ``path`` is one of the five files, their folder, or a snapshot."""

    id: str | int
    do: str
    method: str | None = None
    path: Text
    out: Text
    labels: Text = "acdc"
    rescale: Literal["volume", "slice"] = "volume"
    name: Text | None = None
    licence_name: Text | None = None


class Service:
    """Serves the requests of one worker; nothing is kept from one to the next."""

    def __init__(self) -> None:
        self.verbs = {"import_checkpoint": self._import}

    def relieve(self) -> None:
        """Nothing is kept."""

    def recognises(self, path: Path) -> bool:
        """Whether a file is one of a model of the authors' code, by its name."""
        return path.name in FILES

    def _import(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.cooperative.checkpoints import import_authors
        from SegToolkitLib.methods.cooperative.plan import InputPlan

        try:
            request = validated(_Import, values, "The request 'import_checkpoint'")
        except SegToolkitError as error:
            raise SegToolkitError("bad-request", error.message, error.hint) from error
        path = Path(request.path)
        card = import_authors(
            path.parent if path.name in FILES else path,
            request.out,
            labels=request.labels,
            plan=InputPlan(rescale=request.rescale),
            name=request.name,
            licence_name=request.licence_name,
            tell=reporter.info,
        )
        return {"name": card.name, "folder": request.out}
