"""From volumes with superpixels to training episodes.

A sample depends on nothing but (seed, step): a resumed run draws what an uninterrupted one would have
drawn, and no state of any generator has to be saved. Source: Ouyang et al., ECCV 2020, sections 3.1
and 4.1; released loaders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.augment import AugmentRanges, apply_view, draw_view

MAX_REDRAWS = 1000
CT_SIZE = 256


@dataclass(frozen=True)
class Scan:
    """One prepared training volume.

    Attributes:
        id: case id.
        image: normalised intensities, float32 [k, j, i].
        superpixels: pseudo-labels, integer [k, j, i], 0 = none; one map for each superpixel size.
        excluded: slices that hold a class which this training must not see (setting 2).
    """

    id: str
    image: NDArray[np.float32]
    superpixels: tuple[NDArray[np.int16], ...]
    excluded: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Episode:
    """A support and a query view of one slice, with K structures on it.

    Attributes:
        support, query: float32 [H, W].
        support_masks, query_masks: uint8 [K, H, W].
        origin: (case id, slice, superpixel ids), for logs and previews.
    """

    support: NDArray[np.float32]
    query: NDArray[np.float32]
    support_masks: NDArray[np.uint8]
    query_masks: NDArray[np.uint8]
    origin: tuple[str, int, tuple[int, ...]] = ("", 0, ())


@dataclass(frozen=True)
class Normalisation:
    """z-scoring: MR by each volume's own statistics, CT by those of the training scans of the fold."""

    modality: str
    mean: float | None = None
    std: float | None = None

    def __call__(self, voxels: NDArray, name: str = "") -> NDArray[np.float32]:
        """z-score a whole volume (population standard deviation); ``name`` is for the message."""
        values = voxels.astype(np.float32)
        if self.mean is None or self.std is None:
            # float64 sums: float32 ones lose digits over millions of voxels.
            mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        else:
            mean, std = self.mean, self.std
        if std == 0:
            raise SegToolkitError(
                "constant-image",
                f"Every voxel of {name or 'the volume'} has the same value, so it cannot be normalised.",
                "Check that the right volume was chosen.",
            )
        return (values - np.float32(mean)) / np.float32(std)

    @classmethod
    def fit(cls, modality: str, volumes: Sequence[NDArray]) -> Normalisation:
        """Statistics for a modality; for CT every training scan counts by its voxels."""
        if modality == "MR":
            return cls("MR")
        count = sum(volume.size for volume in volumes)
        mean = sum(float(volume.sum(dtype=np.float64)) for volume in volumes) / count
        squares = sum(float(((volume.astype(np.float64) - mean) ** 2).sum()) for volume in volumes)
        return cls(modality, mean, float(np.sqrt(squares / count)))


