"""The volumes of a training run: read, normalised, and with their pseudo-labels."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.dataset.checksum import sha256_of
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.folds import FoldSplit
from SegToolkitLib.dataset.record import FILE_NAME as PREPARED_FILE
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.data import Normalisation, Scan, slice_size
from SegToolkitLib.methods.alpnet.settings import AlpnetSettings, DataSettings
from SegToolkitLib.methods.alpnet.superpixel_files import pseudo_labels_of
from SegToolkitLib.methods.alpnet.superpixels import SuperpixelSettings, worker_pool
from SegToolkitLib.validation import read_json
from SegToolkitLib.volume import Volume, check_range, read_volume

# The authors clip the brightest 0.5 % of MR; half of that is more than ties of a scan that was not clipped.
MR_CLIP_TOP = 99.5
CLIPPED_SHARE = 0.0025
THRESHOLD_HINT = "Give another threshold (--set data.threshold=otsu)."


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on.

    Attributes:
        scans: with pseudo-labels; no annotation among them.
        normalisation: fitted on these scans.
        split: of the fold; None where every volume trains.
        fingerprint: case ids and checksums, for settings.json.
        window: (low, high) that the preparation mapped to 0..255, or None.
        clip_top: percentile at which the volumes were clipped, or None where they were not.
    """

    scans: list[Scan]
    normalisation: Normalisation
    split: FoldSplit | None
    fingerprint: dict[str, Any]
    window: tuple[float, float] | None = None
    clip_top: float | None = None

    @property
    def raw_units(self) -> tuple[tuple[float, float] | None, float | None, float | None]:
        """Window, mean and standard deviation in the units of the raw images.

        Preparation maps a CT window linearly to 0..255, so z-scoring the windowed HU with statistics
        carried back gives the same numbers and needs no rescaling at use.
        """
        mean, std = self.normalisation.mean, self.normalisation.std
        if self.window is None or mean is None or std is None:
            return self.window, mean, std
        low, high = self.window
        unit = (high - low) / 255
        return self.window, low + mean * unit, std * unit


def load_training_data(
    dataset: Dataset, settings: AlpnetSettings, superpixels: Path, reporter: Reporter, replace: bool = True
) -> TrainingData:
    """Read the training volumes of a fold and make (or read) their pseudo-labels.

    Labels are read for one purpose only: in setting 2, to leave out the slices that hold an excluded
    structure. As the authors do, whole volumes are normalised and cut into superpixels, then cropped.

    Args:
        dataset: prepared volumes.
        settings: fold, setting, superpixel sizes.
        superpixels: folder of the pseudo-labels; what is missing there is made.
        reporter: hears of progress and of odd patient masks.
        replace: pseudo-labels made with other settings, see :func:`pseudo_labels_of`.

    Raises:
        SegToolkitError: "sizes-differ" where several slices share a step, and what reading raises.
    """
    split = split_of(dataset, settings.data)
    ids = list(split.train) if split else dataset.ids
    volumes = {id: read_volume(dataset.case(id).image) for id in ids}
    sizes = {id: slice_size(dataset.description, volumes[id].voxels.shape) for id in ids}
    if settings.optimiser.pairs_per_step > 1:
        _check_sizes(sizes)
    normalisation = Normalisation.fit(dataset.description.modality, [v.voxels for v in volumes.values()])
    options = superpixel_settings(dataset, settings.data)
    maps: dict[str, list[Volume]] = {}
    with worker_pool() as pool:
        for done, id in enumerate(ids, start=1):
            maps[id] = [
                pseudo_labels_of(
                    id, volumes[id], one, superpixels, reporter, pool, hint=THRESHOLD_HINT, replace=replace
                )
                for one in options
            ]
            reporter.progress("superpixels", done, len(ids))
    scans = [
        Scan(
            id,
            normalisation(volumes[id].voxels)[:, :rows, :columns],
            tuple(labels.voxels[:, :rows, :columns] for labels in maps[id]),
            frozenset(excluded_slices(dataset, id, settings.data)),
        )
        for id, (rows, columns) in sizes.items()
    ]
    fingerprint = {
        "dataset": dataset.description.name,
        "cases": ids,
        "sha256": {id: sha256_of(dataset.case(id).image) for id in ids},
    }
    window, clip_top = _preparation(dataset, settings.data, list(volumes.values()))
    return TrainingData(scans, normalisation, split, fingerprint, window, clip_top)


def split_of(dataset: Dataset, settings: DataSettings) -> FoldSplit | None:
    """The fold's split, or None where every volume trains."""
    if settings.fold is None:
        return None
    return dataset.split(settings.fold, settings.n_support)


