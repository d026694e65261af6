"""Write one volume, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import SimpleITK as sitk

from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.checks import check_finite
from SegToolkitLib.volume.header_errors import sheared
from SegToolkitLib.volume.headers import check_file
from SegToolkitLib.volume.loading import quiet
from SegToolkitLib.volume.volume import Volume

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
PICTURE_TYPES = {
    ".png": ("uint8", "uint16"),
    ".jpg": ("uint8",),
    ".jpeg": ("uint8",),
    ".tif": ("uint8", "uint16", "int16", "float32"),
    ".tiff": ("uint8", "uint16", "int16", "float32"),
}


def write_volume(volume: Volume, path: str | os.PathLike[str], *, compress: bool = True) -> None:
    """Write a volume in the format that the suffix names; an earlier file stays until the new one is whole.

    Args:
        volume: bool is written as uint8; one slice only for pictures, which keep no geometry.
        path: .nii, .nii.gz, .nrrd, .mha, .png, .jpg or .tif.
        compress: for NRRD, MetaImage and pictures (NIfTI is compressed if its suffix ends in .gz).

    Raises:
        SegToolkitError: "unknown-suffix", "sheared-direction", "not-a-picture", "colour-volume",
            "not-finite" (no such file could be read again), "write-failed".
    """
    target = Path(path)
    suffix = next((s for s in (*VOLUME_SUFFIXES, *PICTURE_TYPES) if target.name.lower().endswith(s)), None)
    if suffix is None:
        raise SegToolkitError(
            "unknown-suffix",
            f"{target} does not say in which format to write.",
            f"End the name in one of {', '.join((*VOLUME_SUFFIXES, *PICTURE_TYPES))}.",
        )
    _check_finite(volume, target)
    image = volume.to_sitk()
    if suffix in PICTURE_TYPES:
        image = _picture(image, target, suffix)
    elif volume.grid.sheared and suffix != ".nrrd":
        raise sheared(target)
    # ITK writes "a.nii.gz.nii.gz" as "a.nii.gz", and knows no ".NII.GZ".
    with replacing(target, suffix) as temporary:
        try:
            with quiet():
                sitk.WriteImage(image, str(temporary), useCompression=compress and suffix != ".nii")
            # NIfTI's writer does not notice a full disk.
            check_file(temporary)
        except RuntimeError as error:
            raise _failed(target, str(error).strip().splitlines()[-1]) from error
        except SegToolkitError as error:
            raise _failed(target, "the file came out incomplete (is the disk full?)") from error


def _check_finite(volume: Volume, target: Path) -> None:
    try:
        check_finite(volume)
    except SegToolkitError as error:
        raise SegToolkitError(
            error.code,
            f"{target} was not written: {error.message}",
            "Replace them by the value of the background; an earlier file is unchanged.",
        ) from error


def _picture(image: sitk.Image, target: Path, suffix: str) -> sitk.Image:
    if image.GetSize()[2] != 1:
        raise SegToolkitError(
            "not-a-picture",
            f"{target} would be a picture, but the volume has {image.GetSize()[2]} slices.",
            "Write a volume as .nii.gz, .nrrd or .mha.",
        )
    kind = str(sitk.GetArrayViewFromImage(image).dtype)
    if kind not in PICTURE_TYPES[suffix]:
        raise SegToolkitError(
            "not-a-picture",
            f"{target} cannot hold {kind} values; {suffix} holds {' or '.join(PICTURE_TYPES[suffix])}.",
            "Convert the values first, or write as .nii.gz, .nrrd or .mha.",
        )
    return image[:, :, 0]


def _failed(target: Path, reason: str) -> SegToolkitError:
    return SegToolkitError(
        "write-failed",
        f"{target} could not be written: {reason}.",
        "Check that you may write there and that the disk is not full; an earlier file is unchanged.",
    )
