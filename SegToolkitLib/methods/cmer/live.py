"""The loaded model, from one request of the worker to the next."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from SegToolkitLib.dataset.channels import on_one_grid
from SegToolkitLib.device import choose_device
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.requests import MapsRequest, file_names
from SegToolkitLib.methods.cmer.segment import CmerMapper, MapResult, load
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.licence import ensure_accepted
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.volume import Volume, write_volume
from SegToolkitLib.volume.cache import VolumeCache
from SegToolkitLib.volume.slicewise import slice_axis

DIGITS = 4


class LiveMapper:
    """Answers ``maps``; keeps the model of the last request.

    Args:
        volumes: that were read.
    """

    def __init__(self, volumes: VolumeCache) -> None:
        self._volumes = volumes
        self._loaded: tuple[tuple[str, ...], CmerMapper] | None = None

    def maps(self, request: MapsRequest, reporter: Reporter) -> dict[str, object]:
        """Answer ``maps``; see docs/worker.md.

        Raises:
            SegToolkitError: what choosing and loading the model and reading the images raise, and
                "missing-modality", "channel-grid", "no-overlap", "colour-volume", "not-finite".
        """
        marks = [time.monotonic()]
        mapper = self._mapper(request, reporter)
        marks.append(time.monotonic())
        volumes: dict[str, Volume] = {}
        for done, (name, file) in enumerate(request.images.items()):
            reporter.progress("reading", done, len(request.images))
            volumes[name] = self._volumes.read(Path(file))
        reporter.progress("reading", len(volumes), len(volumes))
        images = on_one_grid(_checked(volumes), "this patient", resample=request.resample)
        marks.append(time.monotonic())
        plan = mapper.plan.maps
        plan = plan.model_copy(
            update={
                "kind": request.kind or plan.kind,
                "gate": plan.gate if request.gate is None else request.gate,
            }
        )
        result = mapper.maps(
            images, plan, progress=lambda done, total: reporter.progress("maps", done, total)
        )
        marks.append(time.monotonic())
        reporter.progress("writing", 0, len(result.maps))
        files: dict[str, str] = {}
        for done, (name, stem) in enumerate(file_names(request.id, list(result.maps)).items(), start=1):
            path = Path(request.out) / f"{stem}.nrrd"
            write_volume(result.maps[name], path, compress=False)
            files[name] = str(path)
            reporter.progress("writing", done, len(result.maps))
        marks.append(time.monotonic())
        parts = zip(("load", "read", "maps", "write"), marks, marks[1:], strict=False)
        seconds = {part: round(end - begin, 3) for part, begin, end in parts}
        return {
            "maps": files,
            "axis": slice_axis(next(iter(images.values())).grid),
            "thresholds": result.thresholds,
            "slices": per_slice(result),
            "notes": list(result.notes),
            "seeds": mapper.seeds,
            "device": str(mapper.device),
            "seconds": {**seconds, "total": round(marks[-1] - marks[0], 3)},
        }

    def _mapper(self, request: MapsRequest, reporter: Reporter) -> CmerMapper:
        entry = ModelStore().find(request.model)
        card = entry.card
        assert card is not None  # find returns usable models only
        _check_method(card)
        ensure_accepted(card, accept=request.accept_licence)
        device = choose_device(request.device)
        facts = hashlib.sha256(card.model_dump_json().encode()).hexdigest()  # the weights' SHA-256 is in it
        key = (str(entry.folder), facts, str(device), request.precision)
        if self._loaded is None or self._loaded[0] != key:
            reporter.progress("loading model", 0, 1)
            self._loaded = None  # its memory is free before the next one takes its own
            self._loaded = key, load(entry.folder, card, device, request.precision)
            reporter.progress("loading model", 1, 1)
        return self._loaded[1]


def per_slice(result: MapResult) -> list[dict[str, object]]:
    """What is known of each slice, as plain values."""
    return [
        {
            "slice": k,
            "probability": {name: round(float(one[k]), DIGITS) for name, one in result.probability.items()},
            "present": {name: bool(one[k]) for name, one in result.present.items()},
            "modalities": _rounded(result.modality_agreement[k]),
            "seeds": _rounded(result.seed_agreement[k]),
        }
        for k in range(len(result.stack))
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _check_method(card: ModelCard) -> None:
    if card.method != "cmer":
        raise SegToolkitError(
            "other-method", f"{card.name} is a model of {card.method}, not cmer.", "Choose another."
        )


def _checked(volumes: dict[str, Volume]) -> dict[str, Volume]:
    for name, volume in volumes.items():
        if volume.voxels.ndim != 3:
            raise SegToolkitError(
                "colour-volume",
                f"The image {name} is a colour picture; one number a voxel is needed.",
                "Convert it to grey values.",
            )
    return volumes