def superpixel_settings(dataset: Dataset, settings: DataSettings) -> list[SuperpixelSettings]:
    """Superpixel settings of a run, one for each size."""
    threshold = settings.threshold
    if threshold is None:
        threshold = dataset.description.foreground_threshold
    return [
        SuperpixelSettings(
            settings.superpixel_scale, settings.superpixel_sigma, size, threshold, settings.superpixel_rule
        )
        for size in settings.superpixel_min_sizes
    ]


def excluded_slices(dataset: Dataset, id: str, settings: DataSettings) -> Sequence[int]:
    """Slices that hold an excluded structure (setting 2)."""
    if settings.setting == 1:
        if settings.exclude:
            raise SegToolkitError(
                "exclude-without-setting-2",
                "Structures to exclude are named, but setting 1 excludes none.",
                "Add --setting 2, or leave out --exclude.",
            )
        return ()
    unknown = sorted(set(settings.exclude) - (set(dataset.description.labels.values()) - {0}))
    if unknown:
        raise SegToolkitError(
            "unknown-label",
            f"{dataset.description.name} has no structure with the label {unknown[0]}.",
            f"Its labels are {dataset.description.labels}.",
        )
    if not settings.exclude:
        raise SegToolkitError(
            "nothing-excluded",
            "Setting 2 leaves out slices of the tested organs, but none is named.",
            "Give --exclude with their label ids, or use setting 1.",
        )
    label = dataset.case(id).label
    if label is None:
        raise SegToolkitError(
            "no-label",
            f"Setting 2 needs to know which slices hold the excluded organs, but case {id} has no label.",
            "Use setting 1, or add the label.",
        )
    voxels = read_volume(label, label=True).voxels
    return [int(k) for k in np.flatnonzero(np.isin(voxels, settings.exclude).any((1, 2)))]


def _check_sizes(sizes: dict[str, tuple[int, int]]) -> None:
    (first, size), *others = sizes.items()
    for id, other in others:
        if other != size:
            raise SegToolkitError(
                "sizes-differ",
                f"The slices of case {first} have {size[1]} x {size[0]} pixels, those of case {id}"
                f" {other[1]} x {other[0]}, so they cannot share a training step.",
                "Bring them to one size (segtoolkit prepare alpnet generic ... --size 256), or set"
                " optimiser.pairs_per_step=1.",
            )


def _preparation(
    dataset: Dataset, settings: DataSettings, volumes: Sequence[Volume]
) -> tuple[tuple[float, float] | None, float | None]:
    """Window and clipping percentile that the volumes were prepared with, each or None.

    What no prepare.json tells is seen in the volumes: whether the brightest voxels of MR are cut off, and
    whether CT is in Hounsfield units.
    """
    told = _told(dataset)
    window, clip_top = settings.window, None
    if told is not None:
        written, clip_top = told
        window = window or written
    elif dataset.description.modality == "MR" and _are_clipped(volumes):
        clip_top = MR_CLIP_TOP
    if dataset.description.modality == "CT" and window is None:
        try:
            for volume in volumes:
                check_range(volume, "CT")
        except SegToolkitError as error:
            raise SegToolkitError(
                "no-window",
                f"{error.message} If they were cut to a window, nothing says to which.",
                "Prepare the raw volumes (segtoolkit prepare alpnet), or name the window that 0 to 255 stand"
                " for (--set data.window=[-125,275]).",
            ) from error
    return window, clip_top


def _are_clipped(volumes: Sequence[Volume]) -> bool:
    """Whether more voxels have the highest value than by chance, in most of the volumes."""
    shares = [float((one.voxels == one.voxels.max()).mean()) for one in volumes]
    return statistics.median(shares) > CLIPPED_SHARE


def _told(dataset: Dataset) -> tuple[tuple[float, float] | None, float | None] | None:
    """Window and clipping percentile that prepare.json beside the volumes names; None where there is none."""
    file = dataset.folder / PREPARED_FILE
    if not file.is_file():
        return None
    made_by = read_json(file).get("made_by")
    steps = made_by.get("settings") if isinstance(made_by, dict) else None
    if not isinstance(steps, dict):
        return None
    window, percent = steps.get("window"), steps.get("clip_top")
    try:
        return (
            None if window is None else (float(window[0]), float(window[1])),
            None if percent is None else 100 - float(percent),
        )
    except (TypeError, ValueError, LookupError) as error:
        raise SegToolkitError(
            "bad-preparation",
            f"{file} does not say how the volumes were prepared ({error}).",
            "Prepare them again.",
        ) from error
