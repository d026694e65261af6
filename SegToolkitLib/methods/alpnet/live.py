"""The loaded model and what it knows, from one request of the worker to the next."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.checkpoints import network_from_model
from SegToolkitLib.methods.alpnet.requests import ModelRequest, SegmentRequest
from SegToolkitLib.methods.alpnet.result import FewShotResult
from SegToolkitLib.methods.alpnet.segment import FOLLOW, REJECT, FewShotSegmenter
from SegToolkitLib.methods.alpnet.slice_cache import SliceCache
from SegToolkitLib.methods.alpnet.slices import Plane
from SegToolkitLib.methods.alpnet.support_set import SupportItem
from SegToolkitLib.methods.alpnet.support_use import add_item, check_axis
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.licence import ensure_accepted
from SegToolkitLib.models.search import Entry
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.volume import Volume, check_range, write_volume
from SegToolkitLib.volume.cache import VolumeCache, file_key
from SegToolkitLib.volume.grid import Shape
from SegToolkitLib.volume.lattice import content_box, cut, sub_grid


@dataclass
class LiveModel:
    """A loaded model.

    Attributes:
        key: what it was loaded from and for; another key means another model.
        segmenter: with the support of the last request.
        cache: prepared slices and features.
        shown: what support the segmenter holds.
    """

    key: tuple[str, ...]
    segmenter: FewShotSegmenter
    cache: SliceCache
    shown: object = None


@dataclass
class LiveSession:
    """Answers the requests that need torch."""

    _volumes: VolumeCache = field(default_factory=VolumeCache)
    _model: LiveModel | None = None

    def relieve(self) -> None:
        """Forget all: memory ran out."""
        self._model = None
        self._volumes.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def warm(self, request: ModelRequest, reporter: Reporter) -> dict[str, object]:
        """Load the model, so that the next request need not."""
        started = time.monotonic()
        model = self._load(request, reporter)
        return {
            "seconds": round(time.monotonic() - started, 3),
            "device": str(model.segmenter.predictor.device),
        }

    def _load(self, request: ModelRequest, reporter: Reporter) -> LiveModel:
        entry = ModelStore().find(request.model)
        card = cast(ModelCard, entry.card)  # find returns usable models only
        ensure_accepted(card, accept=request.accept_licence)
        key = _model_key(entry, card, request)
        if self._model is None or self._model.key != key:
            reporter.progress("loading model", 0, 1)
            self._model = None  # its memory is free before the next one takes its own
            network, card = network_from_model(entry.folder)
            cache = SliceCache()
            segmenter = FewShotSegmenter(
                network, card, device=request.device, precision=request.precision, cache=cache
            )
            self._model = LiveModel(key, segmenter, cache)
            reporter.progress("loading model", 1, 1)
        return self._model

    def segment(self, request: SegmentRequest, reporter: Reporter) -> dict[str, object]:
        """Answer ``segment``; see docs/worker.md."""
        started = time.monotonic()
        model = self._load(request, reporter)
        encoded_before = model.cache.encoded
        images = self._read(request, reporter)
        query = images[request.query.image]
        axis = request.query.axis if request.query.axis is not None else request.axis
        check_axis(query, axis, request.plane, "the volume to segment")
        check_range(query, model.segmenter.card.preprocessing.modality)
        self._show(model, request, images)
        only, bounds = _wanted(request)
        result = model.segmenter.segment(
            query,
            bounds,
            only=only,
            structures=request.structures,
            keep_largest=request.options.keep_largest,
            reject=None if request.options.as_published else REJECT,
            follow=None if request.options.as_published else FOLLOW,
            find_ends=not request.options.as_published,
            progress=lambda step, total: reporter.progress("segmenting", step, total),
        )
        outputs = _write(request, query, result)
        return {
            **outputs,
            "next_slice": None if only else result.next_slice,
            "slice_confidence": {str(z): round(value, 4) for z, value in result.slice_confidence.items()},
            "axis": result.axis,
            "notes": list(result.notes),
            "seconds": round(time.monotonic() - started, 3),
            "device": str(model.segmenter.predictor.device),
            "slices_encoded": model.cache.encoded - encoded_before,
        }

    def _read(self, request: SegmentRequest, reporter: Reporter) -> dict[str, Volume]:
        paths = list(dict.fromkeys([*(item.image for item in request.supports), request.query.image]))
        images = {}
        for step, path in enumerate(paths):
            reporter.progress("reading", step, len(paths))
            images[path] = self._volumes.read(Path(path))
        reporter.progress("reading", len(paths), len(paths))
        return images

    def _show(self, model: LiveModel, request: SegmentRequest, images: dict[str, Volume]) -> None:
        """Give the segmenter the outlines of the request, unless it has just these."""
        wanted = (request.plane, [_support_key(item) for item in request.supports])
        if model.shown == wanted:
            return
        model.shown = None
        segmenter = model.segmenter
        segmenter.clear_support()
        segmenter.plane = cast(Plane, request.plane)
        for item in request.supports:
            add_item(segmenter, item, images[item.image])
        named = dict.fromkeys(s.name for item in request.supports for s in item.structures.values())
        never = [name for name in named if name not in segmenter.structures]
        if never:
            raise SegToolkitError(
                "empty-mask",
                f"{' and '.join(never)} {'is' if len(never) == 1 else 'are'} outlined on none of the chosen"
                " slices.",
                "Outline the structure, or leave it out.",
            )
        model.shown = wanted


def _model_key(entry: Entry, card: ModelCard, request: ModelRequest) -> tuple[str, ...]:
    weights = card.weights.sha256 if card.weights else ""
    facts = hashlib.sha256(card.model_dump_json().encode()).hexdigest()
    return str(entry.folder), weights, facts, request.device, request.precision


def _support_key(item: SupportItem) -> tuple[object, ...]:
    """Equal for equal outlines; a mask is small, so its content itself is compared."""
    try:
        content = hashlib.sha256(Path(item.mask).read_bytes()).hexdigest()
    except OSError:
        content = ""  # reading it will complain
    return file_key(Path(item.image)), content, item.model_dump_json(exclude={"mask", "name"})


def _wanted(request: SegmentRequest) -> tuple[list[int] | None, tuple[int, int] | None]:
    """Slices to compute alone, and the range in which the structures are."""
    if request.preview is not None:
        return [request.preview], request.slices
    if request.slices is not None and request.slices[0] == request.slices[1]:
        return [request.slices[0]], None
    return None, request.slices


def _write(request: SegmentRequest, query: Volume, result: FewShotResult) -> dict[str, object]:
    """Write the files of a result and describe them."""
    out, name = Path(request.out), re.sub(r"[^A-Za-z0-9]+", "-", str(request.id))
    computed = sorted(result.slice_confidence)
    labels, axis = result.labels.voxels, result.axis
    # An outline on another slice of the query comes back as drawn too; it was not asked for.
    low, high = [0, 0, 0], list(result.labels.grid.size)
    low[axis], high[axis] = computed[0], computed[-1] + 1
    part = labels[tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))]
    counts = np.bincount(part.ravel(), minlength=256)
    box = content_box(part)
    path: Path | None = None
    offset, size = (0, 0, 0), (0, 0, 0)
    if box is not None:
        offset = cast(Shape, tuple(a + b for a, b in zip(low, box[0], strict=True)))
        size = box[1]
        grid = sub_grid(query.grid, offset, size)
        cropped = cut(labels, offset, size, 0).astype(np.uint8)
        path = out / f"{name}-labels.nrrd"
        write_volume(Volume(cropped, grid.spacing, grid.origin, grid.direction), path, compress=False)
    sure: Path | None = None
    if request.confidence:
        sure = out / f"{name}-confidence.nrrd"
        write_volume(result.confidence, sure, compress=False)
    return {
        "labels": str(path) if path else None,
        "offset": list(offset),
        "size": list(size),
        "structures": [
            {"label": s.label, "name": s.name, "voxels": int(counts[s.label])}
            for s in result.segmentation.segments
        ],
        "confidence": str(sure) if sure else None,
    }
