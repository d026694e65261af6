"""What a person drew: label maps and segmentations as one mask a structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.palette import label_colour_fraction
from SegToolkitLib.volume import Segment, Segmentation, Volume, as_label, check_label, onto_grid
from SegToolkitLib.volume.lattice import coincidence


def read_masks(
    volume: Volume, label: Volume | Segmentation, structures: Mapping[int, str] | None
) -> tuple[list[Segment], dict[str, Volume]]:
    """Segments, and the mask of each structure on the volume's grid.

    Args:
        volume: the outlined volume.
        label: label map on its grid; or a segmentation, which Slicer may have cropped.
        structures: label value -> name; None takes every value that occurs.

    Returns:
        A segment for each label value, and by name a 0/1 mask; two values of one name are one mask.

    Raises:
        SegToolkitError: nothing is drawn, a value below 1, or the label lies on another grid.
    """
    found = _segments_of(label, structures)
    masks: dict[str, Volume] = {}
    for segment, mask in found:
        whole = _uncropped(mask, volume) if isinstance(label, Segmentation) else mask
        on_grid = check_label(whole, volume)
        if segment.name in masks:
            on_grid = on_grid.with_voxels(on_grid.voxels | masks[segment.name].voxels)
        masks[segment.name] = on_grid
    return [segment for segment, _ in found], masks


def _segments_of(
    label: Volume | Segmentation, structures: Mapping[int, str] | None
) -> list[tuple[Segment, Volume]]:
    """A segment and its mask for each wanted label value; every one that occurs where none is named."""
    if isinstance(label, Segmentation):
        known = {s.label: (s, label.mask(s)) for s in label.segments}
        grid = label.labels
        present = [value for value, (_, mask) in known.items() if mask.voxels.any()]
    else:
        known, grid = {}, as_label(label)
        present = [int(value) for value in np.unique(grid.voxels) if value != 0]
    wanted = dict(structures) if structures is not None else dict.fromkeys(present, "")
    if wanted and min(wanted) < 1:
        raise SegToolkitError(
            "bad-label-value",
            f"{min(wanted)} cannot be the value of a structure: 0 is the background, and none is negative.",
            "Name values from 1.",
        )
    if not wanted:
        raise SegToolkitError(
            "empty-mask",
            f"{grid.name or 'The support mask'} is empty.",
            "Outline the structure on at least one slice.",
        )
    found = []
    for value, name in wanted.items():
        if value in known:
            segment, mask = known[value]
            found.append((replace(segment, name=name or segment.name), mask))
        else:
            colour = label_colour_fraction(value)
            mask = grid.with_voxels((grid.voxels == value).astype(np.uint8))
            found.append((Segment(value, name or f"label {value}", colour), mask))
    return found


def _uncropped(mask: Volume, volume: Volume) -> Volume:
    """A mask that Slicer saved cropped to its extent, put back on the volume's grid; others as they are."""
    if mask.shape == volume.shape:
        return mask
    placed = coincidence(mask.grid, volume.grid)
    return onto_grid(mask, volume.grid, label=True) if placed is not None else mask
