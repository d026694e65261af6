"""Refinement from files to files; imports no torch."""

from __future__ import annotations

import time
from pathlib import Path

from SegToolkitLib.automatic.files import write_cropped
from SegToolkitLib.dataset.channels import on_one_grid
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.refine import check_grey, refine
from SegToolkitLib.methods.cmer.requests import RefineRequest, file_names
from SegToolkitLib.methods.cmer.tags import Tag
from SegToolkitLib.volume import Volume
from SegToolkitLib.volume.cache import VolumeCache
from SegToolkitLib.volume.slicewise import slice_axis


def refine_files(request: RefineRequest, volumes: VolumeCache, reporter: Reporter) -> dict[str, object]:
    """Answer ``refine``; see docs/worker.md.

    Raises:
        SegToolkitError: what reading and :func:`refine.refine` raise, and "bad-slices" for tags of slices
            that there are not.
    """
    begun = time.monotonic()
    every = {**request.maps, **{f"image {name}": file for name, file in request.images.items()}}
    read: dict[str, Volume] = {}
    for done, (name, file) in enumerate(every.items()):
        reporter.progress("reading", done, len(every))
        read[name] = volumes.read(Path(file))
    reporter.progress("reading", len(every), len(every))
    maps = {name: read[name] for name in request.maps}
    images = {name: read[f"image {name}"] for name in request.images}
    first = next(iter(maps.values()))
    check_grey(images)
    if request.resample:
        moved = on_one_grid({"the maps": first, **images}, "this patient", resample=True)
        images = {name: moved[name] for name in images}
    been_read = time.monotonic()
    reporter.progress("refining", 0, 1)
    result = refine(
        images,
        maps,
        request.settings,
        request.threshold,
        tags=_tags(request, first.grid.size[slice_axis(first.grid)]),
        slices=request.slices,
        progress=lambda done, total: reporter.progress("refining", done, total),
    )
    refined = time.monotonic()
    stem = file_names(request.id, ["labels"])["labels"]
    labels, offset, size = write_cropped(result.mask, Path(request.out) / f"{stem}.nrrd")
    ended = time.monotonic()
    return {
        "labels": str(labels) if labels else None,
        "offset": list(offset),
        "size": list(size),
        "voxels": {"before": int(result.before.sum()), "after": int(result.after.sum())},
        "slices": [
            {"slice": k, "before": int(before), "after": int(after)}
            for k, (before, after) in enumerate(zip(result.before, result.after, strict=True))
            if request.slices is None or k in request.slices
        ],
        "notes": result.notes,
        "seconds": {
            "read": round(been_read - begun, 3),
            "refine": round(refined - been_read, 3),
            "write": round(ended - refined, 3),
            "total": round(ended - begun, 3),
        },
    }


def _tags(request: RefineRequest, count: int) -> list[Tag] | None:
    if request.tags is None:
        return None
    strange = sorted(k for k in request.tags if k >= count)
    if strange:
        raise SegToolkitError(
            "bad-slices",
            f"There is a tag for slice {strange[0]}; the slices are numbered from 0 to {count - 1}.",
            "Count slices from 0, across the coarsest axis.",
        )
    return [request.tags.get(k) for k in range(count)]
