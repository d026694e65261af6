"""The raw CHAOS MR scans: DICOM slices and, in PNG pictures, their ground truth.

Layout: ``MR/<id>/T2SPIR/DICOM_anon/*.dcm`` and ``MR/<id>/T2SPIR/Ground/*.png``.

How picture and image are brought together. A PNG's rows and columns are those of the DICOM slice with
the same trailing number in its name. Where that slice lies in the volume, and whether the volume's
rows still run as they do in the DICOM file, is worked out from the position and orientation in the
slice's own header, so that neither the order of file names nor the reader's order is relied upon.
Only then are the rows of both flipped, because the authors' converter (dcm2nii) stores rows from
posterior to anterior and the published networks have seen their patients that way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from SegToolkitLib.dataset.dataset import trailing_number
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Volume, read_dicom_series

# Grey value of each organ in the pictures: liver, right kidney, left kidney, spleen.
GREY_VALUES = {63: 1, 126: 2, 189: 3, 252: 4}


@dataclass(frozen=True)
class ChaosCase:
    """One patient's T2-SPIR scan: id, folder of its DICOM slices, folder of its ground truth or None."""

    id: str
    dicom: Path
    ground: Path | None


def chaos_cases(folder: Path) -> list[ChaosCase]:
    """List the T2-SPIR scans below ``folder`` (the folder ``MR``, or one that holds it), by integer id.

    Raises:
        SegToolkitError: there is none.
    """
    for root in (folder, folder / "MR", folder / "Train_Sets" / "MR"):
        found = [
            ChaosCase(str(int(scan.parent.name)), scan / "DICOM_anon", _existing(scan / "Ground"))
            for scan in sorted(root.glob("*/T2SPIR"))
            if scan.parent.name.isdecimal() and (scan / "DICOM_anon").is_dir()
        ]
        if found:
            return sorted(found, key=lambda case: int(case.id))
    raise SegToolkitError(
        "no-cases",
        f"{folder} holds no CHAOS MR scans.",
        "Give the folder that holds MR/<number>/T2SPIR/DICOM_anon.",
    )


def read_chaos(case: ChaosCase, ranks: bool = False) -> tuple[Volume, Volume | None]:
    """Read a scan and its ground truth, on one grid, with rows from posterior to anterior.

    Args:
        case: which scan.
        ranks: number the grey values by their rank among those present in the scan, as the authors'
            code does; an organ that a scan lacks then shifts the numbers of the others. By default
            each grey value has its fixed meaning (``GREY_VALUES``).

    Returns:
        image: the scan, in the pixel type of the DICOM files.
        label: uint8, 0 background, 1 liver, 2 right kidney, 3 left kidney, 4 spleen; None without
            ground truth.

    Raises:
        SegToolkitError: unreadable slices or pictures, slices missing in the scan, pictures that do
            not match the slices in number or size, grey values that mean nothing.
    """
    image = read_dicom_series(case.dicom)
    places, rows_flipped = _places(case.dicom, image)
    label = None
    if case.ground is not None:
        grey = _read_ground(case.ground, places, image.voxels.shape)
        grey = grey[:, ::-1] if rows_flipped else grey
        values = values_by_rank(grey) if ranks else values_by_meaning(grey, str(case.ground))
        label = flip_rows(replace(image, voxels=values))
    return flip_rows(image), label


def values_by_meaning(grey: NDArray[np.uint8], source: str = "The ground truth") -> NDArray[np.uint8]:
    """Replace CHAOS's grey values by 1 to 4 (``GREY_VALUES``); any shape.

    Raises:
        SegToolkitError: there is a grey value without a meaning.
    """
    present = np.unique(grey)
    unknown = sorted(set(present.tolist()) - {0, *GREY_VALUES})
    if unknown:
        raise SegToolkitError(
            "grey-values",
            f"{source} holds the grey values {unknown}, which mean no CHAOS organ.",
            f"CHAOS uses {sorted(GREY_VALUES)}; number them by rank instead if yours are other ones.",
        )
    table = np.zeros(256, np.uint8)
    for value, organ in GREY_VALUES.items():
        table[value] = organ
    return table[grey]


