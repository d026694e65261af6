"""From a file to a SimpleITK image of at most three dimensions, or one sentence that says why not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.header_errors import CORRECT_HEADER, not_an_image, sheared, truncated
from SegToolkitLib.volume.headers import check_file

# Texts in the exceptions of SimpleITK's readers, and what they mean.
TRUNCATED_TEXTS = ("but received", "error while reading", "cannot be read", "unexpected end", "premature")
META_SUFFIXES = (".mha", ".mhd")
UNKNOWN_TEXTS = ("unable to determine imageio", "could not create io object")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep SimpleITK's C++ warnings off stderr, and leave the global switch as it was."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def check_readable(path: Path) -> None:
    """Raise if there is no such file or folder, it may not be read, or it is an empty file.

    Raises:
        SegToolkitError: "missing-file", "unreadable-permission" or "empty-file".
    """
    denied = SegToolkitError(
        "unreadable-permission",
        f"{path} may not be read by this user.",
        "Change its permissions, or copy it to a folder of your own.",
    )
    try:
        if not path.exists():
            raise SegToolkitError(
                "missing-file", f"{path} does not exist.", "Check the path and the spelling of the name."
            )
        if not os.access(path, os.R_OK):
            raise denied
        if path.is_dir():
            return
        with path.open("rb") as handle:
            if not handle.read(1):
                raise SegToolkitError(
                    "empty-file", f"{path} is empty (0 bytes).", "Copy it again, or export it again."
                )
    except PermissionError as error:
        raise denied from error
    except OSError as error:
        raise SegToolkitError(
            "unreadable-file",
            f"{path} could not be read: {error.strerror or error}.",
            "Check the disk or the network drive, and copy the file again.",
        ) from error


def load(path: Path) -> sitk.Image:
    """Read an image file; trailing dimensions of one voxel are dropped.

    Raises:
        SegToolkitError: what :func:`check_readable` and :func:`check_file` raise, "four-dimensional",
            "vector-voxels", "complex-voxels", "unreadable-image".
    """
    check_readable(path)
    check_file(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    if path.suffix.lower() in META_SUFFIXES:
        # By itself ITK knows these in small letters alone.
        reader.SetImageIO("MetaImageIO")
    try:
        with quiet():
            reader.ReadImageInformation()
            size = reader.GetSize()
            _check_kind(path, reader, size)
            if len(size) > 3:
                reader.SetExtractSize([*size[:3], *[0] * (len(size) - 3)])
            return reader.Execute()
    except RuntimeError as error:
        raise explained(path, error) from error


def _check_kind(path: Path, reader: sitk.ImageFileReader, size: tuple[int, ...]) -> None:
    frames = [n for n in size[3:] if n > 1]
    if frames:
        count = " x ".join(map(str, frames))
        last = frames[0] - 1
        raise SegToolkitError(
            "four-dimensional",
            f"{path} is {len(size)}-dimensional: {count} frames of {' x '.join(map(str, size[:3]))} voxels,"
            " but one 3D volume is needed.",
            f"Save the frame that you need (one of 0 to {last}) as a 3D volume of its own.",
        )
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelIDValue()):
        raise SegToolkitError(
            "complex-voxels",
            f"{path} has complex voxels; plain numbers are needed.",
            "Export the magnitude image.",
        )


def explained(path: Path, error: RuntimeError) -> SegToolkitError:
    """SimpleITK's exception as a sentence about the file."""
    text = str(error)
    low = text.lower()
    if any(t in low for t in UNKNOWN_TEXTS):
        return not_an_image(path, "an image that can be read")
    if "determinant is 0" in low or "bad direction" in low or "singular" in low:
        return SegToolkitError(
            "singular-direction",
            f"{path} has a singular direction matrix: its three axes do not span space.",
            CORRECT_HEADER,
        )
    if "orthonormal" in low:
        return sheared(path)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # What the libraries put before the reason: class names, addresses, nested function names.
    reason = (
        re.sub(r"^(.*ERROR: ?)?(\w+ ?\(0x\w+\): ?)?(\[nrrd\] )?(_?nrrd\w+: )?", "", lines[-1])
        if lines
        else ""
    )
    if any(t in low for t in TRUNCATED_TEXTS):
        return truncated(path, reason if "received" in reason else "its voxels cannot be read to the end")
    return SegToolkitError(
        "unreadable-image",
        f"{path} could not be read as an image: {reason}",
        "Check that it opens in 3D Slicer; if not, export it again.",
    )
