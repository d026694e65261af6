"""What a window asks of a method's models, as validated data; docs/worker.md is the reference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated

Text = Annotated[str, Field(min_length=1)]


class Request(Settings):
    """What every request has."""

    id: str | int
    do: str
    method: str | None = None


class ImportRequest(Request):
    """``import_checkpoint``: turn a checkpoint of the authors' code into a model folder.

    Attributes:
        path: the checkpoint.
        out: folder of the model.
    """

    path: Text
    out: Text


R = TypeVar("R", bound=Request)
Asked = TypeVar("Asked", bound=ImportRequest)


def read(kind: type[R], values: Mapping[str, Any]) -> R:
    """A request as data.

    Raises:
        SegToolkitError: "bad-request", naming every field that is wrong.
    """
    try:
        return validated(kind, values, f"The request {values.get('do')!r}")
    except SegToolkitError as error:
        raise SegToolkitError("bad-request", error.message, error.hint) from error


def ensure_torch() -> None:
    """Import torch, for whoever needs it to answer.

    Raises:
        SegToolkitError: "torch-broken".
    """
    try:
        import torch  # noqa: F401
    except Exception as error:  # a broken build raises whatever its loader raises
        raise SegToolkitError(
            "torch-broken",
            f"PyTorch cannot be used here ({type(error).__name__}: {error}).",
            "Install PyTorch again.",
        ) from error


class ImportService(ABC, Generic[Asked]):
    """What a method does for a worker besides segmenting: it takes in checkpoints of the authors' code.

    Args:
        kind: what is asked.
    """

    def __init__(self, kind: type[Asked]) -> None:
        self._kind = kind
        self.verbs = {"import_checkpoint": self._import}

    def relieve(self) -> None:
        """Nothing is kept from one request to the next."""

    @abstractmethod
    def imported(self, request: Asked, reporter: Reporter) -> ModelCard:
        """Make the model; returns its card."""

    def _import(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        request = read(self._kind, values)
        return {"name": self.imported(request, reporter).name, "folder": request.out}