def slice_size(description: DatasetDescription, shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns that are used of a volume [k, j, i].

    The authors' CT has 257 x 257 pixels, because their resampling adds one, and their readers cut it to
    256. That one extra row or column is all that is cut here: larger slices are another preparation.

    Args:
        description: of the data set; its size (x, y) stands for 256 x 256 where it names one.
        shape: of the volume.
    """
    rows, columns = int(shape[1]), int(shape[2])
    if description.modality != "CT":
        return rows, columns
    width, height = description.size or (CT_SIZE, CT_SIZE)
    return (height if rows == height + 1 else rows), (width if columns == width + 1 else columns)


@dataclass
class EpisodeSampler:
    """Draws the episodes of a training run.

    Args:
        scans: training volumes.
        ranges: augmentation ranges; both views are augmented, as in the authors' code.
        structures: superpixels drawn on each slice (the authors: 1). More of them share one encoder
            pass.
        draw_rule: "present" draws among the ids that occur; "authors" draws uniformly from
            [1, largest id), whether an id occurs or not.
        epoch_length: slices in a pass over the data; None takes every slice once. The authors fix it
            to 1000 for MR; fewer than there are slices would leave some undrawn.
        seed: of everything drawn here.

    Raises:
        SegToolkitError: "epoch-too-short" or "no-superpixels".
    """

    scans: Sequence[Scan]
    ranges: AugmentRanges
    structures: int = 1
    draw_rule: str = "present"
    epoch_length: int | None = None
    seed: int = 1234
    _slices: list[tuple[int, int]] = field(init=False, repr=False)
    _ids: Mapping[tuple[int, int], list[tuple[int, NDArray]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._slices = [(s, k) for s, scan in enumerate(self.scans) for k in range(len(scan.image))]
        if self.epoch_length is not None and self.epoch_length < len(self._slices):
            raise SegToolkitError(
                "epoch-too-short",
                f"A pass over the data is set to {self.epoch_length} slices, but there are"
                f" {len(self._slices)} training slices, so some would never be drawn.",
                "Take every slice once a pass: --set episodes.epoch_length=null.",
            )
        self._ids = {at: found for at in self._slices if (found := self._ids_on(*at))}
        if not self._ids:
            raise SegToolkitError(
                "no-superpixels",
                f"None of the {len(self._slices)} training slices has a usable superpixel.",
                "Make the pseudo-labels again with another patient-mask threshold (--set"
                " data.threshold=otsu), and check that the excluded structures do not cover every slice.",
            )

    def _ids_on(self, scan_index: int, k: int) -> list[tuple[int, NDArray]]:
        """(map, ids on it) for every superpixel map that has enough ids to draw from on a slice."""
        scan = self.scans[scan_index]
        if k in scan.excluded:
            return []
        ids = [np.setdiff1d(np.unique(labels[k]), 0) for labels in scan.superpixels]
        if self.draw_rule == "authors":
            # Their draw excludes its upper bound, so a largest id of 1 leaves nothing to draw.
            return [(n, found) for n, found in enumerate(ids) if len(found) and found.max() > 1]
        return [(n, found) for n, found in enumerate(ids) if len(found)]

    def draw(self, position: int) -> Episode:
        """Return sample number ``position`` of the run (0, 1, 2, ...)."""
        length = self.epoch_length or len(self._slices)
        epoch, offset = divmod(position, length)
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(length)
        rng = np.random.default_rng([self.seed, 1, position])
        scan_index, k = self._usable(int(order[offset]) % len(self._slices), rng)
        scan = self.scans[scan_index]
        maps = self._ids[scan_index, k]
        chosen, present = maps[int(rng.integers(len(maps)))] if len(maps) > 1 else maps[0]
        plane = scan.superpixels[chosen][k]
        ids = self._draw_ids(present, rng)
        masks = (plane[None] == ids[:, None, None]).astype(np.uint8)
        image = scan.image[k]
        views = [
            apply_view(image, masks, draw_view(self.ranges, image.shape, rng), self.ranges) for _ in range(2)
        ]
        return Episode(
            support=views[0][0],
            query=views[1][0],
            support_masks=views[0][1],
            query_masks=views[1][1],
            origin=(scan.id, k, tuple(int(i) for i in ids)),
        )

    def _usable(self, index: int, rng: np.random.Generator) -> tuple[int, int]:
        """Move on from slices that may not or cannot be used: the next one, or a fresh draw."""
        for _ in range(MAX_REDRAWS):
            at = self._slices[index]
            if at in self._ids:
                return at
            if at[1] in self.scans[at[0]].excluded:
                index = int(rng.integers(len(self._slices)))
            else:
                index = (index + 1) % len(self._slices)
        # So few slices are usable that redrawing found none: choose among them directly.
        usable = list(self._ids)
        return usable[int(rng.integers(len(usable)))]

    def _draw_ids(self, present: NDArray, rng: np.random.Generator) -> NDArray:
        if self.draw_rule == "authors":
            return rng.integers(1, int(present.max()), size=self.structures)
        return rng.choice(present, size=min(self.structures, len(present)), replace=False)
