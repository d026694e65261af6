"""What ALPNet does for the worker process; imports torch when a request needs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegToolkitLib.events import Reporter
from SegToolkitLib.models.request import ensure_torch, read

if TYPE_CHECKING:
    from SegToolkitLib.methods.alpnet.live import LiveSession


class Service:
    """Serves the requests of one worker; keeps the model and what it has prepared."""

    def __init__(self) -> None:
        self.verbs = {
            "warm": self._warm,
            "segment": self._segment,
            "pack_support": self._pack,
            "unpack_support": self._unpack,
            "import_checkpoint": self._import,
        }
        self._live: LiveSession | None = None

    def relieve(self) -> None:
        """Forget the model, volumes and features."""
        if self._live is not None:
            self._live.relieve()

    def _session(self) -> LiveSession:
        if self._live is None:
            ensure_torch()
            from SegToolkitLib.methods.alpnet.live import LiveSession

            self._live = LiveSession()
        return self._live

    def _warm(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.alpnet.requests import ModelRequest

        request = read(ModelRequest, values)
        return self._session().warm(request, reporter)

    def _segment(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.alpnet.requests import SegmentRequest

        request = read(SegmentRequest, values)
        return self._session().segment(request, reporter)

    def _pack(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.alpnet.requests import PackRequest
        from SegToolkitLib.methods.alpnet.support_set import pack

        request = read(PackRequest, values)
        path = Path(request.path)
        pack(path, request.items, lambda step, total: reporter.progress("packing", step, total))
        return {"path": str(path), "size_mb": round(path.stat().st_size / 1e6, 2)}

    def _unpack(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.alpnet.requests import UnpackRequest
        from SegToolkitLib.methods.alpnet.support_set import unpack

        request = read(UnpackRequest, values)
        items = unpack(
            Path(request.path),
            Path(request.folder),
            lambda step, total: reporter.progress("unpacking", step, total),
        )
        return {"items": [item.model_dump(mode="json") for item in items]}

    def _import(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.alpnet.requests import ImportRequest

        request = read(ImportRequest, values)
        self._session()  # complains where torch does not work
        from SegToolkitLib.methods.alpnet.checkpoints import import_authors_checkpoint

        card = import_authors_checkpoint(
            request.path, request.out, modality=request.modality, mean=request.mean, std=request.std
        )
        return {"name": card.name, "folder": request.out}
