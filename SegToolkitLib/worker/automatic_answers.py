"""A window's requests to models that segment by themselves; one stays loaded from request to request."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from SegToolkitLib.automatic.files import write_cropped
from SegToolkitLib.automatic.run import check_options, segment_volume
from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticSegmenter, Described
from SegToolkitLib.automatic.timing import remember
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import automatic_of
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.licence import ensure_accepted
from SegToolkitLib.models.request import ensure_torch
from SegToolkitLib.models.search import Entry
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated
from SegToolkitLib.volume import write_volume
from SegToolkitLib.volume.cache import VolumeCache

if TYPE_CHECKING:
    import torch

Text = Annotated[str, Field(min_length=1)]
# The last volume stays: other organs, the other mode or a map may be asked for next.
KEPT_BYTES = 1 << 30


class _ModelRequest(Settings):
    id: str | int
    do: str
    method: str | None = None
    model: Text
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    accept_licence: bool = False


class _SegmentRequest(_ModelRequest, AutomaticOptions):
    """``auto_segment``: the options, the image and the folder for the results."""

    image: Text
    out: Text

    @property
    def options(self) -> AutomaticOptions:
        return AutomaticOptions(**{name: getattr(self, name) for name in AutomaticOptions.model_fields})


@dataclass(frozen=True)
class _Live:
    """A loaded model; another key means another model."""

    key: tuple[str, ...]
    card: ModelCard
    described: Described
    segmenter: AutomaticSegmenter


class _Session:
    """What is kept between the requests of a worker."""

    def __init__(self) -> None:
        self.volumes = VolumeCache(KEPT_BYTES)
        self.live: _Live | None = None

    def relieve(self) -> None:
        self.live = None
        self.volumes.clear()

    def load(self, request: _ModelRequest, reporter: Reporter) -> _Live:
        """The model of a request; loaded, unless it is the one of the last request.

        Raises:
            SegToolkitError: "unknown-model", "not-automatic", "licence-not-accepted", "torch-broken",
                "device-missing", or what is wrong with its card or weights.
        """
        entry = ModelStore().find(request.model)
        card = entry.card
        assert card is not None  # find returns usable models only
        method = automatic_of(card.method)
        ensure_accepted(card, accept=request.accept_licence)
        device = _device(request.device)
        key = _key(entry, card, str(device), request.precision)
        if self.live is None or self.live.key != key:
            reporter.progress("loading model", 0, 1)
            self.live = None  # its memory is free before the next one takes its own
            described = method.describe(card)
            segmenter = method.load(entry.folder, card, device, request.precision)
            self.live = _Live(key, card, described, segmenter)
            reporter.progress("loading model", 1, 1)
        return self.live


_SESSION = _Session()


def relieve() -> None:
    """Let go of the model and the volumes: memory ran out."""
    _SESSION.relieve()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def auto_warm(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``auto_warm``: load a model, so that the next request need not."""
    request = _read(_ModelRequest, values)
    started = time.monotonic()
    live = _SESSION.load(request, reporter)
    return {"seconds": round(time.monotonic() - started, 3), "device": str(live.segmenter.device)}


def auto_segment(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``auto_segment``; see docs/worker.md."""
    request = _read(_SegmentRequest, values)
    started = time.monotonic()
    live = _SESSION.load(request, reporter)
    options = check_options(request.options, live.card, live.described)
    loaded = time.monotonic()
    reporter.progress("reading", 0, 1)
    volume = _SESSION.volumes.read(Path(request.image))
    reporter.progress("reading", 1, 1)
    read = time.monotonic()
    done = segment_volume(live.segmenter, live.card, volume, options, reporter.progress, live.described)
    writing = time.monotonic()
    name = re.sub(r"[^A-Za-z0-9]+", "-", str(request.id))
    labels, offset, size = write_cropped(done.result.labels, Path(request.out) / f"{name}-labels.nrrd")
    maps = {one: Path(request.out) / f"{name}-{one}.nrrd" for one in done.result.maps}
    for one, path in maps.items():
        write_volume(done.result.maps[one], path, compress=False)
    ended = time.monotonic()
    device = str(live.segmenter.device)
    remember(live.card, device, options, ended - loaded)
    seconds = {"load": loaded - started, "read": read - loaded, **done.seconds}
    seconds |= {"write": ended - writing, "total": ended - started}
    return {
        "labels": str(labels) if labels else None,
        "offset": list(offset),
        "size": list(size),
        "structures": [
            {
                "label": label.value,
                "name": label.name,
                "voxels": row.voxels,
                "terminology": label.terminology,
                "colour": list(label.colour) if label.colour else None,
            }
            for label, row in zip(done.wanted, done.rows, strict=True)
        ],
        "table": [asdict(row) for row in done.rows],
        "unit": "HU" if live.card.preprocessing.modality == "CT" else "",
        "maps": {one: str(path) for one, path in maps.items()},
        "mode": options.mode,
        "notes": list(done.result.notes),
        "seconds": {part: round(value, 3) for part, value in seconds.items()},
        "device": device,
    }


def _device(name: str) -> torch.device:
    ensure_torch()
    from SegToolkitLib.device import choose_device

    return choose_device(name)


def _key(entry: Entry, card: ModelCard, device: str, precision: str) -> tuple[str, ...]:
    facts = hashlib.sha256(card.model_dump_json().encode()).hexdigest()  # the weights' SHA-256 is among them
    return str(entry.folder), facts, device, precision


def _read(kind: type[Any], values: Mapping[str, Any]) -> Any:
    try:
        return validated(kind, values, f"The request {values.get('do')!r}")
    except SegToolkitError as error:
        raise SegToolkitError("bad-request", error.message, error.hint) from error


VERBS = {"auto_warm": auto_warm, "auto_segment": auto_segment}
