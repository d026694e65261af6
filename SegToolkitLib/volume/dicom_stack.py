"""DICOM slices as one volume: in the order of their place in the patient, evenly spaced or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import SimpleITK as sitk

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.grid import Shape, Triple
from SegToolkitLib.volume.loading import check_readable, explained, quiet
from SegToolkitLib.volume.volume import Volume

# Positions are decimal strings of up to 16 characters; a tenth of a step is far more than their rounding,
# far less than a missing slice.
UNEVEN_PART = 0.1
SAME_PLACE_MM = 1e-3
# The last column of the direction may differ from the normal by this much before it is called a tilt.
TILT = 1e-3


@dataclass(frozen=True)
class Slice:
    """The header of one DICOM file: size and spacing (i, j, k), position (LPS mm), direction (9)."""

    path: Path
    size: Shape
    spacing: Triple
    position: Triple | None
    direction: tuple[float, ...]
    instance: int

    @property
    def along(self) -> float:
        """mm along the normal of the image plane (0 without a position)."""
        if self.position is None:
            return 0.0
        rows = np.reshape(self.direction, (3, 3))
        return float(np.dot(np.cross(rows[:, 0], rows[:, 1]), self.position))


def ordered(slices: list[Slice]) -> list[Slice]:
    """By place; by instance number and file name where there is none."""
    return sorted(slices, key=lambda s: (round(s.along, 3), s.instance, str(s.path)))


def stacked(slices: tuple[Slice, ...], name: str) -> Volume:
    """The slices, in order, as a volume [k, j, i].

    Raises:
        SegToolkitError: "dicom-mixed", "dicom-repeated", "dicom-gaps", "truncated-file", ...
    """
    first = slices[0]
    _check_alike(slices, name)
    images = [_pixels(s.path) for s in slices]
    if len(slices) == 1:
        return Volume.from_sitk(images[0], name)
    arrays = [sitk.GetArrayFromImage(image) for image in images]
    array = np.concatenate([a.reshape(-1, *a.shape[-2:]) for a in arrays])
    direction = np.reshape(first.direction, (3, 3)).copy()
    spacing, origin = first.spacing, (0.0, 0.0, 0.0)
    if first.position is not None:
        step = _step(slices, name)
        length = float(np.linalg.norm(step))
        # A tilted gantry moves slices sideways as well: keep that true instead of straightening it.
        if np.linalg.norm(step / length - direction[:, 2]) > TILT:
            direction[:, 2] = step / length
        spacing, origin = (spacing[0], spacing[1], length), first.position
    return Volume(array, spacing, origin, direction, name)


def _check_alike(slices: tuple[Slice, ...], name: str) -> None:
    kinds = {(s.size, tuple(np.round(s.direction, 3)), tuple(np.round(s.spacing[:2], 4))) for s in slices}
    several = len(slices) > 1 and any(s.size[2] > 1 for s in slices)
    if len(kinds) > 1 or several or len({s.position is None for s in slices}) > 1:
        raise SegToolkitError(
            "dicom-mixed",
            f"{name} mixes images of {len(kinds)} sizes or directions (such as a localiser) in {len(slices)}"
            " files, which make no volume.",
            "Keep the files of one stack in a folder of their own.",
        )


def _step(slices: tuple[Slice, ...], name: str) -> np.ndarray:
    """LPS mm from one slice to the next."""
    positions = np.array([cast(Triple, s.position) for s in slices])
    gaps = np.diff([s.along for s in slices])
    usual = float(np.median(gaps[gaps > SAME_PLACE_MM])) if (gaps > SAME_PLACE_MM).any() else 0.0
    if (gaps <= SAME_PLACE_MM).any():
        raise SegToolkitError(
            "dicom-repeated",
            f"{name} has {int((gaps <= SAME_PLACE_MM).sum())} images at a place where there is one already"
            " (echoes, phases or time points in one series).",
            "Keep the files of one echo, phase or time point in a folder of their own.",
        )
    uneven = np.abs(gaps - usual) > UNEVEN_PART * usual
    if uneven.any():
        where = int(np.flatnonzero(uneven)[0])
        raise SegToolkitError(
            "dicom-gaps",
            f"{name} has slices {gaps[where]:.3g} mm apart after {slices[where].path.name}, elsewhere"
            f" {usual:.3g} mm: files are missing, or the spacing varies.",
            "Export the whole series again; a series with varying spacing must be resampled first.",
        )
    return cast(np.ndarray, (positions[-1] - positions[0]) / (len(slices) - 1))


def _pixels(path: Path) -> sitk.Image:
    check_readable(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        with quiet():
            return reader.Execute()
    except RuntimeError as error:
        raise explained(path, error) from error
