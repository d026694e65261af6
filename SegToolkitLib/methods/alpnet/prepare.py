"""Preparation of volumes and of whole data sets for SSL-ALPNet.

What the authors' steps (``prepare_steps``) do to the voxels is kept; what they forget about the geometry
(a cut volume keeps the origin of the uncut one) is put right unless ``authors_geometry`` is set.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.dataset.batch import Progress, for_each_case, raise_failures
from SegToolkitLib.dataset.check_picture import check_picture
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import FILE_NAME
from SegToolkitLib.dataset.record import PreparedRecord, locked, prepared_files
from SegToolkitLib.dataset.sources import (
    RawCase,
    Source,
    SourceName,
    files_of,
    fingerprint,
    origin_of,
    read_raw,
)
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.classmap import write_class_map
from SegToolkitLib.methods.alpnet.prepare_steps import (
    CT_SETTINGS,
    MR_SETTINGS,
    PrepareSettings,
    centre_crop_pad,
    clip_top,
    crop_start,
    cut_border,
    new_spacing,
    prepare_arrays,
    prepare_ct_arrays,
    prepare_mr_arrays,
    resample_label_like_authors,
    resample_like_authors,
    resampled_size,
    window_to_255,
)
from SegToolkitLib.sharding import WHOLE, Shard
from SegToolkitLib.volume import Volume, check_label, check_range, write_volume

__all__ = [
    "CT_SETTINGS",
    "MR_SETTINGS",
    "PrepareSettings",
    "centre_crop_pad",
    "clip_top",
    "cut_border",
    "prepare_arrays",
    "prepare_ct",
    "prepare_ct_arrays",
    "prepare_dataset",
    "prepare_generic",
    "prepare_mr",
    "prepare_mr_arrays",
    "resample_label_like_authors",
    "resample_like_authors",
    "window_to_255",
]


def prepare_mr(
    image: Volume, label: Volume | None = None, authors_geometry: bool = False
) -> tuple[Volume, Volume | None]:
    """Prepare abdominal MR as the authors prepare CHAOS-T2: ``prepare_generic`` with ``MR_SETTINGS``."""
    return prepare_generic(
        image, label, MR_SETTINGS.model_copy(update={"authors_geometry": authors_geometry})
    )


def prepare_ct(
    image: Volume, label: Volume | None = None, authors_geometry: bool = False
) -> tuple[Volume, Volume | None]:
    """Prepare abdominal CT as the authors prepare SABS: ``prepare_generic`` with ``CT_SETTINGS``."""
    return prepare_generic(
        image, label, CT_SETTINGS.model_copy(update={"authors_geometry": authors_geometry})
    )


def prepare_generic(
    image: Volume, label: Volume | None, settings: PrepareSettings
) -> tuple[Volume, Volume | None]:
    """Prepare a volume and its label with the steps that ``settings`` name.

    Slices are the volume's own (axis k); the direction stays, the origin moves with what is cut, so that
    the result overlays the original in the world.

    Raises:
        SegToolkitError: the label lies on another grid, or a step cannot be done (``prepare_arrays``).
    """
    if image.voxels.ndim != 3:
        raise SegToolkitError(
            "colour",
            f"{image.name or 'The image'} is a colour picture.",
            "Give an image with one value a pixel.",
        )
    check_range(image, settings.modality)
    label = None if label is None else check_label(label, image)
    voxels, values = prepare_arrays(
        image.voxels, None if label is None else label.voxels, image.spacing, settings
    )
    grid = _grid(image, settings)
    prepared = replace(image, voxels=voxels, **grid)
    return prepared, None if label is None or values is None else replace(label, voxels=values, **grid)


def _grid(image: Volume, settings: PrepareSettings) -> dict[str, Any]:
    """Return spacing and origin of the prepared volume."""
    spacing = new_spacing(image.spacing, settings) or image.spacing
    if settings.authors_geometry:
        return {"spacing": spacing, "origin": image.origin}
    cut = np.array([settings.border, settings.border, 0.0]) * image.spacing  # (i, j, k) in mm
    if settings.size is not None:
        for axis, n in ((0, image.voxels.shape[2]), (1, image.voxels.shape[1])):
            left = n - 2 * settings.border
            if settings.spacing is not None or settings.spacing_factor is not None:
                left = resampled_size(left, image.spacing[axis], spacing[axis])
            cut[axis] += crop_start(left, settings.size) * spacing[axis]
    return {"spacing": spacing, "origin": tuple((image.direction @ cut + image.origin).tolist())}


def prepare_dataset(
    source: SourceName,
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: PrepareSettings | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
    shard: Shard = WHOLE,
    data: Path | None = None,
) -> Dataset | None:
    """Prepare every case of a source into a folder that training and evaluation read.

    The folder gets ``image_<id>.nii.gz``, ``label_<id>.nii.gz``, dataset.json, classmap_1.json (where
    there are labels), check.png, and prepare.json: the settings, and for each case its files, its
    original grid and its prepared grid, so that results can be put back. A case that is already
    there, from the same files with the same settings, is not prepared again.

    Args:
        source: "chaos", "sabs" or "generic" (``Source.open``).
        input: folder of the raw scans, or what ``Dataset.open`` opens.
        output: folder to write; another one than ``input``.
        settings: None takes the authors' for the modality.
        workers: processes; None takes one a core.
        progress: called with (done, total, text).
        overwrite: prepare anew what the folder holds from other settings.
        shard: prepare this part of the cases only; other processes may prepare the others meanwhile.
        data: of "generic": folder of the volumes, if not the described one.

    Returns:
        The prepared data set, as far as it is there; None where nothing is yet.

    Raises:
        SegToolkitError: no scans; settings for another modality; a folder prepared with other settings
            ("settings-differ"); or, after all the others have been written, cases that failed
            ("cases-failed", naming each and why).
    """
    raw, folder = Source.open(source, Path(input), data), Path(output)
    settings = settings or (CT_SETTINGS if raw.description.modality == "CT" else MR_SETTINGS)
    _check(raw, folder, settings)
    made_by = {"source": source, "settings": settings.model_dump(mode="json")}
    record = PreparedRecord.open(folder, made_by, overwrite)
    cases = shard.of(raw.cases)
    prints = {case.id: fingerprint(files_of(case)) for case in cases}
    jobs = {
        case.id: _Job(case, folder, settings)
        for case in cases
        if not record.is_current(case.id, prints[case.id])
    }

    def keep(id: str, facts: dict[str, Any]) -> None:
        record.keep(id, {**facts, "fingerprint": prints[id]})

    ready = len(cases) - len(jobs)
    if progress is not None:
        progress(ready, len(cases), f"{ready} cases are ready already")
    failures = for_each_case(_prepare_case, jobs, keep, workers, progress, ready)
    try:
        # The last of several processes finds all cases here, and describes them all.
        with locked(folder):
            record.read_others()
            ids = [id for id in record.cases if prepared_files(folder, id)[0].is_file()]
            if ids:
                _finish(raw, folder, settings, ids)
    finally:
        raise_failures(failures, len(cases), "prepared")
    return Dataset.open(folder) if ids or shard.is_whole else None


@dataclass(frozen=True)
class _Job:
    case: RawCase
    folder: Path
    settings: PrepareSettings


def _prepare_case(job: _Job) -> dict[str, Any]:
    """Prepare one case and write it; return what prepare.json says about it."""
    image, label = read_raw(job.case, job.settings.ranks)
    right = job.settings.model_copy(update={"authors_geometry": False})
    prepared, values = prepare_generic(image, label, right)
    facts = {
        "source": origin_of(job.case),
        "labelled": values is not None,
        "original_grid": image.grid.describe(),
        "prepared_grid": prepared.grid.describe(),  # the right one, whatever the files say
    }
    for volume, path in zip((prepared, values), prepared_files(job.folder, job.case.id), strict=True):
        if volume is None:
            path.unlink(missing_ok=True)  # the label of an earlier time, when there was one
        else:
            written = replace(volume, origin=image.origin) if job.settings.authors_geometry else volume
            write_volume(written, path)
    return facts


def _finish(raw: Source, folder: Path, settings: PrepareSettings, ids: list[str]) -> None:
    """Write what is about all cases together."""
    size = (settings.size, settings.size) if settings.size else None
    raw.described(ids, settings.spacing, size).save(folder / FILE_NAME)
    dataset = Dataset.open(folder)
    if any(case.label for case in dataset.cases):
        write_class_map(dataset)
    check_picture(dataset, folder / "check.png")


def _check(raw: Source, folder: Path, settings: PrepareSettings) -> None:
    if settings.modality != raw.description.modality:
        raise SegToolkitError(
            "modality",
            f"{raw.description.name} is {raw.description.modality}; the settings say {settings.modality}.",
            "Choose settings for the modality of the data.",
        )
    if folder.resolve() == raw.folder.resolve():
        raise SegToolkitError(
            "same-folder",
            f"{folder} is the folder of the raw scans.",
            "Write to another one: theirs stays as it is.",
        )