def values_by_rank(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Replace each grey value by its rank among those present (the authors' rule); any shape."""
    return np.searchsorted(np.unique(grey), grey).astype(np.uint8)


def flip_rows(volume: Volume) -> Volume:
    """Store the rows (axis j) in the opposite order; every voxel stays where it is in the world."""
    rows = volume.voxels.shape[1]
    direction = np.array(volume.direction, dtype=float)
    step = direction[:, 1] * volume.spacing[1]
    origin = np.asarray(volume.origin, dtype=float) + (rows - 1) * step
    direction[:, 1] *= -1
    return replace(
        volume,
        voxels=np.ascontiguousarray(volume.voxels[:, ::-1]),
        origin=tuple(origin.tolist()),
        direction=direction,
    )


def _existing(folder: Path) -> Path | None:
    return folder if folder.is_dir() and any(folder.glob("*.png")) else None


def _places(folder: Path, image: Volume) -> tuple[dict[int, int], bool]:
    """Return slice index k by the number in each DICOM file's name, and whether the reader flipped rows."""
    direction = np.asarray(image.direction, dtype=float)
    heights: dict[int, float] = {}
    rows_flipped = False
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        number = trailing_number(path.stem)
        header = sitk.ImageFileReader()
        header.SetImageIO("GDCMImageIO")
        header.SetFileName(str(path))
        try:
            header.ReadImageInformation()
        except RuntimeError:
            continue  # not an image (a DICOMDIR, a text file): read_dicom_series leaves it out as well
        offset = np.asarray(header.GetOrigin(), dtype=float) - np.asarray(image.origin, dtype=float)
        rows = np.asarray(header.GetDirection()).reshape(3, 3)[:, 1]
        rows_flipped = float(rows @ direction[:, 1]) < 0
        heights[len(heights) if number is None else number] = float(offset @ direction[:, 2])
    steps = np.diff(sorted(heights.values()))
    if len(heights) != image.voxels.shape[0] or (steps.size and np.ptp(steps) > 0.1 * np.median(steps)):
        raise SegToolkitError(
            "missing-slices",
            f"The DICOM slices in {folder} do not follow each other evenly: {len(heights)} files,"
            f" {image.voxels.shape[0]} positions.",
            "A slice is missing or doubled, or the folder holds more than one series; copy the scan again.",
        )
    return {
        number: k for k, (_, number) in enumerate(sorted((z, n) for n, z in heights.items()))
    }, rows_flipped


def _read_ground(folder: Path, places: dict[int, int], shape: Sequence[int]) -> NDArray[np.uint8]:
    """Stack the pictures, each where the DICOM slice of its number lies: [k, row, column]."""
    pictures = {trailing_number(path.stem): path for path in sorted(folder.glob("*.png"))}
    ordered = sorted((number, path) for number, path in pictures.items() if number is not None)
    if len(ordered) != shape[0]:
        raise SegToolkitError(
            "ground-truth",
            f"{folder} holds {len(ordered)} numbered pictures, the scan has {shape[0]} slices.",
            "Each slice needs one; copy the scan again, or remove the folder to go without ground truth.",
        )
    if {number for number, _ in ordered} == set(places):
        at = [places[number] for number, _ in ordered]
    else:
        # Files renamed to another numbering: what is left is the authors' rule, ascending numbers upwards.
        at = list(range(shape[0]))
    grey = np.zeros(tuple(shape), np.uint8)
    for (_, path), k in zip(ordered, at, strict=True):
        grey[k] = _read_picture(path, (shape[1], shape[2]))
    return grey


def _read_picture(path: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            grey = np.asarray(picture.convert("L"), dtype=np.uint8)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise SegToolkitError(
            "unreadable", f"{path} is no readable PNG picture: {error}.", "Copy it again."
        ) from error
    if grey.shape != shape:
        raise SegToolkitError(
            "ground-truth",
            f"{path} has {grey.shape[1]} x {grey.shape[0]} pixels, its slice has {shape[1]} x {shape[0]}.",
            "Picture and slice must have the same size.",
        )
    return grey
