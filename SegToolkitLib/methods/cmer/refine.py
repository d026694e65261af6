"""From maps to a mask, beyond the paper: what modalities agree on, where the edges are, which parts stay.

A dense CRF would be another way to find edges; there is no wheel of one that is kept up, so it is not among
them. Ours; imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegToolkitLib.dataset.channels import on_one_grid
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.plan import DEFAULT_THRESHOLD, FUSED
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.smoothing import smoothed
from SegToolkitLib.methods.cmer.tags import Tag
from SegToolkitLib.volume import Volume
from SegToolkitLib.volume.slicewise import slice_axis

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Thresholds = float | Mapping[str, float] | None
MM3_IN_ML = 1000.0
# How far interpolation in float32 may leave the range of a map.
ROUNDING = 1e-3


@dataclass(frozen=True)
class Refined:
    """A mask, and what became of it.

    Attributes:
        mask: uint8, 0 and 1, on the grid of the maps.
        before: voxels of each slice whose consensus is above the threshold [Z].
        after: voxels of each slice of the mask [Z].
        notes: for a person.
    """

    mask: Volume
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    notes: list[str] = field(default_factory=list)


def refine(
    images: Mapping[str, Volume],
    maps: Mapping[str, Volume],
    settings: RefineSettings | None = None,
    thresholds: Thresholds = None,
    *,
    tags: Sequence[Tag] | None = None,
    slices: Collection[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Refined:
    """Turn the maps of a case into one mask.

    Args:
        images: registered, on the maps' grid; edges are looked for in all of them.
        maps: 0 to 1, by modality; the fused one counts where it is alone.
        settings: None takes the defaults.
        thresholds: of all maps, or by name (of the consensus: "fused"; it is the modalities' mean where it
            is not given); None takes 0.5.
        tags: of the slices, counted across the coarsest axis (the third, where none is coarser). Slices that
            are said not to show the object stay empty.
        slices: that are refined; all others stay empty. None takes all.
        progress: is told of parts that are done.

    Raises:
        SegToolkitError: "no-map" (there is none, or one has values beyond 0 to 1), "channel-grid",
            "colour-volume", "bad-tags", "bad-slices", "unknown-map" (a threshold for a map that there is
            not).
    """
    settings = settings or RefineSettings()
    maps, thresholds = _wanted(maps, thresholds, settings)
    _check(images, maps)
    first = next(iter(maps.values()))
    axis = 2 - slice_axis(first.grid)
    count = first.voxels.shape[axis]
    if tags is not None and len(tags) != count:
        raise SegToolkitError(
            "bad-tags", f"There are {len(tags)} tags for {count} slices.", "Give one for each slice."
        )
    strange = sorted(k for k in slices or () if not 0 <= k < count)
    if strange:
        raise SegToolkitError(
            "bad-slices",
            f"There is no slice {strange[0]}.",
            f"The slices are numbered from 0 to {count - 1}.",
        )
    shut = np.array([tag is False for tag in tags or [None] * count])
    if slices is not None:
        shut |= ~np.isin(np.arange(count), list(slices))
    level, cut = _consensus(
        {n: np.moveaxis(v.voxels, axis, 0) for n, v in maps.items()}, settings, thresholds
    )
    start = level > cut
    if slices is not None:
        start[~np.isin(np.arange(count), list(slices))] = False
    before = start.sum((1, 2))
    start[shut] = False
    sure = level > cut + settings.certain * (1 - cut)
    sure_not = level <= cut - settings.certain * cut
    sure[shut], sure_not[shut] = False, True
    spacing_zyx = first.spacing[::-1]
    spacing = (spacing_zyx[axis], *(mm for a, mm in enumerate(spacing_zyx) if a != axis))
    shown = [np.moveaxis(_scaled(image, settings), axis, 0) for image in images.values()]
    notes = []
    found, left_out = (
        smoothed(shown, start, sure, sure_not, spacing, settings, progress) if shown else (start, 0)
    )
    if left_out:
        notes.append(
            f"{left_out} slices are larger than {settings.most_voxels:,} voxels, and were not smoothed."
        )
    found[shut] = False
    found, dropped = _components(found, float(np.prod(spacing)), settings, tags)
    found[shut] = False
    if dropped:
        notes.append(f"{dropped} components were dropped.")
    if not found.any():
        notes.append("Nothing is left: see the threshold, the tags, and the smallest volume.")
    voxels = np.ascontiguousarray(np.moveaxis(found, 0, axis)).astype(np.uint8)
    return Refined(first.with_voxels(voxels), before, found.sum((1, 2)), notes)


def _wanted(
    maps: Mapping[str, Volume], thresholds: Thresholds, settings: RefineSettings
) -> tuple[Mapping[str, Volume], Thresholds]:
    """The maps that take part, and their own thresholds: that of the fused map belongs to all of them."""
    if settings.modalities is None:
        return maps, thresholds
    known = {name.casefold(): name for name in maps}
    strange = [name for name in settings.modalities if name.casefold() not in known]
    if strange or not settings.modalities:
        raise SegToolkitError(
            "no-map",
            f"There is no map of {strange[0]!r}." if strange else "No modality's map is to take part.",
            f"'modalities' of the refinement can name: {', '.join(maps)}.",
        )
    names = [known[name.casefold()] for name in settings.modalities]
    if isinstance(thresholds, Mapping):
        thresholds = {name: cut for name, cut in thresholds.items() if name in names or name not in maps}
        if FUSED not in names:
            thresholds.pop(FUSED, None)
    return {name: maps[name] for name in names}, thresholds


def _check(images: Mapping[str, Volume], maps: Mapping[str, Volume]) -> None:
    if not maps:
        raise SegToolkitError("no-map", "There is no map to refine.", "Make the maps first.")
    check_grey(images)
    check_grey(maps)
    for name, volume in maps.items():
        low, high = float(volume.voxels.min()), float(volume.voxels.max())
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            raise SegToolkitError(
                "no-map",
                f"The map {name} has values from {low:g} to {high:g}; those of a map are from 0 to 1.",
                "Give the file that was written as a map, not an image or a mask of other values.",
            )
    on_one_grid(maps, "the maps")
    name, first = next(iter(maps.items()))
    on_one_grid({f"the map {name}": first, **images}, "this case")


def check_grey(volumes: Mapping[str, Volume]) -> None:
    """Raise SegToolkitError "colour-volume" unless all have one number a voxel."""
    for name, volume in volumes.items():
        if volume.voxels.ndim != 3:
            raise SegToolkitError(
                "colour-volume", f"{name} is a colour picture; one number a voxel is needed.", "Convert it."
            )


def _consensus(
    maps: Mapping[str, NDArray[np.generic]], settings: RefineSettings, thresholds: Thresholds
) -> tuple[Floats, float]:
    """One map of all modalities [Z, Y, X], and the threshold that goes with it."""
    given = thresholds if isinstance(thresholds, Mapping) else {}
    strange = sorted(set(given) - {*maps, FUSED})
    if strange:
        raise SegToolkitError(
            "unknown-map",
            f"There is a threshold for {strange[0]!r}, and no such map.",
            f"The maps are {', '.join(maps)}.",
        )
    every = thresholds if isinstance(thresholds, float | int) else None
    own = {name: one.astype(np.float32) for name, one in maps.items() if name != FUSED or len(maps) == 1}
    cuts = {name: float(given.get(name, DEFAULT_THRESHOLD if every is None else every)) for name in own}
    if settings.consensus == "vote" and len(own) > 1:
        # Half of them or more do not suffice: more than half.
        votes = np.mean(np.stack([one > cuts[name] for name, one in own.items()]), axis=0)
        return np.asarray(votes, np.float32), DEFAULT_THRESHOLD
    # A threshold for the consensus, unless one is given, is that of its parts.
    cut = float(given.get(FUSED, np.mean(list(cuts.values()))))
    stack = np.stack(list(own.values()))
    reduce = {"minimum": np.min, "maximum": np.max}.get(settings.consensus, np.mean)
    return np.asarray(reduce(stack, axis=0), np.float32), cut


def _scaled(image: Volume, settings: RefineSettings) -> Floats:
    voxels = image.voxels.astype(np.float32)
    shown = voxels[voxels != 0]
    low, high = np.percentile(shown, settings.percentiles) if shown.size else (0.0, 0.0)
    if high <= low:
        return np.zeros_like(voxels)
    return np.asarray((np.clip(voxels, low, high) - low) / (high - low), np.float32)


def _components(
    found: Bools, voxel_mm3: float, settings: RefineSettings, tags: Sequence[Tag] | None
) -> tuple[Bools, int]:
    """Apply the rules to the parts of a mask; return it, and how many parts were dropped."""
    if settings.fill_holes:
        found = np.stack([ndimage.binary_fill_holes(one) for one in found])
    # Corners count: a thin oblique part is one.
    numbers, count = ndimage.label(found, np.ones((3, 3, 3)))
    if not count:
        return found, 0
    voxels = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    kept = voxels * voxel_mm3 / MM3_IN_ML >= settings.smallest_ml
    visible = [k for k, tag in enumerate(tags or ()) if tag]
    if settings.supported and visible:
        kept &= np.isin(np.arange(1, count + 1), np.unique(numbers[visible]))
    if settings.largest_only and kept.any():
        kept &= np.arange(count) == np.argmax(np.where(kept, voxels, 0))
    return np.concatenate([[False], kept])[numbers], int((~kept).sum())
