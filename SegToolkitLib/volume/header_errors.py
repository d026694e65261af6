"""The sentences for files that are not what they seem."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.errors import SegToolkitError

COPY_AGAIN = "Copy or download it again, or export it again from the original data."
CORRECT_HEADER = "Correct its header, or convert the image again from the original data."


def truncated(path: Path, detail: str) -> SegToolkitError:
    """The error for a file that ends too early or is damaged."""
    return SegToolkitError("truncated-file", f"{path} is truncated or damaged: {detail}.", COPY_AGAIN)


def not_an_image(path: Path, kind: str) -> SegToolkitError:
    """The error for a file that is not what its suffix says."""
    return SegToolkitError(
        "not-an-image",
        f"{path} is not {kind}.",
        "Give a NIfTI, NRRD, MetaImage, DICOM, PNG, JPEG or TIFF image with its usual suffix.",
    )


def sheared(path: Path) -> SegToolkitError:
    """The error for axes that are not at right angles, in a format that cannot hold them."""
    return SegToolkitError(
        "sheared-direction",
        f"{path} has axes that are not at right angles to each other (a tilted gantry?).",
        "Resample the volume onto a right-angled grid first, or use NRRD, which can hold such axes.",
    )


def not_finite(name: object, missing: int, endless: int, count: int) -> SegToolkitError:
    """The error for voxels that are no numbers."""
    return SegToolkitError(
        "not-finite",
        f"{name} has {missing} NaN and {endless} infinite voxels (of {count}).",
        "Replace them by the value of the background and save it again.",
    )
