"""The volumes of a run: read once, kept in a cache on disk and mapped into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.cache import Arrays, Cache
from SegToolkitLib.dataset.case_reader import CachedCase
from SegToolkitLib.dataset.classes import as_classes
from SegToolkitLib.dataset.dataset import Case, read_case
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.prepare import (
    Box,
    Triple,
    bounds_of,
    canonical,
    margin_box,
    resample_array,
    resample_mask,
    spacing_of,
)

# Of what this module makes; another number makes it anew.
VERSION = 2

# Where a case's organs are: first and last voxel (z, y, x), both included; where its label is; or anywhere.
Region = tuple[Triple, Triple] | Literal["label", "whole"]


@dataclass(frozen=True)
class Layout:
    """What decides a run's arrays besides the files.

    Attributes:
        size: (z, y, x) of the network's input.
        values: of the labels, in the order of the channels.
        margin_mm: around a region.
        keep_whole: keep whole volumes, too, because random boxes will be cut out of them.
    """

    size: Triple
    values: tuple[int, ...]
    margin_mm: float
    keep_whole: bool


@dataclass(frozen=True)
class Scan(CachedCase):
    """One case of a run.

    Attributes:
        case: its files.
        labelled: whether its label is used.
        layout: of the run.
        cache: keeps what is made.
        region: where the organs are.
    """

    case: Case
    labelled: bool
    layout: Layout
    cache: Cache
    region: Region = "whole"

    @cached_property
    def whole(self) -> Arrays:
        """The volume in the canonical frame: "image" and, where the case is labelled, "label" [z, y, x],
        whose values are channel numbers from 1 on; "spacing", (z, y, x) in mm; "extent", the first and
        last voxel (z, y, x) of the region, both included."""
        kept = self.cache.get(self._key("whole"), self._read)
        # Not kept: runs with other regions share the volume, which takes the room.
        return {**kept, "extent": np.array(self._extent(kept))}

    @cached_property
    def fitted(self) -> Arrays:
        """The region with its margin, at the network's size: see :meth:`cut`."""
        return self.cache.get(self._key("fitted"), self._fit)

    def cut(self, box: Box) -> dict[str, NDArray[Any]]:
        """A box of the volume at the network's size: "image", "label" where there is one, and "voxel", the
        mm (z, y, x) of its voxels."""
        return _cut(self.whole, box, self.layout.size)

    def _fit(self) -> dict[str, NDArray[Any]]:
        whole = self.whole if self.layout.keep_whole else self._read()
        shape = whole["image"].shape
        box = Box.whole(shape)
        if self.region != "whole":
            low, high = self._extent(whole)
            box = margin_box(low, high, shape, whole["spacing"].tolist(), self.layout.margin_mm)
        return _cut(whole, box, self.layout.size)

    def _read(self) -> dict[str, NDArray[Any]]:
        image, label = read_case(self.case)
        image = canonical(image)
        voxels = image.voxels
        if voxels.ndim != 3:
            raise SegToolkitError(
                "colour-volume", f"Case {self.id} is a colour picture.", "Convert it to grey values."
            )
        if voxels.dtype.kind != "f" and voxels.dtype.itemsize <= 4:
            made = {"image": np.ascontiguousarray(voxels)}
        else:
            made = {"image": voxels.astype(np.float32)}
        made["spacing"] = np.array(spacing_of(image))
        if self.labelled and label is not None:
            made["label"] = channels_of(canonical(label).voxels, self.layout.values)
            # Empty where the label is: looking for it anew would take as long as reading.
            made["bounds"] = np.array(bounds_of(made["label"]) or (), np.int64)
        return made

    def _extent(self, whole: Arrays) -> tuple[Triple, Triple]:
        shape = whole["image"].shape
        if self.region == "label" and whole["bounds"].size:
            low, high = whole["bounds"].tolist()
            return tuple(low), tuple(high)
        if isinstance(self.region, tuple):
            return self.region
        # All of the volume but the margin that is added to every region.
        margins = [int(self.layout.margin_mm / step) for step in whole["spacing"]]
        z, y, x = (margin if 2 * margin < n else 0 for margin, n in zip(margins, shape, strict=True))
        return (z, y, x), (shape[0] - 1 - z, shape[1] - 1 - y, shape[2] - 1 - x)

    def _key(self, what: str) -> dict[str, Any]:
        layout = self.layout
        key: dict[str, Any] = {
            "what": f"cssn {what}",
            "version": VERSION,
            "image": self.case.image,
            "label": self.case.label if self.labelled else None,
            "values": layout.values if self.labelled else None,
        }
        if what == "fitted":
            key |= {"region": self.region, "margin_mm": layout.margin_mm, "size": layout.size}
        return key


def channels_of(label: NDArray[Any], values: Sequence[int]) -> NDArray[np.uint8]:
    """Replace the values of a label map by 1, 2, ... in the order given; others become background."""
    return as_classes(label, {value: channel for channel, value in enumerate(values, start=1)})


def _cut(whole: Arrays, box: Box, size: Triple) -> dict[str, NDArray[Any]]:
    made = {"image": resample_array(whole["image"][box.slices], size)}
    if "label" in whole:
        made["label"] = resample_mask(whole["label"][box.slices], size)
    made["voxel"] = np.asarray(whole["spacing"]) * box.shape / np.asarray(size)
    return made
