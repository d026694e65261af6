"""A result beside a reference, structure by structure: overlap, surfaces and volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import cast

import numpy as np
from scipy.ndimage import find_objects

from SegToolkitLib.anatomy import structure_of
from SegToolkitLib.automatic.table import MM3_PER_ML
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.surface import surface_distances
from SegToolkitLib.volume import Grid, Segment, Segmentation, Volume, onto_grid
from SegToolkitLib.volume.grid import Shape
from SegToolkitLib.volume.lattice import COINCIDENT_VOXELS, sub_grid

TOLERANCE_MM = 2.0
# Further apart than this, the two can hardly be of one patient, and the box around both fills the memory.
MOST_VOXELS = 1 << 30

NO_VALUE = float("nan")
# Name of a structure, and its segments in the reference and in the result: None in the one that lacks it.
Pair = tuple[str, Segment | None, Segment | None]


@dataclass(frozen=True)
class Compared:
    """One structure.

    Attributes:
        name: in the reference; in the result where only that has it.
        dsc: Dice, 0..1.
        nsd: share of both surfaces within ``tolerance_mm`` of the other, 0..1.
        hd95_mm: distance that 95 % of the surfaces do not exceed; infinite if one of the two is empty.
        assd_mm: average distance of the surfaces; likewise.
        reference_ml, result_ml: volumes in millilitres.

    Where neither has a voxel of it, only the volumes have values; the others are NaN.
    """

    name: str
    dsc: float
    nsd: float
    tolerance_mm: float
    hd95_mm: float
    assd_mm: float
    reference_ml: float
    result_ml: float


def compare(
    reference: Segmentation,
    result: Segmentation,
    tolerance_mm: float = TOLERANCE_MM,
    tolerances: Mapping[str, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Compared], list[str]]:
    """Compare the structures that either has.

    What only one of the two has is missed, or made up: its Dice is 0 and its distances are infinite, so that
    a mean over the rows does not pass it over. Each one is compared on the lattice of the reference, reaching
    as far as either of the two does, so that the one may be cropped and the other not. A result on another
    lattice is resampled to it.

    Args:
        reference, result: with named segments, which may overlap.
        tolerance_mm: of the surface Dice.
        tolerances: name of a structure -> its own tolerance.
        progress: hears (structures done, structures in all).

    Returns:
        A row for each structure, in the order of the reference, then those of the result alone; and sentences
        about what has no partner.

    Raises:
        SegToolkitError: "nothing-in-common": no structure has a partner; "far-apart".
    """
    pairs, notes = match(reference, result)
    if not any(ours and theirs for _name, ours, theirs in pairs):
        raise SegToolkitError(
            "nothing-in-common",
            f"No structure of the result ({_names(result)}) is in the reference ({_names(reference)}).",
            "Name the structures alike.",
        )
    cut_reference, cut_result = _Pieces(reference), _Pieces(result)
    rows = []
    for number, (name, ours, theirs) in enumerate(pairs):
        if progress is not None:
            progress(number, len(pairs))
        tolerance = (tolerances or {}).get(name, tolerance_mm)
        rows.append(_row(name, cut_reference.of(ours), cut_result.of(theirs), tolerance))
    if progress is not None:
        progress(len(pairs), len(pairs))
    return rows, notes


def match(reference: Segmentation, result: Segmentation) -> tuple[list[Pair], list[str]]:
    """Segments of the same name, whatever its case, order of words and language variant ("oesophagus").

    Returns:
        The pairs in the order of the reference, None for a partner that is not there, then what the result
        alone has; and a sentence about each segment without a partner.
    """
    theirs = {_key(segment): segment for segment in reversed(result.segments)}
    pairs: list[Pair] = [(ours.name, ours, theirs.get(_key(ours))) for ours in reference.segments]
    used = {id(segment) for _name, _ours, segment in pairs}
    pairs += [(segment.name, None, segment) for segment in result.segments if id(segment) not in used]
    notes = [
        f"{name} is in the {'reference' if ours else 'result'} only."
        for name, ours, segment in pairs
        if not (ours and segment)
    ]
    return pairs, notes


def _key(segment: Segment) -> tuple[str, str]:
    found = structure_of(segment.name)
    if found is None:
        return " ".join(segment.name.casefold().split()), ""
    return found[0].code, found[1]


def _names(segmentation: Segmentation) -> str:
    return ", ".join(segment.name for segment in segmentation.segments) or "nothing"


class _Pieces:
    """The box of each segment, all found in one pass."""

    def __init__(self, segmentation: Segmentation) -> None:
        self._layers = segmentation.layers or (segmentation.labels,)
        self._boxes = [find_objects(layer.voxels) for layer in self._layers]

    def of(self, segment: Segment | None) -> Volume | None:
        """The segment's voxels (1) in its box; None where it has none, or there is no segment."""
        if segment is None:
            return None
        number = segment.layer if len(self._layers) > 1 else 0
        boxes, layer = self._boxes[number], self._layers[number]
        box = boxes[segment.label - 1] if 0 < segment.label <= len(boxes) else None
        if box is None:
            return None
        start = cast(Shape, tuple(part.start for part in box[::-1]))
        part = (layer.voxels[box] == segment.label).astype(np.uint8)
        grid = sub_grid(layer.grid, start, cast(Shape, part.shape[::-1]))
        return Volume(part, grid.spacing, grid.origin, grid.direction)


def _row(name: str, reference: Volume | None, result: Volume | None, tolerance_mm: float) -> Compared:
    volumes = _ml(reference), _ml(result)
    if reference is None and result is None:
        return Compared(name, NO_VALUE, NO_VALUE, tolerance_mm, NO_VALUE, NO_VALUE, *volumes)
    if reference is None or result is None:
        return Compared(name, 0.0, 0.0, tolerance_mm, float("inf"), float("inf"), *volumes)
    grid = _around(reference.grid, result.grid)
    a, b = (onto_grid(one, grid, label=True).voxels for one in (reference, result))
    distances = surface_distances(a, b, grid.spacing[::-1])
    # A small structure may vanish on a much coarser lattice.
    whole = int(a.sum()) + int(b.sum())
    dsc = 2 * int((a & b).sum()) / whole
    nsd, hd95, assd = distances.nsd(tolerance_mm), distances.hd95(), distances.assd()
    return Compared(name, dsc, nsd, tolerance_mm, hd95, assd, *volumes)


def _around(reference: Grid, other: Grid) -> Grid:
    """The reference's lattice, as far as both reach.

    Raises:
        SegToolkitError: "far-apart".
    """
    ends = other.world(list(product(*[(-0.5, n - 0.5) for n in other.size])))
    edges = reference.index(ends) + 0.5  # of voxels: voxel n lies between n and n + 1
    low = np.minimum(np.floor(edges.min(axis=0) + COINCIDENT_VOXELS), 0).astype(int)
    high = np.maximum(np.ceil(edges.max(axis=0) - COINCIDENT_VOXELS), reference.size).astype(int)
    size = high - low
    if float(np.prod(size.astype(float))) > MOST_VOXELS:
        raise SegToolkitError(
            "far-apart",
            "The reference and the result lie too far apart to be compared.",
            "Check that both are of the same patient and scan.",
        )
    return sub_grid(reference, cast(Shape, tuple(low.tolist())), cast(Shape, tuple(size.tolist())))


def _ml(piece: Volume | None) -> float:
    if piece is None:
        return 0.0
    return float(piece.voxels.sum()) * abs(float(np.linalg.det(piece.affine[:3, :3]))) / MM3_PER_ML
