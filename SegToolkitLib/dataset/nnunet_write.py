"""Make a data set in the raw layout of nnU-Net v2, or add cases to one; whatever happens, it stays whole.

dataset.json lists each case with its files ("dataset"), as nnU-Net allows, so that replacing this one file
adds the cases: before, their files are nobody's; after, the cases are there. New files are written into a
hidden folder beside the others first, where a full disk or a kill leaves nothing but what the next addition
takes away. Tags of slices go into tags.csv right before; where that was all, readers pass these over, and the
next addition puts the file back.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from filelock import FileLock, Timeout

from SegToolkitLib.atomic import sync_folder, write_json, write_text
from SegToolkitLib.dataset.dataset import Progress
from SegToolkitLib.dataset.description import FILE_NAME, DatasetDescription
from SegToolkitLib.dataset.new_cases import NewCase, check_id, check_structures, read_images, read_mask
from SegToolkitLib.dataset.nnunet import IMAGES, LABELS, UNLABELLED
from SegToolkitLib.dataset.nnunet_contents import Contents
from SegToolkitLib.dataset.slice_tags import TAGS_FILE, check_tags, with_cases
from SegToolkitLib.dataset.unfinished import PLAN, STAGING
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json
from SegToolkitLib.volume import Grid, Volume, write_volume

Mode = Literal["create", "append", "either"]

EARLIER_TAGS = "earlier-tags.csv"
LOCK = ".segtoolkit.lock"
LOCK_SECONDS = 30.0
# Directions and origins are 32-bit floats in a NIfTI file; more than this part of a voxel is not rounding.
PLACE_TOLERANCE_VOXELS = 0.01
OUR_FILES = re.compile(rf"({IMAGES}|{LABELS}|{UNLABELLED})/[^/\\]+")


def add_cases(
    folder: str | os.PathLike[str],
    description: DatasetDescription | None,
    cases: Sequence[NewCase],
    *,
    mode: Mode = "either",
    resample: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """Create a data set from cases, or append them to one: all of them, or none if one is refused.

    Images keep their voxels and their place; labels lie exactly on their image's grid. Labels are joined by
    name: a structure that the data set knows keeps its number there, a new one gets the next number, and
    earlier cases are listed under "not_annotated" for it.

    Args:
        folder: of the data set.
        description: name, modality, licence and so on of a new data set; its labels come first. To append,
            it may be None; its modality must be the data set's.
        cases: to add; none must have the id of another.
        mode: "create" refuses a folder that holds a data set, "append" one that does not.
        resample: where a case has several images, bring them onto the voxels of the first; otherwise images
            on other voxels are refused. Nothing is registered.
        progress: called with (done, total) after each case.

    Returns:
        The ids of the cases, in their order.

    Raises:
        SegToolkitError: "dataset-exists", "no-dataset", "other-layout", "several-channels",
            "modality-differs", "case-exists", "bad-case-id", "dataset-busy", "write-failed",
            "geometry-lost", "bad-tags", "tags-exist" (tags of no data set lie there), and what ``new_cases``
            and reading raise. The folder is then as it was before.
    """
    place = Path(folder)
    new = not (place / FILE_NAME).is_file()
    _check_mode(place, new, mode)
    made = [path for path in (place, *place.parents) if not path.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / LOCK, timeout=LOCK_SECONDS)
        with lock:
            return _add(place, description, cases, mode, resample, progress)
    except Timeout as error:
        raise SegToolkitError(
            "dataset-busy",
            f"Another program is adding cases to {place}.",
            "Wait until it has finished, then try again.",
        ) from error
    except OSError as error:
        raise _write_failed(place, error) from error
    finally:
        if new and not (place / FILE_NAME).exists():
            _remove_empty(place, made)


def _add(
    folder: Path,
    description: DatasetDescription | None,
    cases: Sequence[NewCase],
    mode: Mode,
    resample: bool,
    progress: Progress | None,
) -> list[str]:
    # Once more, now that nobody else can begin a data set here.
    _check_mode(folder, not (folder / FILE_NAME).is_file(), mode)
    sweep(folder)
    contents = Contents.open(folder, description)
    for case in cases:
        check_id(case.id)
        check_structures(case)
        contents.register(case)
    staging = folder / f"{STAGING}{uuid.uuid4().hex[:8]}"
    try:
        moves: list[tuple[Path, Path]] = []
        for done, case in enumerate(cases, start=1):
            moves += _stage(staging, folder, contents, case, resample)
            if progress is not None:
                progress(done, len(cases))
        for _, target in moves:
            if target.exists():
                raise SegToolkitError(
                    "case-exists",
                    f"{target} exists, but no case of the data set has it.",
                    "Move the file away, or give the case another name.",
                )
        tags = _staged_tags(staging, folder, cases)
        # From here on the named files are ours, to finish or to take away.
        names = [target.relative_to(folder).as_posix() for _, target in moves]
        ids = [case.id for case in cases]
        write_json(staging / PLAN, {"files": names, "tags": tags, "cases": ids})
        for name in (IMAGES, LABELS):
            (folder / name).mkdir(exist_ok=True)
        for source, target in moves:
            target.parent.mkdir(exist_ok=True)
            source.replace(target)
        for parent in {target.parent for _, target in moves}:
            sync_folder(parent)
        if tags:
            (staging / TAGS_FILE).replace(folder / TAGS_FILE)
        write_json(folder / FILE_NAME, contents.values())
    except BaseException:
        with suppress(OSError, SegToolkitError):
            sweep(folder)
        raise
    shutil.rmtree(staging, ignore_errors=True)
    return [case.id for case in cases]


def sweep(folder: Path) -> None:
    """Take away what an addition that was killed or failed has left; cases of dataset.json stay.

    Only whoever holds the folder's lock may call this.
    """
    leftovers = [path for path in folder.glob(f"{STAGING}*") if path.is_dir()]
    if not leftovers:
        return
    known = Contents.files_of(folder)
    for staging in leftovers:
        plan = staging / PLAN
        if plan.is_file():
            facts = read_json(plan)
            names = list(map(str, facts.get("files", ())))
            if facts.get("tags") and not any(folder / name in known for name in names):
                _put_back_tags(staging, folder)
            for name in names:
                target = folder / name
                # The plan is data like any other: nothing outside these folders, and no link out of them.
                if OUR_FILES.fullmatch(name) and target not in known and not target.is_symlink():
                    target.unlink(missing_ok=True)
        shutil.rmtree(staging, ignore_errors=True)


def _stage(
    staging: Path, folder: Path, contents: Contents, case: NewCase, resample: bool
) -> list[tuple[Path, Path]]:
    """Write the files of a case into the hidden folder; return where each is and where it belongs."""
    images = read_images(case, contents.channels, resample=resample)
    check_tags(case.id, case.tags, images[0].grid)
    files: list[tuple[Volume, str]] = []
    if case.mask is not None:
        # The label goes first: who reads folders alone never finds an image that lacks its label.
        files.append((read_mask(case, images[0], contents.numbers(case)), contents.label_file(case.id)))
    files += zip(images, contents.image_files(case.id, case.mask is not None), strict=True)
    for volume, name in files:
        write_volume(volume, staging / name)
        _check_place(staging / name, volume.grid, case.id)
    return [(staging / name, folder / name) for _, name in files]


def _staged_tags(staging: Path, folder: Path, cases: Sequence[NewCase]) -> bool:
    """Write tags.csv as it will be into the hidden folder, with a copy of what it is; False without tags."""
    tags = {case.id: case.tags for case in cases if case.tags}
    if not tags:
        return False
    file = folder / TAGS_FILE
    if file.is_file() and not (folder / FILE_NAME).is_file():
        raise SegToolkitError(
            "tags-exist",
            f"{file} exists, but there is no data set.",
            "Move it away, or choose another folder.",
        )
    text = with_cases(file, tags)
    if file.is_file():
        shutil.copyfile(file, staging / EARLIER_TAGS)
    write_text(staging / TAGS_FILE, text)
    return True


def _put_back_tags(staging: Path, folder: Path) -> None:
    """Undo the change of tags.csv by an addition that came to nothing."""
    if (staging / TAGS_FILE).is_file():
        return  # it was not put in place yet
    if (staging / EARLIER_TAGS).is_file():
        (staging / EARLIER_TAGS).replace(folder / TAGS_FILE)
    else:
        (folder / TAGS_FILE).unlink(missing_ok=True)


def _check_place(path: Path, grid: Grid, id: str) -> None:
    """Raise SegToolkitError "geometry-lost" unless a written file lies where the volume lay."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    spacing, origin = reader.GetSpacing(), reader.GetOrigin()
    direction = np.reshape(reader.GetDirection(), (3, 3))
    i, j, k = reader.GetSize()
    found = Grid((k, j, i), spacing, origin, direction, path.name)
    if not found.same(grid, PLACE_TOLERANCE_VOXELS * min(grid.spacing)):
        raise SegToolkitError(
            "geometry-lost",
            f"The file format cannot say where case {id} lies: it would move by"
            f" {found.distance(grid):.3g} mm.",
            "Its origin is too far away or its axes are not at right angles; resample or re-export it first.",
        )


def _check_mode(folder: Path, new: bool, mode: Mode) -> None:
    if mode == "create" and not new:
        raise SegToolkitError(
            "dataset-exists",
            f"{folder} holds a data set already.",
            "Append to it, or choose another folder.",
        )
    if mode == "append" and new:
        raise SegToolkitError(
            "no-dataset",
            f"{folder} holds no data set to append to.",
            "Choose another folder, or make a new one.",
        )


def _remove_empty(folder: Path, made: Sequence[Path]) -> None:
    """Take away the folders that were made for a data set that did not come to be."""
    with suppress(OSError):
        (folder / LOCK).unlink(missing_ok=True)
    for path in (*(folder / name for name in (IMAGES, LABELS, UNLABELLED)), *made):
        with suppress(OSError):
            path.rmdir()


def _write_failed(folder: Path, error: OSError) -> SegToolkitError:
    return SegToolkitError(
        "write-failed",
        f"No cases could be added to {folder}: {error.strerror or error}.",
        "Check that you may write there and that the disk is not full; the data set is as it was.",
    )
